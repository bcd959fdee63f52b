from __future__ import annotations

import dataclasses
import logging
from typing import Any

import pytest

from airflow_provider_asyncapi.core.auth.token_flow import TokenState, get_shared_token, get_token, request_token
from airflow_provider_asyncapi.core.auth.tokens import Token
from airflow_provider_asyncapi.core.effects import GetToken
from airflow_provider_asyncapi.core.errors import (
    AuthenticationError,
    MissingValueError,
    RequestRejectedError,
    TransportError,
)
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.requests.exchange import send
from tests.unit.core.flow_runner import BASE, START, FlowRunner, make_api, make_lost_error, make_response

FIELDS: dict[str, Any] = {
    "auth": "login",
    "login": "ann",
    "password": "pw-planted",
    "login_request": {
        "endpoint": "/login",
        "json": {"user": "{connection.login}", "password": "{connection.password}"},
    },
    "login_selector": "data.token",
    "login_expiry": "data.expires",
}
REFRESH: dict[str, Any] = {
    "refresh_request": {"endpoint": "/refresh", "json": {"refresh": "{refresh}"}},
    "login_capture": {"refresh": "data.refresh"},
}


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


# Tokens that processes share


class Shelf:
    """A store that another process uses too: it has the lock for so many turns, and leaves a token then."""

    def __init__(self, token: Token | None = None, *, busy: int = 0, leaves: Token | None = None) -> None:
        self.token = token
        self.busy = busy
        self.leaves = leaves
        self.locked = False

    def lock(self) -> Shelf | None:
        assert not self.locked
        if self.busy:
            self.busy -= 1
            self.token = self.token if self.busy else self.leaves
            return None
        self.locked = True
        return self

    def close(self) -> None:
        self.locked = False

    def read(self) -> Token | None:
        return self.token

    def write(self, token: Token) -> None:
        assert self.locked
        self.token = token


def sharing(shelf: Shelf, *replies, **fields) -> FlowRunner:
    return FlowRunner(dataclasses.replace(make_api(**{**FIELDS, **fields}), tokens=shelf), *replies)


def test_the_token_in_hand_is_taken_without_a_look_at_the_store():
    runner = sharing(Shelf(Token("stored")))
    assert runner.run(get_token(runner.api, Token("own"), None)).value == "own"


def test_what_another_process_has_stored_is_taken_and_masked():
    shelf = Shelf(Token("stored-planted", START + 60, {"refresh": "refresh-planted"}))
    runner = sharing(shelf)
    token = runner.run(get_token(runner.api, None, None))
    assert (token.value, token.was_found, shelf.locked) == ("stored-planted", True, False)
    assert runner.api.redact("stored-planted refresh-planted") == "*** ***"


@pytest.mark.parametrize("known", [None, Token("own", START)], ids=["none", "expired"])
@pytest.mark.parametrize("stored", [None, Token("stored", START)], ids=["none", "expired"])
def test_where_no_token_is_fresh_there_is_a_login_and_its_token_is_stored(known, stored):
    shelf = Shelf(stored)
    runner = sharing(shelf, make_response({"data": {"token": "new"}}))
    token = runner.run(get_token(runner.api, known, None))
    assert (token, token.was_found, shelf.locked) == (Token("new"), False, False)
    assert shelf.token == token


def test_a_refresh_uses_what_was_stored_last():
    shelf = Shelf(Token("stored", START, {"refresh": "r-stored"}))
    runner = sharing(shelf, make_response({"data": {"token": "new", "refresh": "r-new"}}), **REFRESH)
    runner.run(get_token(runner.api, Token("own", START, {"refresh": "r-own"}), None))
    assert runner.requests[0].body == b'{"refresh":"r-stored"}'


def test_who_finds_another_token_than_the_refused_one_takes_it():
    runner = sharing(Shelf(Token("newer")))
    assert runner.run(get_token(runner.api, Token("old"), Token("old"))).value == "newer"


def test_a_refused_token_in_the_store_is_replaced():
    shelf = Shelf(Token("old"))
    runner = sharing(shelf, make_response({"data": {"token": "new"}}))
    assert runner.run(get_token(runner.api, None, Token("old"))).value == "new"
    assert shelf.token == Token("new")


