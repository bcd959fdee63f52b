"""Processes that share a refresh token which can be used once, with a store and a server of any latency."""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import logging
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.auth.token_flow import TokenState, get_shared_token, get_token
from airflow_provider_asyncapi.core.auth.tokens import Token
from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.effects import GetToken, Log, RunBlocking, Send, Sleep
from airflow_provider_asyncapi.core.errors import AuthenticationError, ConfigurationError, TransportError
from airflow_provider_asyncapi.core.http.messages import Request, Response
from tests.unit.core.flow_runner import BASE, START, Clock, FlowRunner, make_api, make_lost_error, make_response

FIELDS: dict[str, Any] = {
    "auth": "oauth2_refresh",
    "login": "client",
    "password": "secret",
    "oauth2_url": "/token",
    "refresh_token": "r-0",
}


class Shelf:
    """A store that the processes share, and that may be away."""

    def __init__(self, token: Token | None = None) -> None:
        self.token = token
        self.mark: str | None = None
        #: Number of calls that fail from now on.
        self.away = 0
        self.written: list[Token] = []

    def _answer(self) -> None:
        if self.away:
            self.away -= 1
            raise TransportError("Airflow is away", sent=False)

    def read(self) -> Token | None:
        self._answer()
        return self.token

    def write(self, token: Token) -> None:
        self._answer()
        self.token = token
        self.written.append(token)

    def read_mark(self) -> str | None:
        self._answer()
        return self.mark

    def write_mark(self, mark: str) -> None:
        self._answer()
        self.mark = mark


class Vendor:
    """A server that replaces the refresh token each time, and revokes everything if an old one is sent again."""

    def __init__(self) -> None:
        self.newest = 0
        self.revoked = False

    def __call__(self, request: Request) -> Response:
        sent = int(str(request.body)[2:-1].rpartition("refresh_token=r-")[2])
        if sent != self.newest or self.revoked:
            self.revoked = True
            return make_response({"error": "invalid_grant"}, 400)
        self.newest += 1
        body = {"access_token": f"a-{self.newest}", "refresh_token": f"r-{self.newest}", "expires_in": 3600}
        return make_response(body)


def renewing(shelf: Shelf, *replies: Any, **fields: Any) -> FlowRunner:
    api = dataclasses.replace(make_api(**{**FIELDS, **fields}), rotating_tokens=shelf)
    return FlowRunner(api, *replies or (Vendor(),), forever=True)


def get(runner: FlowRunner, known: Token | None = None, rejected: Token | None = None) -> Token:
    token = runner.run(get_token(runner.api, known, rejected))
    assert isinstance(token, Token)
    return token


# One process


def test_the_first_token_is_requested_with_the_refresh_token_of_the_connection_and_stored():
    shelf = Shelf()
    runner = renewing(shelf)
    token = get(runner)
    assert token.value == "a-1"
    assert runner.requests[0].body == b"grant_type=refresh_token&refresh_token=r-0"
    assert shelf.token == token
    assert shelf.token.variables["refresh_token"] == "r-1"
    assert shelf.mark == "free"


def test_a_stored_token_is_used_and_masked():
    shelf = Shelf(Token("a-planted", START + 60, {"refresh_token": "r-planted", "renewal": 4}))
    runner = renewing(shelf)
    assert get(runner).was_found
    assert runner.requests == []
    assert runner.api.redact("a-planted r-planted") == "*** ***"


def test_a_token_that_expires_is_renewed_with_the_newest_refresh_token():
    shelf = Shelf()
    runner = renewing(shelf)
    first = get(runner)
    runner.clock.now += 3600
    second = get(runner, first)
    assert [token.variables for token in shelf.written] == [
        {"refresh_token": "r-1", "renewal": 1},
        {"refresh_token": "r-2", "renewal": 2},
    ]
    assert get(runner, None, second).value == "a-3"


def test_a_server_may_leave_the_refresh_token_as_it_is():
    shelf = Shelf()
    runner = renewing(shelf, make_response({"access_token": "a"}))
    first = get(runner)
    get(runner, None, first)
    assert runner.requests[0].body == runner.requests[1].body
    assert shelf.written[-1].variables == {"refresh_token": "r-0", "renewal": 2}


