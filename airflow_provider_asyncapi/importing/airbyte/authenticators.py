"""Authenticators of a manifest: the kind of authentication, and the fields of the connection."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from airflow_provider_asyncapi.importing.airbyte.components import Component
from airflow_provider_asyncapi.importing.airbyte.expressions import Constant, Encoded, Joined
from airflow_provider_asyncapi.importing.airbyte.rendering import GapError, Renderer
from airflow_provider_asyncapi.importing.airbyte.requesters import read_request
from airflow_provider_asyncapi.importing.drafts import Draft, mapping_or_empty
from airflow_provider_asyncapi.importing.selectors import build_selector

#: Days, hours, minutes and seconds of a duration in ISO 8601; months and years have no fixed length.
_DURATION = re.compile(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_SECONDS = (604800, 86400, 3600, 60, 1)
#: Airbyte's default lifetime of a token that it signs, in seconds.
_JWT_LIFETIME = 1200
_TABLE = ("connection", "auth")


def read_authenticator(authenticator: Component | None, renderer: Renderer) -> None:
    """Set the authentication of a profile and of its connection; what has no counterpart becomes a gap."""
    draft = renderer.draft
    if authenticator is None or authenticator.type == "NoAuth":
        draft.tables["connection"]["auth"] = "none"
        return
    read = _READERS.get(authenticator.type)
    if read is None:
        kind = authenticator.get("class_name") or authenticator.type or "an authenticator without type"
        draft.add_gap(authenticator.place, f"{kind}: no kind of authentication does the same", _TABLE)
        return
    read(authenticator, renderer)


def _set(draft: Draft, **keys: Any) -> None:
    """Set keys of the table [connection]; None leaves one out."""
    draft.tables["connection"].update({key: value for key, value in keys.items() if value not in (None, "", {})})


def _extra(draft: Draft, key: str, value: str) -> None:
    """Set a field of the connection that the profile mustn't contain."""
    draft.connection.setdefault("extra", {})[key] = value


def _read_bearer(authenticator: Component, renderer: Renderer) -> None:
    _set(renderer.draft, auth="bearer")
    renderer.draft.connection["password"] = renderer.placeholder(authenticator, "api_token", "password")


def _read_basic(authenticator: Component, renderer: Renderer) -> None:
    _set(renderer.draft, auth="basic")
    renderer.draft.connection["login"] = renderer.placeholder(authenticator, "username", "login")
    renderer.draft.connection["password"] = renderer.placeholder(authenticator, "password", "password")


def _read_api_key(authenticator: Component, renderer: Renderer) -> None:
    option = authenticator.child("inject_into")
    place = "header" if option is None else option.get("inject_into", "header")
    name = renderer.placeholder(authenticator, "header")
    if option is not None:
        name = renderer.placeholder(option, "field_name")
    renderer.draft.connection["password"] = renderer.placeholder(authenticator, "api_token", "password")
    if place not in ("header", "request_parameter"):
        message = f"the API key is a part of the body ({name}); add it to the requests as {{connection.password}}"
        renderer.draft.add_gap(authenticator.place, message, _TABLE)
        return
    _set(renderer.draft, auth="api_key", key_name=name, key_in="query" if place == "request_parameter" else None)


