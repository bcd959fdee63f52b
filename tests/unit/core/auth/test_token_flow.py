from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_asyncapi.core.auth.token_flow import request_token
from airflow_provider_asyncapi.core.auth.tokens import Token
from airflow_provider_asyncapi.core.errors import (
    AuthenticationError,
    MissingValueError,
    RequestRejectedError,
    TransportError,
)
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.requests.exchange import send
from tests.unit.core.auth.logins import FIELDS, REFRESH
from tests.unit.core.flow_runner import BASE, START, FlowRunner, make_api, make_lost_error, make_response


def get_token_with(runner: FlowRunner, previous: Token | None = None) -> Token:
    assert runner.api.settings.auth.token_source is not None
    token = runner.run(request_token(runner.api, runner.api.settings.auth.token_source, previous))
    assert isinstance(token, Token)
    return token


def test_a_login_sends_what_the_connection_says_and_takes_the_token():
    runner = FlowRunner(make_api(**FIELDS), make_response({"data": {"token": "t-one"}}))
    token = get_token_with(runner)
    assert runner.requests[0].body == b'{"user":"ann","password":"pw-planted"}'
    assert (token.value, token.renew_at) == ("t-one", None)


@pytest.mark.parametrize("status", [400, 401, 403, 422])
def test_a_login_that_is_refused_says_to_check_the_credentials(status):
    runner = FlowRunner(make_api(**FIELDS), make_response({"error_description": "invalid client"}, status))
    with pytest.raises(AuthenticationError, match=f"answered {status}, .*: invalid client; check the connection"):
        get_token_with(runner)


@pytest.mark.parametrize("status", [404, 405, 415, 501])
def test_a_login_at_a_wrong_address_says_to_check_the_address_and_the_method(status):
    with pytest.raises(RequestRejectedError, match="check address and method of the token request") as raised:
        get_token_with(FlowRunner(make_api(**FIELDS), make_response({}, status)))
    assert not isinstance(raised.value, AuthenticationError)


def test_an_integer_is_a_token_too():
    assert get_token_with(FlowRunner(make_api(**FIELDS), make_response({"data": {"token": 7123}}))).value == "7123"


def test_the_connections_headers_go_with_a_login_at_the_api():
    runner = FlowRunner(
        make_api(**FIELDS, headers={"X-Client": "c-planted", "Accept": "text/json"}),
        make_response({"data": {"token": "t"}}),
    )
    get_token_with(runner)
    assert runner.header("X-Client") == "c-planted"
    assert runner.header("Accept") == "text/json"


def test_the_connections_headers_do_not_go_to_another_host():
    fields = {**FIELDS, "login_request": {"endpoint": "https://login.example.net/token"}}
    runner = FlowRunner(make_api(**fields, headers={"X-Client": "c-planted"}), make_response({"data": {"token": "t"}}))
    get_token_with(runner)
    assert runner.header("X-Client") is None
    assert runner.header("Accept") == "application/json, */*;q=0.8"


def test_the_token_request_of_oauth_2_has_its_own_content_type_whatever_the_connections_is():
    fields: dict[str, Any] = {"auth": "oauth2", "login": "id", "password": "planted", "oauth2_url": "/token"}
    runner = FlowRunner(
        make_api(**fields, headers={"Content-Type": "application/json"}), make_response({"access_token": "t"})
    )
    get_token_with(runner)
    assert runner.header("Content-Type") == "application/x-www-form-urlencoded"
    assert runner.header("Accept") == "application/json"


@pytest.mark.parametrize(
    ("expires", "renew_in"),
    [
        (3600, 3570),
        ("100", 90),
        (0, 0),
        (START + 3600, 3570),
        ((START + 3600) * 1000, 3570),
        ("2023-11-14T23:13:20Z", 3570),
        ("2023-11-14T23:13:20", 3570),
        ("2023-11-15T00:13:20+01:00", 3570),
        ("tomorrow", 600 * 0.95),
        (None, 600 * 0.95),
        ([1], 600 * 0.95),
    ],
    ids=str,
)
def test_a_token_is_renewed_before_it_expires(expires, renew_in):
    api = make_api(**FIELDS, login_lifetime=600)
    token = get_token_with(FlowRunner(api, make_response({"data": {"token": "t", "expires": expires}})))
    assert token.renew_at == pytest.approx(START + renew_in)
    assert token.is_fresh(START + renew_in - 0.01)
    assert not token.is_fresh(START + renew_in + 0.01)


def test_a_token_is_refreshed_with_what_the_login_gave():
    runner = FlowRunner(
        make_api(**FIELDS, **REFRESH),
        make_response({"data": {"token": "t-one", "refresh": "r-one"}}),
        make_response({"data": {"token": "t-two"}}),
        make_response({"data": {"token": "t-three"}}),
    )
    first = get_token_with(runner)
    second = get_token_with(runner, first)
    third = get_token_with(runner, second)
    assert runner.paths == ["POST /login", "POST /refresh", "POST /refresh"]
    assert runner.requests[2].body == b'{"refresh":"r-one"}'
    assert third.value == "t-three"