def test_a_refresh_token_that_was_revoked_is_an_error_that_names_what_to_do():
    runner = renewing(Shelf(), make_response({"error": "invalid_grant"}, 400))
    advice = "authorize the client again, and set refresh_token of the connection to the new one"
    with pytest.raises(AuthenticationError, match=rf"token request: .*/token answered 400, .*{advice}"):
        get(runner)
    wrong_client = renewing(Shelf(), make_response({"error": "invalid_client"}, 401))
    with pytest.raises(AuthenticationError, match="check the connection's login and password"):
        get(wrong_client)


def test_a_refresh_token_that_another_process_has_stored_is_masked_when_the_server_repeats_it():
    shelf = Shelf(Token("a-planted", START, {"refresh_token": "r-planted", "renewal": 4}))
    refused = make_response({"error": "invalid_grant", "error_description": "r-planted was revoked"}, 400)
    with pytest.raises(AuthenticationError, match=r"\*\*\* was revoked; the refresh token"):
        get(renewing(shelf, refused))


@pytest.mark.parametrize("error", [make_response({}, 503), make_lost_error()])
def test_after_an_error_the_next_process_may_try(error):
    shelf = Shelf()
    with pytest.raises(TransportError):
        get(renewing(shelf, error))
    assert shelf.mark == "free"
    assert get(renewing(shelf)).value == "a-1"


def test_a_new_refresh_token_is_stored_as_soon_as_airflow_is_available():
    shelf = Shelf()

    def answer(request: Request) -> Response:
        shelf.away = 5
        return Vendor()(request)

    runner = renewing(shelf, answer)
    assert get(runner) == shelf.token
    assert runner.log_text.count("can't be stored yet") == 5


def test_if_airflow_stays_away_the_process_keeps_the_token_and_stores_the_next_one():
    shelf, vendor = Shelf(), Vendor()

    def answer(request: Request) -> Response:
        shelf.away = 400
        return vendor(request)

    runner = renewing(shelf, answer)
    first = get(runner)
    assert shelf.token is None
    assert "known to this process only" in runner.log_text
    assert "No process can renew the token for 120 s" in runner.log_text
    assert (logging.ERROR in {level for level, _ in runner.logs}) is True
    shelf.away = 0
    runner.clock.now += 3600
    runner.replies = [vendor]
    assert get(runner, first).variables == {"refresh_token": "r-2", "renewal": 2}
    assert not vendor.revoked


def test_while_airflow_is_away_no_token_is_requested():
    shelf = Shelf()
    shelf.away = 1
    runner = renewing(shelf)
    with pytest.raises(TransportError, match="Airflow is away"):
        get(runner)
    assert runner.requests == []


def test_without_a_store_there_is_no_request():
    runner = FlowRunner(make_api(**FIELDS))
    with pytest.raises(ConfigurationError, match=r"auth 'oauth2_refresh' keeps .* in an Airflow Variable"):
        get(runner)


def test_the_deadline_of_a_task_does_not_interrupt_the_request_for_a_token():
    runner = renewing(Shelf())
    runner.run(get_shared_token(runner.api, TokenState(), GetToken(until=START + 5), START))
    (limit,) = runner.limits
    assert limit is not None
    assert limit > 5


# Another process has the lock


def test_a_process_waits_for_the_one_that_renews_and_uses_its_token():
    shelf = Shelf()
    shelf.mark = "of another process"
    runner = renewing(shelf)
    polls = itertools.count()

    def read() -> Token | None:
        if next(polls) == 3:
            shelf.token = Token("theirs")
        return shelf.token

    runner.api = dataclasses.replace(runner.api, rotating_tokens=Changed(shelf, read=read))
    assert get(runner).value == "theirs"
    assert runner.requests == []


class Changed:
    """A store with some methods replaced."""

    def __init__(self, shelf: Shelf, **methods: Callable[..., Any]) -> None:
        self.shelf, self.methods = shelf, methods

    def __getattr__(self, name: str) -> Any:
        return self.methods.get(name) or getattr(self.shelf, name)


def test_the_lock_of_a_process_that_was_killed_is_free_after_two_minutes():
    shelf = Shelf()
    shelf.mark = "of a killed process"
    runner = renewing(shelf)
    get(runner)
    assert 120 <= sum(runner.sleeps) < 140


