"""The times at which each driver sends: the rate of the connection, pauses that an API asks for, and deadlines."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider_asyncapi.core.effects import (
    Flow,
    PollBatch,
    Polled,
    PollUntilChanged,
    Send,
    Sleep,
)
from airflow_provider_asyncapi.core.errors import (
    ThrottledError,
)
from airflow_provider_asyncapi.core.http.delays import Delay, Reason
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from tests.loopback import reply
from tests.unit.transports.driving import START, Clock, make_api, open_aiohttp_driver, run, run_all, sending
from tests.unit.transports.flows import Memory, jobs, make_batch, together


def test_a_pause_that_the_api_asks_for_blocks_all_requests_that_can_wait(driver, serve):
    server = serve(reply(b"", 429, retry_after="30"), reply(b"urgent"), reply(b"fine"))
    clock = Clock()
    request = Request("GET", f"{server.url}/x")

    def flow() -> Flow[list[Any]]:
        first = yield Send(request, can_wait=True)
        try:
            yield Send(request, can_wait=True)
        except ThrottledError as held:
            seconds = held.seconds
        urgent = yield Send(request)
        yield Sleep(30)
        return [first.status, seconds, urgent.body, (yield Send(request, can_wait=True)).body]

    assert run(driver, make_api(server.url, clock), flow()).result == [429, 30, b"urgent", b"fine"]


def test_a_pause_that_another_host_asks_for_blocks_no_request(driver, serve):
    server, other = serve(reply(b"")), serve(reply(b"", 503, retry_after="30"))
    flows = [sending(Request("GET", f"{url}/x"), can_wait=True) for url in (other.url, server.url)]
    assert [outcome.result.status for outcome in run_all(driver, make_api(server.url), flows)] == [503, 200]


def test_requests_keep_the_pace(driver, serve):
    server = serve()
    server.routes["/x"] = reply(b"")
    request = Request("GET", f"{server.url}/x")
    api = make_api(server.url, requests_per_second=4)
    outcomes = run_all(driver, api, [sending(request) for _ in range(3)], steady=lambda: 7.0)
    # The clock stands still here, so each request waits for its own slot.
    assert [outcome.sleeps for outcome in outcomes] == [[], [0.25], [0.5]]


def test_a_slot_that_nobody_took_is_not_saved_up(driver, serve):
    server = serve()
    server.routes["/x"] = reply(b"")
    request = Request("GET", f"{server.url}/x")
    api = make_api(server.url, requests_per_second=1)
    now = iter([0.0, 100.0, 100.0])
    clock = Moment()

    def one() -> Flow[Response]:
        clock.now = next(now)
        response: Response = yield Send(request, Memory())
        return response

    outcomes = run_all(driver, api, [one() for _ in range(3)], steady=clock)
    assert [outcome.sleeps for outcome in outcomes] == [[], [], [1.0]]


def test_no_slot_is_waited_for_that_comes_too_late_and_none_is_lost(driver, serve):
    server = serve()
    server.routes["/x"] = reply(b"")
    request = Request("GET", f"{server.url}/x")
    api = make_api(server.url, requests_per_second=0.1)
    flows = [sending(request), sending(request, until=START + 9), sending(request, until=START + 11)]
    outcomes = run_all(driver, api, flows, steady=lambda: 7.0)
    assert [outcome.sleeps for outcome in outcomes] == [[], [], [10.0]]
    assert outcomes[1].error == (
        "TransportError", f"GET {server.url}/x: aborted: its response is no longer needed", False
    )  # fmt: skip


def test_nothing_is_sent_for_which_the_time_is_over_though_a_connection_is_open(driver, serve):
    server = serve()
    server.routes["/x"] = reply(b"")
    request = Request("GET", f"{server.url}/x")
    outcomes = run_all(driver, make_api(server.url), [sending(request), sending(request, until=START - 5)])
    assert outcomes[1].error == (
        "TransportError", f"GET {server.url}/x: aborted: its response is no longer needed", False
    )  # fmt: skip
    assert len(server.asked) == 1


class Moment:
    """A clock that others set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_answer_says_how_long_its_request_waited_for_its_slot(driver, serve):
    server = serve()
    server.routes["/x"] = reply(b"")
    request = Request("GET", f"{server.url}/x")
    api = make_api(server.url, requests_per_second=0.5)
    outcomes = run_all(driver, api, [sending(request) for _ in range(2)], steady=lambda: 7.0)
    assert [outcome.result.delay for outcome in outcomes] == [None, Delay(2.0, Reason.RATE)]


def test_an_answer_says_how_long_its_request_waited_for_a_connection(serve, monkeypatch, way):
    monkeypatch.setattr("airflow_provider_asyncapi.core.http.delays.ON_TIME", 1e-9)
    server = serve()
    server.routes["/x"] = reply(b"")
    api = make_api(server.url, connections_per_host=1)
    answers = together(way, api, [sending(Request("GET", f"{server.url}/x")) for _ in range(2)])
    first, second = (answer.delay for answer in answers)
    assert first is None
    assert second.reason is Reason.CONNECTIONS
    assert second.seconds > 0


@pytest.mark.parametrize("sleeps", ["the flow", "the driver", "a round"])
def test_an_answer_says_how_late_a_busy_event_loop_was(serve, sleeps, way):
    """The loop is held up for as long as the sleep, and then some."""
    server = serve()
    server.routes |= {"/x": reply(b"x"), "/jobs": jobs}
    api = make_api(server.url)
    request = Request("GET", f"{server.url}/x")
    told: list[Any] = []

    async def oversleep(seconds: float) -> None:
        later[0] += seconds + 2

    def flow() -> Flow[Any]:
        if sleeps == "a round":
            answers = yield PollBatch(make_batch(), 1, 1.0, lambda _: None)
            return answers.response_for(1).delay
        if sleeps == "the flow":
            yield Sleep(1.0)
            return (yield Send(request)).delay
        polled = Polled(JobHandle(1), 1, 0, changed=False, at=0.0, pause=1.0)
        left = [polled, None]
        return (yield PollUntilChanged(Send(request), lambda _: left.pop(0))).delay

    later = [0.0]

    async def main() -> Any:
        client = open_aiohttp_driver(way, api, sleep=oversleep)
        loop = asyncio.get_running_loop()
        client._loop = type("Late", (), {"time": lambda _: loop.time() + later[0]})()
        try:
            return await client.run(flow(), observe=told.append)
        finally:
            await client.close()

    delay = asyncio.run(main())
    assert delay.reason is Reason.EVENT_LOOP
    assert 1.9 < delay.seconds < 6
