"""Polls that are repeated until the response has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_asyncapi.core.effects import (
    Flow,
    Log,
    PollBatch,
    Polled,
    PollUntilChanged,
    Send,
)
from airflow_provider_asyncapi.core.errors import (
    ThrottledError,
)
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from tests.loopback import reply, reset
from tests.unit.transports.driving import make_api, open_aiohttp_driver, run, sending
from tests.unit.transports.flows import LOGIN, asking, jobs, make_batch


def test_a_worker_polls_a_job_alone_and_logs_for_its_observer(serve):
    server = serve(reply({"token": "a"}), reply(b"", 401), reply({"token": "b"}), jobs)
    api = make_api(server.url, **LOGIN)
    outcome = run("requests", api, asking(7))
    assert outcome.result == "state of 7"
    assert [event.message for event in outcome.events if isinstance(event, Log)] == [
        f"GET {server.url}/jobs?… answered 401: renewing the token"
    ]


def test_a_pause_that_the_api_asks_for_blocks_the_poll_of_a_job_on_a_worker(serve):
    server = serve(reply(b"", 429, retry_after="30"))

    def flow() -> Flow[bool]:
        yield Send(Request("GET", f"{server.url}/x"))
        try:
            yield PollBatch(make_batch(), 1, 1.0, lambda _: None)
        except ThrottledError:
            return True
        return False

    assert run("requests", make_api(server.url), flow()).result
    assert len(server.asked) == 1


def repeating(request: Request, skip_if_unchanged: Callable[[Response], Polled | None], **given: Any) -> Flow[Response]:
    response: Response = yield PollUntilChanged(Send(request, is_repeatable=True, **given), skip_if_unchanged)
    return response


def test_a_request_is_sent_again_until_its_answer_is_news(driver, serve):
    server = serve(reply(b"old"), reply(b"old"), reply(b"new"))
    polled = [Polled(JobHandle(1), number, 0, changed=False, at=0.0, pause=number) for number in (7, 8)]
    left = list(polled)

    def skip_if_unchanged(response: Response) -> Polled | None:
        return left.pop(0) if response.body == b"old" else None

    outcome = run(driver, make_api(server.url), repeating(Request("GET", f"{server.url}/x"), skip_if_unchanged))
    assert outcome.result.body == b"new"
    assert (outcome.events, outcome.sleeps) == (polled, [7, 8])
    assert {asked.connection for asked in server.asked} == {1}


def test_what_goes_wrong_on_the_way_is_told_to_the_flow(driver, serve):
    server = serve(reply(b"old"), reset)
    polled = Polled(JobHandle(1), 1, 0, changed=False, at=0.0, pause=1)
    outcome = run(driver, make_api(server.url), repeating(Request("GET", f"{server.url}/x"), lambda _: polled))
    assert outcome.failure[0] == "TransportError"
    assert outcome.events == [polled]


def test_a_hold_that_another_was_told_of_is_heeded_between_two_sends(serve, way):
    server = serve(reply(b"old"), reply(b"", 503, retry_after="30"))
    request = Request("GET", f"{server.url}/x")
    api = make_api(server.url)

    async def main() -> None:
        client = open_aiohttp_driver(way, api)
        polled, seen = Polled(JobHandle(1), 1, 0, changed=False, at=0.0, pause=0.05), asyncio.Event()

        def skip_if_unchanged(_: Response) -> Polled:
            seen.set()
            return polled

        try:
            waiting = asyncio.create_task(client.run(repeating(request, skip_if_unchanged, can_wait=True)))
            await seen.wait()
            await client.run(sending(request))
            with pytest.raises(ThrottledError):
                await waiting
        finally:
            await client.close()

    asyncio.run(main())
    assert len(server.asked) == 2
