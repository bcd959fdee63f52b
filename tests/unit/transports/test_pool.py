"""Connections that are handed from one request straight to the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from yarl import URL

from airflow_provider_asyncapi.transports.pool import Pool, has_been_used

pytestmark = pytest.mark.timeout(30)


class Listener:
    """Takes connections, and tells how many there were and which of them are open."""

    def __init__(self) -> None:
        self.writers: list[asyncio.StreamWriter] = []
        self.open = 0
        self.port = 0

    async def taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        self.open += 1
        await reader.read()
        self.open -= 1
        writer.close()


def pooling(
    scenario: Callable[[Pool, Any, Listener], Awaitable[None]], *, limit: int = 0, kept_for: float = 60
) -> None:
    """Run a scenario with a pool of connections, and what it connects to."""

    async def main() -> None:
        listener = Listener()
        async with await asyncio.start_server(listener.taken, "127.0.0.1", 0) as server:
            url = URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            route = aiohttp.ClientRequest("GET", url, loop=asyncio.get_running_loop())
            pool = Pool(aiohttp.TCPConnector(limit_per_host=limit), aiohttp.ClientTimeout(), kept_for)
            try:
                await scenario(pool, route, listener)
            finally:
                await pool.close()
            await until(lambda: listener.open == 0)

    asyncio.run(main())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.005)


def test_a_connection_is_handed_on():
    async def scenario(pool: Pool, route: Any, listener: Listener) -> None:
        first = await pool.connect(route)
        pool.release(route, first)
        assert await pool.connect(route) is first
        other = await pool.connect(route)
        assert other is not first
        pool.release(route, first)
        pool.release(route, other)
        assert await pool.connect(route) is other, "those that aren't needed have to grow old"
        pool.release(route, other)

    pooling(scenario)


def test_whoever_waits_for_one_gets_it():
    async def scenario(pool: Pool, route: Any, listener: Listener) -> None:
        first = await pool.connect(route)
        waiting = [asyncio.create_task(pool.connect(route)) for _ in range(2)]
        await asyncio.sleep(0)
        pool.release(route, first)
        second = await waiting[0]
        assert not waiting[1].done()
        pool.release(route, second)
        pool.release(route, await waiting[1])
        assert len(listener.writers) == 1

    pooling(scenario, limit=1)


def test_one_that_nobody_uses_is_closed():
    async def scenario(pool: Pool, route: Any, listener: Listener) -> None:
        pool.release(route, await pool.connect(route))
        await until(lambda: listener.open == 1)
        await until(lambda: listener.open == 0)
        # Once more, for the sweeping ends where nothing is left.
        pool.release(route, await pool.connect(route))
        await until(lambda: len(listener.writers) == 2)
        await until(lambda: listener.open == 0)

    pooling(scenario, kept_for=0.05)


def test_one_that_is_too_old_is_not_used(monkeypatch):
    async def scenario(pool: Pool, route: Any, listener: Listener) -> None:
        first = await pool.connect(route)
        pool.release(route, first)
        loop = asyncio.get_running_loop()
        later = loop.time() + 61
        with monkeypatch.context() as patched:
            patched.setattr(loop, "time", lambda: later)
            second = await pool.connect(route)
        assert first.closed
        pool.release(route, second)

    pooling(scenario)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n"])
def test_one_that_the_server_has_spoken_on_or_closed_is_not_used(said):
    async def scenario(pool: Pool, route: Any, listener: Listener) -> None:
        first = await pool.connect(route)
        first.protocol.set_response_params()
        pool.release(route, first)
        await until(lambda: listener.open == 1)
        if said:
            listener.writers[0].write(said)
        else:
            listener.writers[0].close()
        await until(lambda: first.protocol is None or first.protocol.should_close)
        second = await pool.connect(route)
        assert second is not first
        pool.release(route, second)

    pooling(scenario)


def test_where_a_new_one_is_wanted_an_idle_one_makes_room():
    async def scenario(pool: Pool, route: Any, listener: Listener) -> None:
        first = await pool.connect(route)
        pool.release(route, first)
        second = await pool.connect(route, new=True)
        assert first.closed
        assert not has_been_used(second)
        pool.release(route, second)
        assert len(listener.writers) == 2

    pooling(scenario, limit=1)


def test_where_a_new_one_is_wanted_nobody_gets_what_another_gives_back():
    async def scenario(pool: Pool, route: Any, listener: Listener) -> None:
        first = await pool.connect(route)
        first.protocol.set_response_params(read_timeout=1)
        assert has_been_used(first)
        waiting = asyncio.create_task(pool.connect(route, new=True))
        await asyncio.sleep(0)
        pool.release(route, first)
        second = await waiting
        assert not has_been_used(second)
        pool.release(route, second)
        assert len(listener.writers) == 2

    pooling(scenario, limit=1)
