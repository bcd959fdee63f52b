"""Jobs that are polled together, round by round."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest

from airflow_provider_asyncapi.core.effects import (
    Polled,
)
from airflow_provider_asyncapi.core.errors import (
    ContentError,
)
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.wait.batch_plan import BatchResponse
from airflow_provider_asyncapi.transports.aiohttp import AiohttpDriver
from tests.loopback import reset
from tests.unit.eventually import until
from tests.unit.transports.driving import make_api, open_aiohttp_driver, run
from tests.unit.transports.flows import asking, jobs


def rounds(server: Any, flows: Callable[[AiohttpDriver], Any]) -> list[str]:
    """Run something with a driver; give which jobs were asked for, request by request."""
    api = make_api(server.url)

    async def main() -> None:
        client = open_aiohttp_driver("fast path", api)
        try:
            await flows(client)
        finally:
            await client.close()
        await asyncio.sleep(0)
        assert client._batch_poller.is_idle

    asyncio.run(main())
    return [unquote(asked.target.partition("ids=")[2]) for asked in server.asked]


@pytest.fixture
def many(serve):
    server = serve()
    server.routes["/jobs"] = jobs
    return server


def test_alone_a_job_is_asked_for_alike(driver, many):
    many.routes["/jobs?ids=7"] = jobs
    assert run(driver, make_api(many.url), asking(7, interval=0.01)).result == "state of 7"


def test_those_who_ask_alike_share_a_request_and_each_is_told_its_own(many):
    async def scenario(client: AiohttpDriver) -> None:
        told = await asyncio.gather(*[client.run(asking(number)) for number in (1, 2, 3, 2)])
        assert told == [f"state of {number}" for number in (1, 2, 3, 2)]

    assert rounds(many, scenario) == ["1,2,3"]


def test_no_request_asks_for_more_than_fit(many):
    async def scenario(client: AiohttpDriver) -> None:
        await asyncio.gather(*[client.run(asking(number, size=2)) for number in range(5)])

    assert sorted(rounds(many, scenario)) == ["0,1", "2,3", "4"]


def test_those_who_ask_otherwise_do_not_share(many):
    async def scenario(client: AiohttpDriver) -> None:
        others = [asking(2, interval=0.4), asking(3, size=9)]
        await asyncio.gather(*map(client.run, [asking(1), *others]))

    assert sorted(rounds(many, scenario)) == ["1", "2", "3"]


def test_a_job_that_joins_is_in_the_next_round_and_none_is_asked_for_twice_in_an_interval(many):
    moments = []

    async def waiting(client: AiohttpDriver, number: int, times: int) -> None:
        for _ in range(times):
            await client.run(asking(number))
            moments.append(time.monotonic())
            await asyncio.sleep(0.3)

    async def scenario(client: AiohttpDriver) -> None:
        first = asyncio.create_task(waiting(client, 1, 3))
        await asyncio.sleep(0.15)
        await asyncio.gather(first, waiting(client, 2, 2))

    assert [sorted(asked) for asked in rounds(many, scenario)] == [["1"], [",", "1", "2"], [",", "1", "2"]]
    assert moments[-1] - moments[0] >= 0.6


def test_a_job_that_nobody_waits_for_any_more_is_not_asked_for(many):
    async def scenario(client: AiohttpDriver) -> None:
        waits = [asyncio.create_task(client.run(asking(number))) for number in (1, 2)]
        await asyncio.sleep(0)
        waits[0].cancel()
        await waits[1]

    assert rounds(many, scenario) == ["2"]


def test_what_goes_wrong_is_told_to_each(many):
    many.routes["/jobs"] = reset

    async def scenario(client: AiohttpDriver) -> None:
        told = await asyncio.gather(*[client.run(asking(number)) for number in (1, 2)], return_exceptions=True)
        assert [type(error).__name__ for error in told] == ["TransportError"] * 2
        assert told[0] is not told[1]

    assert rounds(many, scenario) == ["1,2"]


def test_who_is_not_to_be_woken_is_asked_for_again_and_its_observer_is_told(many):
    polled = [Polled(JobHandle(1), number, 0, changed=False, at=0.0) for number in (1, 2)]
    left = list(polled)
    told: list[Any] = []

    async def scenario(client: AiohttpDriver) -> None:
        asked = asking(1, interval=0.02, skip_if_unchanged=lambda _: left.pop(0) if left else None)
        waits = [client.run(asked, observe=told.append), client.run(asking(2, interval=0.02))]
        assert await asyncio.gather(*waits) == ["state of 1", "state of 2"]

    assert rounds(many, scenario) == ["1,2", "1", "1"]
    assert told == polled


def test_who_is_not_to_be_woken_and_goes_is_not_asked_for_again(many):
    async def scenario(client: AiohttpDriver) -> None:
        seen = asyncio.Event()

        def skip_if_unchanged(_: BatchResponse) -> Polled:
            seen.set()
            return Polled(JobHandle(1), 1, 0, changed=False, at=0.0)

        wait = asyncio.create_task(client.run(asking(1, interval=0.02, skip_if_unchanged=skip_if_unchanged)))
        await seen.wait()
        wait.cancel()
        await until(lambda: client._batch_poller.is_idle)

    assert rounds(many, scenario) == ["1"]


def test_an_answer_that_one_cannot_judge_holds_up_nobody(many):
    def skip_if_unchanged(_: BatchResponse) -> None:
        raise ContentError("no such item")

    async def scenario(client: AiohttpDriver) -> None:
        waits = [client.run(asking(1, skip_if_unchanged=skip_if_unchanged)), client.run(asking(2))]
        told = await asyncio.wait_for(asyncio.gather(*waits, return_exceptions=True), 10)
        assert isinstance(told[0], ContentError)

    assert rounds(many, scenario) == ["1,2"]
