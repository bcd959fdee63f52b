"""Connections that are handed from one request straight to the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from yarl import URL

from airflow_provider_asyncapi.transports.error_translation import PoolFullError
from airflow_provider_asyncapi.transports.fast_path.pool import Pool, has_been_used
from tests.unit.eventually import until

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
    scenario: Callable[[Pool, str, Listener], Awaitable[None]], *, limit: int = 9, idle_timeout: float = 60
) -> None:
    """Run a scenario with a pool of connections, and what it connects to."""

    async def main() -> None:
        listener = Listener()
        async with await asyncio.start_server(listener.taken, "127.0.0.1", 0) as server:
            name = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            pool = Pool(aiohttp.TCPConnector(limit=0), make_route, timeout=10, limit=limit, idle_timeout=idle_timeout)
            try:
                await scenario(pool, name, listener)
            finally:
                await pool.close()
            await until(lambda: listener.open == 0)

    asyncio.run(main())


def make_route(name: str) -> aiohttp.ClientRequest:
    return aiohttp.ClientRequest("GET", URL(name), loop=asyncio.get_running_loop())


async def connected(pool: Pool, name: str, **given: Any) -> Any:
    connection, _ = await pool.connect(name, **given)
    return connection


def test_a_connection_is_handed_on():
    async def scenario(pool: Pool, name: str, listener: Listener) -> None:
        first = await connected(pool, name)
        pool.release(name, first)
        assert await connected(pool, name) is first
        other = await connected(pool, name)
        assert other is not first
        pool.release(name, first)
        pool.release(name, other)
        assert await connected(pool, name) is other, "those that aren't needed have to grow old"
        pool.release(name, other)

    pooling(scenario)


def test_whoever_waits_for_one_gets_it():
    async def scenario(pool: Pool, name: str, listener: Listener) -> None:
        first = await connected(pool, name)
        waiting = [asyncio.create_task(connected(pool, name)) for _ in range(2)]
        await asyncio.sleep(0)
        pool.release(name, first)
        second = await waiting[0]
        assert not waiting[1].done()
        pool.release(name, second)
        pool.release(name, await waiting[1])
        assert len(listener.writers) == 1

    pooling(scenario, limit=1)


def test_one_that_nobody_uses_is_closed():
    async def scenario(pool: Pool, name: str, listener: Listener) -> None:
        pool.release(name, await connected(pool, name))
        await until(lambda: listener.open == 1)
        await until(lambda: listener.open == 0)
        # Once more, for the sweeping ends where nothing is left.
        pool.release(name, await connected(pool, name))
        await until(lambda: len(listener.writers) == 2)
        await until(lambda: listener.open == 0)

    pooling(scenario, idle_timeout=0.05)


def test_one_that_is_too_old_is_not_used(monkeypatch):
    async def scenario(pool: Pool, name: str, listener: Listener) -> None:
        first = await connected(pool, name)
        pool.release(name, first)
        loop = asyncio.get_running_loop()
        later = loop.time() + 61
        with monkeypatch.context() as patched:
            patched.setattr(loop, "time", lambda: later)
            second = await connected(pool, name)
        assert first.closed
        pool.release(name, second)

    pooling(scenario)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n"])
def test_one_that_the_server_has_spoken_on_or_closed_is_not_used(said):
    async def scenario(pool: Pool, name: str, listener: Listener) -> None:
        first = await connected(pool, name)
        first.protocol.set_response_params()
        pool.release(name, first)
        await until(lambda: listener.open == 1)
        if said:
            listener.writers[0].write(said)
        else:
            listener.writers[0].close()
        await until(lambda: first.protocol is None or first.protocol.should_close)
        second = await connected(pool, name)
        assert second is not first
        pool.release(name, second)

    pooling(scenario)


def test_where_a_new_one_is_wanted_an_idle_one_makes_room():
    async def scenario(pool: Pool, name: str, listener: Listener) -> None:
        first = await connected(pool, name)
        pool.release(name, first)
        second = await connected(pool, name, needs_new_connection=True)
        assert first.closed
        assert not has_been_used(second)
        pool.release(name, second)
        assert len(listener.writers) == 2

    pooling(scenario, limit=1)


def test_where_a_new_one_is_wanted_nobody_gets_what_another_gives_back():
    async def scenario(pool: Pool, name: str, listener: Listener) -> None:
        first = await connected(pool, name)
        first.protocol.set_response_params(read_timeout=1)
        assert has_been_used(first)
        waiting = asyncio.create_task(connected(pool, name, needs_new_connection=True))
        await asyncio.sleep(0)
        pool.release(name, first)
        second = await waiting
        assert not has_been_used(second)
        pool.release(name, second)
        assert len(listener.writers) == 2

    pooling(scenario, limit=1)


def test_a_limit_holds_and_whoever_gives_up_waiting_says_why():
    async def scenario(pool: Pool, name: str, listener: Listener) -> None:
        first = await connected(pool, name)
        with pytest.raises(PoolFullError):
            await pool.connect(name, within=0.01)
        waiting = asyncio.create_task(pool.connect(name))
        await asyncio.sleep(0)
        pool.release(name, first)
        same, waited = await waiting
        assert same is first
        assert waited > 0
        pool.release(name, first)

    pooling(scenario, limit=1)


def test_without_a_limit_nobody_waits_but_for_others_to_have_connected(monkeypatch):
    monkeypatch.setattr("airflow_provider_asyncapi.transports.fast_path.pool.MAX_OPENING", 10)
    most = 0

    async def scenario(pool: Pool, name: str, listener: Listener) -> None:
        opened = pool._connector.connect

        async def connect(*given: Any, **more: Any) -> Any:
            nonlocal most
            most = max(most, pool._servers[name].opening)
            return await opened(*given, **more)

        monkeypatch.setattr(pool._connector, "connect", connect)
        got = await asyncio.gather(*[pool.connect(name) for _ in range(50)])
        assert pool._servers[name].opening == 0
        for connection, _ in got:
            pool.release(name, connection)
        assert (pool._servers[name].taken, len(pool._servers[name].idle)) == (0, 50)

    pooling(scenario, limit=1000)
    assert most == 10


def test_what_becomes_free_is_used_before_another_is_opened(monkeypatch):
    monkeypatch.setattr("airflow_provider_asyncapi.transports.fast_path.pool.MAX_OPENING", 1)

    async def scenario(pool: Pool, name: str, listener: Listener) -> None:
        first = await connected(pool, name)
        waiting = [asyncio.create_task(connected(pool, name)) for _ in range(3)]
        await asyncio.sleep(0)
        pool.release(name, first)
        got = [await each for each in waiting]
        assert first in got
        for connection in got:
            pool.release(name, connection)
        assert len(listener.writers) == 3

    pooling(scenario)


def test_a_broken_connection_makes_room_for_another():
    async def scenario(pool: Pool, name: str, listener: Listener) -> None:
        first = await connected(pool, name)
        waiting = asyncio.create_task(connected(pool, name))
        await asyncio.sleep(0)
        pool.discard(name, first)
        second = await waiting
        assert second is not first
        pool.release(name, second)

    pooling(scenario, limit=1)


def test_a_connection_that_can_not_be_opened_takes_no_room():
    async def scenario(pool: Pool, name: str, listener: Listener) -> None:
        for _ in range(3):
            with pytest.raises(aiohttp.ClientError):
                await pool.connect("http://127.0.0.1:9")
        assert not pool._servers

    pooling(scenario, limit=1)


@pytest.mark.parametrize("is_open", [True, False])
def test_a_turn_that_comes_as_its_owner_is_cancelled_is_the_next_ones(is_open):
    async def scenario(pool: Pool, name: str, listener: Listener) -> None:
        first = await connected(pool, name)
        waiting = [asyncio.create_task(connected(pool, name)) for _ in range(2)]
        await asyncio.sleep(0)
        if is_open:
            pool.release(name, first)
        else:
            pool.discard(name, first)
        waiting[0].cancel()
        pool.release(name, await waiting[1])
        assert waiting[0].cancelled()

    pooling(scenario, limit=1)


def test_whoever_is_cancelled_before_his_turn_takes_none():
    async def scenario(pool: Pool, name: str, listener: Listener) -> None:
        first = await connected(pool, name)
        waiting = [asyncio.create_task(connected(pool, name)) for _ in range(2)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        pool.release(name, first)
        assert await waiting[1] is first
        pool.discard(name, first)

    pooling(scenario, limit=1)


def test_nothing_is_kept_of_a_server_that_there_is_no_connection_to():
    async def scenario(pool: Pool, name: str, listener: Listener) -> None:
        pool.discard(name, await connected(pool, name))
        assert not pool._servers
        pool.release(name, await connected(pool, name))
        assert list(pool._servers) == [name]
        await until(lambda: not pool._servers)

    pooling(scenario, idle_timeout=0.05)