@pytest.mark.parametrize(
    "reply", [make_response({}, 401), make_response({}), make_response(b"<html>")], ids=["refused", "no token", "HTML"]
)
def test_a_refresh_that_fails_is_followed_by_a_login(reply):
    runner = FlowRunner(make_api(**FIELDS, **REFRESH), reply, make_response({"data": {"token": "t-two"}}))
    token = get_token_with(runner, Token("t-one", variables={"refresh": "r-one"}))
    assert token.value == "t-two"
    assert runner.paths == ["POST /refresh", "POST /login"]
    assert runner.logs[0][0] == logging.INFO
    assert "requesting a new one" in runner.log_text


def test_a_refused_login_says_so_and_shows_no_secret():
    runner = FlowRunner(make_api(**FIELDS), make_response({"message": "wrong password pw-planted"}, 401))
    with pytest.raises(
        AuthenticationError, match=r"answered 401, expected 2xx: wrong password \*\*\*; check the connection"
    ):
        get_token_with(runner)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_a_login_that_fails_in_passing_has_not_sent_the_request_it_was_for(status):
    with pytest.raises(TransportError, match=f"token request: .*{status}") as caught:
        get_token_with(FlowRunner(make_api(**FIELDS), make_response({}, status)))
    assert not caught.value.sent


def test_a_login_whose_answer_is_lost_has_not_sent_the_request_it_was_for():
    with pytest.raises(TransportError, match=r"token request: .*broke") as caught:
        get_token_with(FlowRunner(make_api(**FIELDS), make_lost_error(sent=True)))
    assert not caught.value.sent


@pytest.mark.parametrize(
    "body",
    [{}, {"data": {"token": ""}}, {"data": {"token": True}}, {"data": {"token": None}}, {"data": {"token": ["plant"]}},
     {"data": {"token": "planted\r\nX-Evil: 1"}}, {"data": {"token": "plantéd"}}, {"elsewhere": "planted"}],
    ids=str,
)  # fmt: skip
def test_an_answer_without_a_usable_token_says_where_it_looked(body):
    runner = FlowRunner(make_api(**FIELDS), make_response(body))
    with pytest.raises(MissingValueError, match=r"'data.token' found no token .*application/json") as caught:
        get_token_with(runner)
    assert "plant" not in str(caught.value)


def test_an_answer_that_is_no_json_says_what_it_is():
    with pytest.raises(
        MissingValueError, match=f"token request: POST {BASE}/login answered 200: expected JSON, got an HTML"
    ):
        get_token_with(FlowRunner(make_api(**FIELDS), make_response(b"<html>planted")))


def test_tokens_and_what_the_login_captured_are_secrets_from_then_on():
    api = make_api(**FIELDS, **REFRESH)
    get_token_with(FlowRunner(api, make_response({"data": {"token": "t-planted", "refresh": "r-planted"}})))
    assert api.redact("t-planted and r-planted") == "*** and ***"


SECRETS: dict[str, Any] = {"login": "ann", "password": "pw-planted"}
KINDS: dict[str, dict[str, Any]] = {
    "basic": {**SECRETS},
    "bearer": {"password": "pw-planted"},
    "api_key": {"password": "pw-planted"},
    "api_key in the query": {"auth": "api_key", "password": "pw-planted", "key_in": "query", "key_name": "k"},
    "oauth2": {**SECRETS, "oauth2_url": "/token"},
    "oauth2 in the body": {**SECRETS, "auth": "oauth2", "oauth2_url": "/token", "client_auth": "body"},
    "login": {**FIELDS, "login_selector": "access_token"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_of_credentials_is_shown(kind):
    """What an API repeats in its answers is masked in errors, logs and reprs."""
    api = make_api(**{"auth": kind, "headers": {"X-Secret": "hd-planted"}, **KINDS[kind]})

    def echo(request: Request):
        if request.url.endswith(("/token", "/login")):
            return make_response({"access_token": "tk-planted"})
        return make_response({"detail": f"{request.url} {request.headers} {request.body!r}"}, 403)

    runner = FlowRunner(api, echo, forever=True)
    runner.replies = [echo]
    request = Request("GET", f"{BASE}/jobs?sig=q-planted")
    response = runner.run(send(api, request))
    from airflow_provider_asyncapi.core.requests.response_errors import build_rejection_error

    error = build_rejection_error(api, request, response)
    shown = f"{error} {runner.log_text} {runner.requests!r} {runner.token!r} {api.settings!r} {response!r} {error!r}"
    for secret in ("pw-planted", "hd-planted", "tk-planted"):
        assert secret not in shown
