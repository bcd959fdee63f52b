"""Flows that a flow runs at the same time."""

from __future__ import annotations

import contextlib
import threading
from functools import partial
from typing import Any

import pytest

from airflow_provider_asyncapi.core.effects import (
    Flow,
    RunBlocking,
    RunConcurrently,
    Send,
    Sleep,
)
from airflow_provider_asyncapi.core.errors import (
    ContentError,
    TransportError,
)
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.requests.exchange import send
from airflow_provider_asyncapi.transports import concurrency, log_only
from airflow_provider_asyncapi.transports.requests import RequestsDriver
from tests.loopback import reply, reset
from tests.unit.eventually import wait_until
from tests.unit.transports.driving import make_api, run
from tests.unit.transports.flows import together


def test_what_is_gathered_comes_in_order(driver, serve):
    server = serve()
    numbers = range(9)
    for number in numbers:
        server.routes[f"/{number}"] = reply({"n": number})
    api = make_api(server.url)

    taken: list[int] = []

    def gathering() -> Flow[None]:
        flows = (lambda n=n: send(api, Request("GET", f"{server.url}/{n}")) for n in numbers)
        yield RunConcurrently(flows, 3, lambda answer: taken.append(answer.json["n"]))

    assert run(driver, api, gathering()).error is None
    assert taken == list(numbers)


def test_who_is_slow_holds_up_those_behind(driver, serve):
    server = serve()
    begun: list[int] = []
    taken: list[int] = []
    held = threading.Event()

    def slow(connection: Any, asked: Any) -> bool:
        held.wait(10)
        return reply(b"")(connection, asked)

    server.routes |= {"/0": slow} | {f"/{number}": reply(b"") for number in range(1, 20)}
    api = make_api(server.url)

    def one(number: int) -> Flow[int]:
        begun.append(number)
        if number == 3:
            held.set()
        yield from send(api, Request("GET", f"{server.url}/{number}"))
        return number

    def gathering() -> Flow[None]:
        yield RunConcurrently((partial(one, number) for number in range(20)), 2, take)

    def take(number: int) -> None:
        if number == 0:
            assert max(begun) == 3
        taken.append(number)

    assert run(driver, api, gathering()).error is None
    assert taken == list(range(20))


def test_no_more_run_at_a_time_than_asked_for(driver, serve):
    server = serve()
    running, most, lock = 0, 0, threading.Lock()
    all_here = threading.Barrier(3)

    def count(connection: Any, asked: Any) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        all_here.wait(10)
        with lock:
            running -= 1
        return reply(b"")(connection, asked)

    server.routes["/x"] = count
    api = make_api(server.url)

    taken: list[Response] = []

    def gathering() -> Flow[None]:
        yield RunConcurrently([lambda: send(api, Request("GET", f"{server.url}/x"))] * 9, 3, taken.append)

    run(driver, api, gathering())
    assert len(taken) == 9
    assert most == 3


def test_one_that_fails_ends_those_that_have_not_begun(driver, serve):
    server = serve(reset)
    begun = []
    api = make_api(server.url)

    def one(number: int) -> Flow[None]:
        begun.append(number)
        yield from send(api, Request("GET", f"{server.url}/x"))

    def gathering() -> Flow[str]:
        try:
            yield RunConcurrently((partial(one, number) for number in range(50)), 1, log_only)
        except TransportError as error:
            return f"caught in the flow: {error}"
        return ""

    assert run(driver, api, gathering()).result.startswith("caught in the flow: GET")
    assert len(begun) < 5


def sleep_long(how: str, has_begun: threading.Event, ended: list[str], request: Request) -> Flow[Any]:
    """Sleep for hours: in the flow itself, in one that it runs concurrently, or before a request that has to wait."""

    def sleep() -> Flow[None]:
        has_begun.set()
        try:
            yield Sleep(36_000)
        finally:
            ended.append("sleep")

    if how == "in the flow":
        yield from sleep()
    elif how == "in a nested flow":
        yield RunConcurrently([sleep], 1, log_only)
    else:
        has_begun.set()
        try:
            for _ in range(2):
                yield Send(request)
        finally:
            ended.append("sleep")


SLEEPS = ("in the flow", "in a nested flow", "before a request")


@pytest.mark.timeout(30)
@pytest.mark.parametrize("how", SLEEPS)
def test_one_that_fails_wakes_those_that_sleep(driver, serve, how):
    server = serve(reply(b""))
    request, has_begun, ended = Request("GET", f"{server.url}/x"), threading.Event(), list[str]()

    def failing() -> Flow[None]:
        yield RunBlocking(has_begun.wait)
        raise ContentError("broken")

    def both() -> Flow[None]:
        yield RunConcurrently([lambda: sleep_long(how, has_begun, ended, request), failing], 2, log_only)

    (error,) = together(driver, make_api(server.url, requests_per_second=0.001), [both()])
    assert (type(error), str(error), ended) == (ContentError, "broken", ["sleep"])


@pytest.mark.timeout(30)
@pytest.mark.parametrize("how", SLEEPS)
def test_a_worker_that_is_killed_waits_for_no_thread_that_sleeps(serve, how):
    server = serve(reply(b""))
    request, has_begun, ended = Request("GET", f"{server.url}/x"), threading.Event(), list[str]()

    class Killed(BaseException):
        """Raised by Airflow's handler of the signal, between any two steps."""

    def kill(_: object) -> None:
        raise Killed

    def quick() -> Flow[None]:
        yield RunBlocking(has_begun.wait)

    def both() -> Flow[None]:
        yield RunConcurrently([quick, lambda: sleep_long(how, has_begun, ended, request)], 2, kill)

    with pytest.raises(Killed):
        together("requests", make_api(server.url, requests_per_second=0.001), [both()])
    assert ended == ["sleep"]


@pytest.mark.timeout(30)
def test_a_worker_that_is_killed_does_not_wait_for_a_thread_that_hangs(serve, monkeypatch):
    monkeypatch.setattr(concurrency, "KILL_TIMEOUT", 0.0)
    has_begun, is_over, ended = threading.Event(), threading.Event(), list[str]()

    class Killed(BaseException):
        """Raised by Airflow's handler of the signal, between any two steps."""

    def kill(_: object) -> None:
        raise Killed

    def quick() -> Flow[None]:
        yield RunBlocking(has_begun.wait)

    def hang() -> Flow[None]:
        has_begun.set()
        try:
            yield RunBlocking(partial(is_over.wait, 10))
        finally:
            ended.append("hang")

    def both() -> Flow[None]:
        yield RunConcurrently([quick, hang], 2, kill)

    with contextlib.closing(RequestsDriver(make_api(serve().url))) as driver:
        with pytest.raises(Killed):
            driver.run(both())
        assert ended == []
        is_over.set()
        wait_until(lambda: ended)
