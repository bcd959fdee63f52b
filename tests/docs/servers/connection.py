"""The servers of the recipes for connections."""

from __future__ import annotations

from tests.aws_server import HEADER, sign
from tests.docs.servers.recipe import TOKEN, Call, Reply, State, basic, need, progress, serve_plain_job, server, unknown
from tests.loopback import Asked


@server("api_key_query", 5, connection={})
def api_key_query(state: State, call: Call) -> Reply:
    need(call.query == [("key", TOKEN)], "no key", 401)
    need("authorization" not in call.headers, "what is that for?")
    return serve_plain_job(state, call)


@server("oauth2", 5, connection={})
def oauth2(state: State, call: Call) -> Reply:
    if str(call) == "POST /oauth/token":
        need(basic(call) == "my-client:my-client-secret", "no such client", 401)
        expected = {"grant_type": "client_credentials", "scope": "jobs.write jobs.read"}
        need(call.form == {**expected, "audience": "https://api.example.com"}, "invalid_request")
        return Reply(200, {"access_token": "from-oauth", "token_type": "Bearer", "expires_in": 3600})
    need(call.headers.get("authorization") == "Bearer from-oauth", "invalid_token", 401)
    return serve_plain_job(state, call)


@server("oauth2_password", 5, connection={})
def oauth2_password(state: State, call: Call) -> Reply:
    if str(call) == "POST /oauth/token":
        need(basic(call) == "my-client:my-client-secret", "no such client", 401)
        user = {"username": "robot@example.com", "password": "s3cret-word"}
        need(call.form == {"grant_type": "password", "scope": "jobs", **user}, "invalid_request")
        return Reply(200, {"access_token": "of-the-robot", "token_type": "Bearer", "expires_in": 3600})
    need(call.headers.get("authorization") == "Bearer of-the-robot", "invalid_token", 401)
    return serve_plain_job(state, call)


@server("oauth2_refresh", 5, connection={}, counted={"renewal": 2})
def oauth2_refresh(state: State, call: Call) -> Reply:
    if str(call) == "POST /oauth/token":
        need(basic(call) == "my-client:my-client-secret", "no such client", 401)
        number = state.nth("renewal")
        need(call.form == {"grant_type": "refresh_token", "refresh_token": f"refresh-token-{number}"}, "invalid_grant")
        state.seen["token"] = f"access-{number}"
        new = {"access_token": f"access-{number}", "refresh_token": f"refresh-token-{number + 1}"}
        return Reply(200, {**new, "token_type": "Bearer", "expires_in": 3600})
    if call.method == "GET" and state.nth("request") == 2:
        # The vendor ends access tokens early now and then.
        return Reply(401, {"error": "invalid_token"})
    need(call.headers.get("authorization") == f"Bearer {state.seen['token']}", "invalid_token", 401)
    return serve_plain_job(state, call)


@server("aws_sigv4", 5, connection={})
def aws_sigv4(state: State, call: Call) -> Reply:
    given = HEADER.fullmatch(call.headers.get("authorization", ""))
    need(given, "Missing Authentication Token", 403)
    assert given is not None
    need(given["scope"].endswith("/eu-west-1/execute-api/aws4_request"), "wrong scope", 403)
    asked = Asked(call.method, call.path, call.headers, call.body, 0)
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    expected = sign(asked, given["names"].split(";"), state.url, "execute-api", secret)
    need(given["signature"] == expected, "The request signature we calculated does not match yours", 403)
    return serve_plain_job(state, call)


@server("login", 5, connection={}, counted={"refresh": 1})
def login(state: State, call: Call) -> Reply:
    tokens = state.seen.setdefault("tokens", [])
    match str(call):
        case "POST /session":
            need(call.json == {"user": "robot", "password": "s3cret-word"}, "who?", 403)
        case "POST /session/refresh":
            need(call.json == {"token": f"refresh-{len(tokens)}"}, "which token?", 403)
            state.nth("refresh")
        case _:
            if call.method == "GET" and state.nth("request") == 2:
                # The vendor ends all sessions at once now and then, before they expire.
                return Reply(419, {"message": "session expired"})
            need(call.headers.get("x-session") == tokens[-1], "no session", 401)
            return serve_plain_job(state, call)
    tokens.append(f"session-{len(tokens) + 1}")
    session = {"token": tokens[-1], "expiresIn": 600, "refreshToken": f"refresh-{len(tokens)}"}
    return Reply(200, {"session": session})


@server("secret_in_body", "s-1", connection={})
def secret_in_body(state: State, call: Call) -> Reply:
    match str(call):
        case "POST /acme/jobs":
            need(call.json == {"auth": {"key": "account-key-1"}, "kind": "sync"}, "no key", 401)
            return Reply(201, {"id": "s-1"})
        case "POST /acme/status":
            need(call.json == {"auth": {"key": "account-key-1"}, "id": "s-1"}, "no key", 401)
            return Reply(200, {"status": progress(state, ("working", "done"))})
    raise unknown(call)
