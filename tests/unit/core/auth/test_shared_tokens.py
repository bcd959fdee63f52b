from __future__ import annotations

import dataclasses

import pytest

from airflow_provider_asyncapi.core.auth.token_flow import get_token
from airflow_provider_asyncapi.core.auth.tokens import Token
from airflow_provider_asyncapi.core.errors import (
    AuthenticationError,
    TransportError,
)
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.requests.exchange import send
from tests.unit.core.auth.logins import FIELDS, REFRESH
from tests.unit.core.flow_runner import BASE, START, FlowRunner, make_api, make_response

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


def test_a_refresh_token_that_another_process_has_stored_is_masked_when_the_server_repeats_it():
    shelf = Shelf(Token("stored", START, {"refresh": "r-planted"}))
    refused, new = make_response({"message": "r-planted is old"}, 401), make_response({"data": {"token": "new"}})
    runner = sharing(shelf, refused, new, **REFRESH)
    runner.run(get_token(runner.api, None, None))
    assert "*** is old" in runner.log_text


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