def _read_oauth(authenticator: Component, renderer: Renderer) -> None:
    draft = renderer.draft
    grant = str(authenticator.get("grant_type", "refresh_token"))
    for name in ("client_id", "client_secret"):
        if authenticator.get(name) is not None:
            field = "login" if name == "client_id" else "password"
            draft.connection[field] = renderer.placeholder(authenticator, name, field)
    is_refresh = authenticator.get("refresh_token") is not None
    if is_refresh:
        _extra(draft, "refresh_token", renderer.placeholder(authenticator, "refresh_token"))
    elif grant != "client_credentials":
        draft.add_gap(authenticator.place, f"the grant {grant!r} without a refresh token", _TABLE)
        return
    names = {key: authenticator.get(f"{key}_name", key) for key in _OAUTH_NAMES}
    if names != {key: key for key in _OAUTH_NAMES} or authenticator.get("send_refresh_request_as_query_params"):
        _read_token_request(authenticator, renderer, names)
        return
    headers = authenticator.child("refresh_request_headers")
    has_basic = headers is not None and _is_basic(headers, renderer)
    if headers is not None and not has_basic:
        draft.add_gap(headers.place, "headers of the token request", ("connection", "oauth2_params"))
    given = renderer.render(
        authenticator.get_whole("refresh_request_body") or {},
        authenticator.parameters,
        ("connection", "oauth2_params"),
        (str,),
    )
    scope = given.pop("scope", None) or " ".join(map(str, authenticator.items("scopes")))
    _set(
        draft,
        auth="oauth2_refresh" if is_refresh else "oauth2",
        oauth2_url=renderer.text(authenticator, "token_refresh_endpoint"),
        client_auth=None if has_basic else "body",
        scope=scope,
        oauth2_params=given,
    )


#: The names of the fields of a token request that a manifest may change.
_OAUTH_NAMES = (
    "access_token",
    "client_id",
    "client_secret",
    "expires_in",
    "grant_type",
    "refresh_token",
)


def _is_basic(headers: Component, renderer: Renderer) -> bool:
    """Return whether the only header beside the content type is id and secret as HTTP Basic."""
    others = [name for name in headers.values if name.lower() not in ("authorization", "content-type", "accept")]
    value = renderer.read(headers, "Authorization")
    return (
        not others
        and isinstance(value, Joined)
        and isinstance(value.parts[0], Constant)
        and str(value.parts[0].value).strip().lower() == "basic"
        and isinstance(value.parts[-1], Encoded)
    )


def _read_token_request(authenticator: Component, renderer: Renderer, names: dict[str, str]) -> None:
    """Describe a token request that doesn't use the names of OAuth 2 as a login."""
    draft = renderer.draft
    form = renderer.render(
        authenticator.get_whole("refresh_request_body") or {},
        authenticator.parameters,
        ("connection", "login_request"),
        (str,),
    )
    grant = authenticator.get("grant_type", "refresh_token")
    form = {
        names["grant_type"]: grant,
        names["client_id"]: "{connection.login}",
        names["client_secret"]: "{connection.password}",
    } | form
    extra = draft.connection.setdefault("extra", {})
    if (token := extra.pop("refresh_token", None)) is not None:
        form[names["refresh_token"]] = "{connection.refresh_token}"
        extra.setdefault("secrets", {})["refresh_token"] = token
    if scopes := authenticator.items("scopes"):
        form["scopes"] = " ".join(map(str, scopes))
    in_query = bool(authenticator.get("send_refresh_request_as_query_params"))
    request = {"endpoint": renderer.text(authenticator, "token_refresh_endpoint"), "method": "POST"}
    _set(
        draft,
        auth="login",
        login_request={**request, "query_params" if in_query else "data": form},
        login_selector=names["access_token"],
        login_expiry=names["expires_in"],
    )


def _read_session_token(authenticator: Component, renderer: Renderer) -> None:
    draft = renderer.draft
    requester = authenticator.child("login_requester")
    if requester is None:
        raise GapError("a session token without login_requester")
    login = requester.child("authenticator")
    request: dict[str, Any] = {}
    if login is not None and login.type == "BasicHttpAuthenticator":
        request["auth"] = "basic"
        draft.connection["login"] = renderer.placeholder(login, "username", "login")
        draft.connection["password"] = renderer.placeholder(login, "password", "password")
    elif login is not None and login.type != "NoAuth":
        draft.add_gap(login.place, f"{login.type} of the login request", ("connection", "login_request"))
    request |= read_request(requester, renderer, ("connection", "login_request"), default_method="")
    usage = authenticator.child("request_authentication")
    header, template = None, None
    if usage is not None and usage.type == "ApiKey":
        option = usage.child("inject_into")
        if option is None or option.get("inject_into") != "header":
            draft.add_gap(usage.place, "the session token isn't in a header", ("connection", "login_header"))
        else:
            header = renderer.placeholder(option, "field_name")
            template = str(usage.get("api_token", "{{ session_token }}"))
            template = re.sub(r"\{\{\s*session_token\s*\}\}", "{token}", template)
    _set(
        draft,
        auth="login",
        login_request=request,
        login_selector=build_selector(authenticator.items("session_token_path")),
        login_lifetime=parse_duration(str(authenticator.get("expiration_duration", ""))),
        login_header=header,
        login_format=template,
    )


