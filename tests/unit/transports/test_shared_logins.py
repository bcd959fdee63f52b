"""Flows that need a token at the same time share one request for it."""

from __future__ import annotations

import itertools
import threading
from typing import Any

from airflow_provider_asyncapi.core.auth.tokens import Token
from airflow_provider_asyncapi.core.effects import (
    Flow,
    GetToken,
    RunBlocking,
    RunConcurrently,
    Sleep,
)
from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
    TransportError,
)
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.requests.exchange import send
from tests.loopback import reply
from tests.unit.eventually import wait_until
from tests.unit.transports.driving import START, Clock, make_api, run
from tests.unit.transports.flows import LOGIN, together


def noted(begun: list[int], flow: Flow[Any]) -> Flow[Any]:
    """Note that a flow has begun."""
    begun.append(1)
    return (yield from flow)


def test_a_token_is_got_once_for_all_who_wait(driver, serve):
    server = serve()
    begun: list[int] = []

    def log_in(connection: Any, asked: Any) -> bool:
        wait_until(lambda: len(begun) == 10)
        return reply({"token": "tok-one"})(connection, asked)

    server.routes |= {"/login": log_in, "/x": reply(b"")}
    api = make_api(server.url, **LOGIN)
    together(driver, api, [noted(begun, send(api, Request("GET", f"{server.url}/x"))) for _ in range(10)])
    asked = [request.target for request in server.asked]
    assert (asked.count("/login"), asked.count("/x")) == (1, 10)


def test_a_refused_token_is_renewed_once_for_all(driver, serve):
    server = serve()
    tokens = itertools.count(1)

    def log_in(connection: Any, asked: Any) -> bool:
        return reply({"token": f"tok-{next(tokens)}"})(connection, asked)

    def refuse_the_first(connection: Any, asked: Any) -> bool:
        return reply(b"", 401 if asked.headers["authorization"].endswith("-1") else 200)(connection, asked)

    server.routes |= {"/login": log_in, "/x": refuse_the_first}
    api = make_api(server.url, **LOGIN)
    answers = together(driver, api, [send(api, Request("GET", f"{server.url}/x")) for _ in range(10)])
    assert [answer.status for answer in answers] == [200] * 10
    assert next(tokens) == 3


def test_a_token_is_kept_until_it_is_due(driver, serve):
    server = serve()
    server.routes |= {"/login": reply({"token": "tok-one", "in": 100}), "/x": reply(b"")}
    clock = Clock()
    api = make_api(server.url, clock, **LOGIN, login_expiry="in")

    def thrice() -> Flow[None]:
        for pause in (80, 20, 1):
            yield from send(api, Request("GET", f"{server.url}/x"))
            yield Sleep(pause)

    run(driver, api, thrice())
    assert [asked.target for asked in server.asked] == ["/login", "/x", "/x", "/login", "/x"]


def test_a_login_that_fails_fails_in_the_flow_that_asked(driver, serve):
    server = serve(reply({"message": "no"}, 401), reply({"token": "tok-one"}))

    def flow() -> Flow[str]:
        try:
            yield GetToken()
        except AsyncApiError as error:
            kind = type(error).__name__
        yield Sleep(60)
        token = yield GetToken()
        return f"{kind}{token.value}"

    assert run(driver, make_api(server.url, **LOGIN), flow()).result == "AuthenticationErrortok-one"


def test_a_login_that_is_refused_is_refused_to_all_who_wait(driver, serve):
    server = serve()
    begun: list[int] = []

    def refuse(connection: Any, asked: Any) -> bool:
        wait_until(lambda: len(begun) == 10)
        return reply({"message": "wrong password"}, 401)(connection, asked)

    server.routes |= {"/login": refuse, "/x": reply(b"")}
    api = make_api(server.url, **LOGIN)
    answers = together(driver, api, [noted(begun, send(api, Request("GET", f"{server.url}/x"))) for _ in range(10)])
    assert {type(answer).__name__ for answer in answers} == {"AuthenticationError"}
    assert len({id(answer) for answer in answers}) == 10
    assert [asked.target for asked in server.asked] == ["/login"]


def test_a_flow_waits_for_the_login_of_another_only_as_long_as_it_has_time(driver, serve):
    server = serve()
    has_begun, is_over = threading.Event(), threading.Event()

    def log_in(connection: Any, asked: Any) -> Any:
        has_begun.set()
        is_over.wait(10)
        return reply({"token": "tok-one"})(connection, asked)

    server.routes["/login"] = log_in
    api = make_api(server.url, **LOGIN)

    def patient() -> Flow[str]:
        token: Token = yield GetToken()
        return token.value

    def late() -> Flow[str]:
        yield RunBlocking(has_begun.wait)
        try:
            yield GetToken(until=START)
        except TransportError as error:
            return f"{error}, sent: {error.sent}"
        finally:
            is_over.set()
        return "has waited"

    results: list[str] = []

    def both() -> Flow[None]:
        yield RunConcurrently([patient, late], 2, results.append)

    assert run(driver, api, both()).error is None
    assert results == ["tok-one", "the token request didn't end in time, sent: False"]
