"""Looking at large answers without holding the event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from airflow_provider_asyncapi.core.effects import Flow, Log, PollBatch, Send, Sleep
from airflow_provider_asyncapi.core.errors import ContentError, SlowResponseError
from airflow_provider_asyncapi.core.flow_steps import FlowSteps
from airflow_provider_asyncapi.core.http.messages import MAX_BODY, Request, Response, ResponsePart
from airflow_provider_asyncapi.core.wait.batch_plan import BatchResponse
from airflow_provider_asyncapi.transports.aiohttp import AiohttpDriver
from airflow_provider_asyncapi.transports.step_threads import StepThreads, is_expensive
from airflow_provider_asyncapi.transports.tls import tls_context
from tests.loopback import reply
from tests.unit.transports.driving import Clock, make_api

LARGE, SMALL = b"x" * 100_000, b"x" * 100


@pytest.fixture
def server(serve):
    server = serve()
    server.routes |= {"/large": reply(LARGE), "/small": reply(SMALL)}
    return server


def run(server: Any, main: Callable[[AiohttpDriver], Awaitable[Any]]) -> Any:
    api = make_api(server.url)

    async def with_client() -> Any:
        client = AiohttpDriver(api, tls_context(api.settings))
        try:
            return await main(client)
        finally:
            await client.close()

    return asyncio.run(with_client())


def send(server: Any, path: str) -> Send:
    return Send(Request("GET", f"{server.url}{path}"))


def test_a_large_answer_is_looked_at_on_a_thread_until_the_flow_asks_for_something_else(server):
    def flow() -> Flow[list[int]]:
        threads = []
        for path in ("/small", "/large", "/small"):
            yield send(server, path)
            threads.append(threading.get_ident())
            yield Log(logging.INFO, "seen")
            threads.append(threading.get_ident())
            yield Sleep(0)
            threads.append(threading.get_ident())
        return threads

    here = threading.get_ident()
    threads = run(server, lambda client: client.run(flow()))
    assert [thread == here for thread in threads] == [True] * 3 + [False, False, True] + [True] * 3


def test_while_a_large_answer_is_looked_at_others_are_served(server):
    looked_at = threading.Event()

    def slow() -> Flow[bool]:
        yield send(server, "/large")
        return looked_at.wait(30)

    def quick() -> Flow[int]:
        response = yield send(server, "/small")
        return len(response.body)

    async def main(client: AiohttpDriver) -> tuple[bool, int]:
        waiting = asyncio.create_task(client.run(slow()))
        size = await client.run(quick())
        looked_at.set()
        return await waiting, size

    assert run(server, main) == (True, len(SMALL))


def test_an_answer_may_hold_as_many_values_for_a_selector_that_searches_all_as_its_limit_has_room_for(server):
    def flow() -> Flow[list[int | None]]:
        found = []
        for limit in (MAX_BODY, 10 * MAX_BODY):
            response = yield Send(Request("GET", f"{server.url}/small"), limit=limit)
            found.append(response.max_values)
        return found

    assert run(server, lambda client: client.run(flow())) == [32_768, 327_680]


def test_what_is_wrong_with_a_large_answer_is_raised(server):
    def flow() -> Flow[None]:
        yield send(server, "/large")
        raise ContentError("no JSON")

    with pytest.raises(ContentError, match="no JSON"):
        run(server, lambda client: client.run(flow()))


def test_a_wait_is_cancelled_at_once_and_its_flow_closed_once_the_look_is_over(server):
    looking, looked_at, closed = threading.Event(), threading.Event(), threading.Event()
    steps = []

    def flow() -> Flow[None]:
        try:
            yield send(server, "/large")
            looking.set()
            looked_at.wait(30)
            steps.append("looked")
            yield Sleep(0)
            steps.append("went on")
        finally:
            closed.set()

    async def main(client: AiohttpDriver) -> bool:
        waiting = asyncio.create_task(client.run(flow()))
        # The second has to wait for the thread, and is never begun.
        behind = asyncio.create_task(client.run(flow()))
        await asyncio.to_thread(looking.wait, 30)
        waiting.cancel()
        behind.cancel()
        await asyncio.wait({waiting, behind})
        was_looking = not looked_at.is_set()
        looked_at.set()
        return was_looking and await asyncio.to_thread(closed.wait, 30)

    assert run(server, main)
    assert "went on" not in steps


def test_a_wait_is_ended_at_its_deadline_though_its_answer_is_still_looked_at(server):
    clock, closed = Clock(), threading.Event()

    def flow() -> Flow[None]:
        try:
            yield Send(Request("GET", f"{server.url}/large"), until=clock() + 10)
            yield Log(logging.INFO, "looked at a part")
        finally:
            closed.set()

    async def main() -> None:
        api = make_api(server.url, clock)
        client = AiohttpDriver(api, tls_context(api.settings))
        try:
            await client.run(flow(), observe=lambda _: clock.__setattr__("now", clock() + 60))
        finally:
            await client.close()

    with pytest.raises(SlowResponseError, match=r"GET .*/large: the response could not be searched in time"):
        asyncio.run(main())
    assert closed.is_set()


class Look:
    """A flow whose first step isn't over before it is told so."""

    def __init__(self) -> None:
        self.begun, self.may_end, self.is_closed = threading.Event(), threading.Event(), threading.Event()
        self.steps: Any = FlowSteps(self._flow())

    def _flow(self) -> Flow[None]:
        try:
            self.begun.set()
            self.may_end.wait(30)
            yield Sleep(0)
        finally:
            self.is_closed.set()

    async def has_begun(self) -> bool:
        return await asyncio.to_thread(self.begun.wait, 30)