def _read_jwt(authenticator: Component, renderer: Renderer) -> None:
    draft = renderer.draft
    claims = {
        **mapping_or_empty(authenticator.get_whole("jwt_payload")),
        **mapping_or_empty(authenticator.get_whole("additional_jwt_payload")),
    }
    headers = {
        **mapping_or_empty(authenticator.get_whole("jwt_headers")),
        **mapping_or_empty(authenticator.get_whole("additional_jwt_headers")),
    }
    headers = {key: value for key, value in headers.items() if not (key == "typ" and value == "JWT")}
    _extra(draft, "jwt_secret_key", renderer.placeholder(authenticator, "secret_key"))
    if authenticator.get("base64_encode_secret_key"):
        draft.add_gap(authenticator.place, "the key is the Base64 of the secret: write it so into the connection")
    if authenticator.get("passphrase"):
        draft.add_gap(authenticator.place, "the private key has a passphrase: remove it from the key")
    if str(authenticator.get("header_prefix", "")).strip() != "Bearer":
        draft.add_gap(
            authenticator.place, "the token isn't sent as `Authorization: Bearer`", ("connection", "jwt_headers")
        )
    _set(
        draft,
        auth="jwt",
        jwt_algorithm=authenticator.get("algorithm"),
        jwt_lifetime=authenticator.get("token_duration", _JWT_LIFETIME),
    )
    for key, values in (("jwt_claims", claims), ("jwt_headers", headers)):
        inner = Component(authenticator.root, values, f"{authenticator.place}.{key}", authenticator.parameters)
        for name in values:
            text = renderer.placeholder(inner, name)
            # Claims can't name variables of the connection, so the connection contains them.
            target = draft.connection.setdefault("extra", {}) if "<" in text else draft.tables["connection"]
            target.setdefault(key, {})[name] = text
    extra, table = draft.connection["extra"], draft.tables["connection"]
    for key in ("jwt_claims", "jwt_headers"):
        if key in extra and key in table:
            extra[key] = {**table.pop(key), **extra[key]}


def _merge(component: Component, *names: str) -> dict[str, Any]:
    return {key: value for name in names for key, value in mapping_or_empty(component.get_whole(name)).items()}


def _read_selective(authenticator: Component, renderer: Renderer) -> None:
    choices = authenticator.child("authenticators")
    names = [] if choices is None else [key for key in choices.values if key != "$parameters"]
    if choices is None or not names:
        raise GapError("a choice of authenticators without any")
    if others := ", ".join(names[1:]):
        message = f"of several kinds of authentication {names[0]!r} is taken, not {others}"
        renderer.draft.add_gap(authenticator.place, message)
    read_authenticator(choices.child(names[0]), renderer)


def parse_duration(text: str) -> int | None:
    """Return the seconds of a duration in ISO 8601; None if it has no fixed length."""
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        return None
    return sum(int(number or 0) * seconds for number, seconds in zip(match.groups(), _SECONDS, strict=True))


_READERS: dict[str, Callable[[Component, Renderer], None]] = {
    "ApiKeyAuthenticator": _read_api_key,
    "BasicHttpAuthenticator": _read_basic,
    "BearerAuthenticator": _read_bearer,
    "JwtAuthenticator": _read_jwt,
    "OAuthAuthenticator": _read_oauth,
    "SelectiveAuthenticator": _read_selective,
    "SessionTokenAuthenticator": _read_session_token,
}