def test_a_process_that_waits_gives_up_at_its_deadline():
    shelf = Shelf()
    shelf.mark = "of another process"
    runner = renewing(shelf)
    with pytest.raises(TransportError, match="the token request didn't end in time"):
        runner.run(get_token(runner.api, None, None, until=START + 10))
    assert sum(runner.sleeps) == pytest.approx(10, abs=2)


def test_a_token_that_was_stored_just_before_the_lock_was_free_is_used():
    shelf = Shelf()
    runner = renewing(shelf)
    reads = itertools.count()

    def read() -> Token | None:
        if next(reads) == 1:
            shelf.token = Token("theirs")
        return shelf.token

    runner.api = dataclasses.replace(runner.api, rotating_tokens=Changed(shelf, read=read))
    assert get(runner).value == "theirs"
    assert shelf.mark == "free"


def test_a_process_that_is_slow_with_the_lock_gives_it_back_before_the_request():
    shelf = Shelf()
    runner = renewing(shelf)
    reads = itertools.count()

    def read() -> Token | None:
        if next(reads) == 1:
            runner.clock.now += 60
            assert runner.requests == []
        return shelf.token

    runner.api = dataclasses.replace(runner.api, rotating_tokens=Changed(shelf, read=read))
    assert get(runner).value == "a-1"
    assert len(runner.requests) == 1
    assert runner.times[0] > 60


# Many processes


class Simulation:
    """
    Runs processes whose calls take any time, and take effect at any moment within it.

    :param draw: returns a number in [0, 1).
    :param slowest: the longest time of a call, in seconds.
    """

    def __init__(self, draw: Callable[[], float], slowest: float) -> None:
        self.draw, self.slowest = draw, slowest
        self.clock = Clock()
        self.vendor = Vendor()
        self.shelf = Shelf()
        self.tokens: list[Token] = []
        self._order = itertools.count()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []

    def at(self, moment: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (moment, next(self._order), action))

    def start(self, number: int, moment: float) -> None:
        parsed = ConnectionSettings.parse({"host": BASE, **FIELDS})
        nonces = itertools.count()
        api = Api.from_settings(
            parsed,
            clock=self.clock,
            rng=self.draw,
            make_nonce=lambda: f"{number}-{next(nonces)}",
            rotating_tokens=self.shelf,
        )
        flow = get_token(api, None, None)
        self.at(moment, lambda: self.step(flow, flow.__next__))

    def step(self, flow: Any, resume: Callable[[], Any]) -> None:
        try:
            effect = resume()
        except StopIteration as stop:
            self.tokens.append(stop.value)
            return
        match effect:
            case Log():
                self.step(flow, lambda: flow.send(None))
            case Sleep(seconds):
                self.at(self.clock() + seconds, lambda: self.step(flow, lambda: flow.send(None)))
            case RunBlocking(work):
                self.call(flow, work)
            case Send(request):
                self.call(flow, lambda: self.vendor(request))

    def call(self, flow: Any, work: Callable[[], Any]) -> None:
        begin, end = self.clock(), self.clock() + self.draw() * self.slowest
        result: list[Any] = []
        self.at(begin + self.draw() * (end - begin), lambda: result.append(work()))
        self.at(end, lambda: self.step(flow, lambda: flow.send(result[0])))

    def run(self) -> None:
        while self._queue:
            moment, _, action = heapq.heappop(self._queue)
            self.clock.now = moment
            action()


@given(seed=st.integers(0, 2**32), processes=st.integers(2, 8), slowest=st.sampled_from([0.1, 2.0, 5.0, 12.0]))
@settings(max_examples=20, deadline=None)
def test_processes_that_need_a_token_at_the_same_time_use_the_refresh_token_once(seed, processes, slowest):
    numbers = random.Random(seed)
    simulation = Simulation(numbers.random, slowest)
    for number in range(processes):
        simulation.start(number, START + numbers.random() * slowest)
    simulation.run()
    assert not simulation.vendor.revoked
    assert simulation.vendor.newest == 1
    assert [token.value for token in simulation.tokens] == ["a-1"] * processes