def test_while_another_process_logs_in_this_one_waits_and_takes_its_token():
    runner = sharing(Shelf(busy=3, leaves=Token("theirs")))
    assert runner.run(get_token(runner.api, None, None)).value == "theirs"
    assert runner.requests == []
    assert runner.sleeps == [0.1, 0.1]


def test_a_process_that_hangs_does_not_hang_all_others():
    runner = sharing(Shelf(busy=10_000), make_response({"data": {"token": "own"}}))
    assert runner.run(get_token(runner.api, None, None)).value == "own"
    assert sum(runner.sleeps) == pytest.approx(120, abs=0.2)


def test_a_login_that_fails_lets_the_next_process_try():
    shelf = Shelf()
    runner = sharing(shelf, make_response({"message": "no"}, 401))
    with pytest.raises(AuthenticationError):
        runner.run(get_token(runner.api, None, None))
    assert (shelf.locked, shelf.token) == (False, None)


def test_two_tokens_that_are_too_old_do_not_keep_from_a_login():
    runner = sharing(
        Shelf(Token("stored")),
        make_response({}, 401),
        make_response({}, 401),
        make_response({"data": {"token": "new"}}),
        make_response({"ok": 1}),
    )
    runner.token = Token("own")
    assert runner.run(send(runner.api, Request("GET", f"{BASE}/x"))).ok
    assert runner.paths == ["GET /x", "GET /x", "POST /login", "GET /x"]


def test_a_new_token_that_is_refused_is_the_end():
    runner = sharing(
        Shelf(Token("stored")),
        make_response({}, 403),
        make_response({"data": {"token": "new"}}),
        make_response({}, 403),
    )
    assert runner.run(send(runner.api, Request("GET", f"{BASE}/x"))).status == 403
    assert runner.paths == ["GET /x", "POST /login", "GET /x"]


def test_the_login_of_another_process_is_waited_for_as_long_as_there_is_time():
    shelf = Shelf(busy=999)
    runner = sharing(shelf)
    with pytest.raises(TransportError, match="the token request didn't end in time"):
        runner.run(get_token(runner.api, None, None, until=START + 1))
    assert 1 <= sum(runner.sleeps) < 1.2
    assert runner.paths == []


# One at a time


def in_turn(runner: FlowRunner, token_state: TokenState, asked_at: float = START) -> Token:
    token = runner.run(get_shared_token(runner.api, token_state, GetToken(), asked_at))
    assert isinstance(token, Token)
    return token


def test_a_token_is_found_by_those_who_come_later():
    runner, token_state = FlowRunner(make_api(**FIELDS), make_response({"data": {"token": "t-one"}})), TokenState()
    assert in_turn(runner, token_state) is in_turn(runner, token_state)


def test_a_time_limit_ends_the_login_of_the_flow_that_has_it_and_no_other():
    runner, token_state = (
        FlowRunner(make_api(**FIELDS), make_lost_error(), make_response({"data": {"token": "t-one"}})),
        TokenState(),
    )
    with pytest.raises(TransportError):
        runner.run(get_shared_token(runner.api, token_state, GetToken(until=START), START - 1))
    assert runner.limits == [0.0]
    assert in_turn(runner, token_state, asked_at=START - 1).value == "t-one"


def test_a_refusal_holds_for_all_for_a_moment():
    runner, token_state = (
        FlowRunner(make_api(**FIELDS), make_response({}, 401), make_response({"data": {"token": "t-one"}})),
        TokenState(),
    )
    failures = []
    for _ in range(3):
        with pytest.raises(AuthenticationError) as caught:
            in_turn(runner, token_state)
        failures.append(caught.value)
    assert len(runner.requests) == 1
    assert len({id(failure) for failure in failures}) == 3
    assert len({str(failure) for failure in failures}) == 1
    runner.clock.now += 60
    assert in_turn(runner, token_state).value == "t-one"
    assert token_state.failure is None


def test_a_login_that_was_lost_is_lost_for_those_who_waited_for_it_only():
    runner, token_state = (
        FlowRunner(make_api(**FIELDS), make_lost_error(), make_response({"data": {"token": "t-one"}})),
        TokenState(),
    )
    with pytest.raises(TransportError) as first:
        in_turn(runner, token_state)
    with pytest.raises(TransportError) as second:
        in_turn(runner, token_state, asked_at=START - 1)
    assert (str(second.value), second.value.sent) == (str(first.value), False)
    assert in_turn(runner, token_state, asked_at=START + 1).value == "t-one"