def test_a_step_that_is_given_up_closes_its_flow_once_it_is_over():
    async def main() -> None:
        threads, look = StepThreads(), Look()
        with pytest.raises(SlowResponseError, match="job 7: the response could not be searched in time"):
            await threads.step(look.steps, ask(7), 0)
        assert await look.has_begun()
        assert not look.is_closed.is_set()
        look.may_end.set()
        assert await asyncio.to_thread(look.is_closed.wait, 30)
        threads.close()

    asyncio.run(main())


def test_steps_that_wait_for_their_turn_are_given_up_at_their_deadline_too():
    async def main() -> None:
        threads, slow, behind = StepThreads(), Look(), Look()
        looking = asyncio.create_task(threads.step(slow.steps, ask(1), None))
        assert await slow.has_begun()
        with pytest.raises(SlowResponseError):
            await threads.step(behind.steps, ask(2), 0)
        assert not behind.begun.is_set()
        slow.may_end.set()
        assert await looking == Sleep(0)
        threads.close()

    asyncio.run(main())


def test_others_are_looked_at_beside_steps_that_take_very_long_on_four_threads_at_most():
    async def main() -> None:
        threads, looks = StepThreads(patience=0), [Look() for _ in range(6)]
        tasks = [asyncio.create_task(threads.step(look.steps, ask(number), None)) for number, look in enumerate(looks)]
        for look in looks[:4]:
            assert await look.has_begun()
        # Whoever could begin now would have by the time that these come back.
        for _ in range(50):
            await asyncio.sleep(0)
        assert [look.begun.is_set() for look in looks] == [True] * 4 + [False] * 2
        for ended, begins in ((looks[1], looks[4]), (looks[0], looks[5])):
            ended.may_end.set()
            assert await begins.has_begun()
        for look in looks:
            look.may_end.set()
        assert await asyncio.gather(*tasks) == [Sleep(0)] * 6
        # All have given their turns back: one, as at the beginning.
        assert threads._turn._value == 1
        threads.close()

    asyncio.run(main())


def ask(identifier: int) -> PollBatch:
    return PollBatch(None, identifier, 1.0, skip_if_unchanged=lambda _: None)  # type: ignore[arg-type]  # the batch isn't looked at


def test_of_an_answer_about_many_jobs_each_ones_part_counts():
    whole = Response(200, body=LARGE)
    nested: Any = []
    for _ in range(5000):
        nested = [nested]
    items = {
        "1": ResponsePart(whole, {"state": "running"}),
        "2": ResponsePart(whole, "x" * 10_000),
        "3": ResponsePart(whole, nested),
    }
    answers = BatchResponse(Request("GET", "https://x"), whole, items)
    assert [is_expensive(ask(number), answers) for number in (1, 2, 3, 4)] == [False, True, True, False]
    assert is_expensive(ask(1), BatchResponse(Request("GET", "https://x"), whole, None))
    assert not is_expensive(Sleep(1), None)
