"""Looking at large answers without holding the event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from airflow_provider_asyncapi.core.batch import Answers
from airflow_provider_asyncapi.core.effects import MAX_BODY, Ask, Flow, Log, Send, Sleep
from airflow_provider_asyncapi.core.errors import ContentError
from airflow_provider_asyncapi.core.messages import Part, Request, Response
from airflow_provider_asyncapi.transports.aiohttp import AiohttpDriver, open_connector
from airflow_provider_asyncapi.transports.stepping import costs_much
from airflow_provider_asyncapi.transports.tls import tls_context
from tests.unit.transports.driving import make_api
from tests.unit.transports.loopback import reply

LARGE, SMALL = b"x" * 100_000, b"x" * 100


@pytest.fixture
def server(serve):
    server = serve()
    server.routes |= {"/large": reply(LARGE), "/small": reply(SMALL)}
    return server


def run(server: Any, main: Callable[[AiohttpDriver], Awaitable[Any]]) -> Any:
    api = make_api(server.url)

    async def with_client() -> Any:
        client = AiohttpDriver(api, open_connector(api.settings, tls_context(api.settings)))
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


def ask(identifier: int) -> Ask:
    return Ask(None, identifier, 1.0, patient=True, passed=lambda _: None)  # type: ignore[arg-type]


def test_of_an_answer_about_many_jobs_each_ones_part_counts():
    whole = Response(200, body=LARGE)
    nested: Any = []
    for _ in range(5000):
        nested = [nested]
    items = {"1": Part(whole, {"state": "running"}), "2": Part(whole, "x" * 10_000), "3": Part(whole, nested)}
    answers = Answers(Request("GET", "https://x"), whole, items)
    assert [costs_much(ask(number), answers) for number in (1, 2, 3, 4)] == [False, True, True, False]
    assert costs_much(ask(1), Answers(Request("GET", "https://x"), whole, None))
    assert not costs_much(Sleep(1), None)
