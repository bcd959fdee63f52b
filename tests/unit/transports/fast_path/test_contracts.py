"""
What the fast path relies on in aiohttp beyond its documentation, on each version of aiohttp that the tests run with.

If one of these fails with a newer aiohttp, the module of ``transports/fast_path`` that is named has to be looked at. If
all tests of the transports pass, raise ``fast_path.NEWEST``.
"""

from __future__ import annotations

import asyncio
import inspect
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError
from multidict import CIMultiDict
from yarl import URL

from airflow_provider_asyncapi.transports import fast_path
from tests.unit.eventually import until

ROOT = Path(__file__).parents[4]
ANSWER = b"HTTP/1.1 200 OK\r\nX-A: \xe4\r\ncontent-length: 2\r\n\r\n{}"


def parameters_of(function: Callable[..., Any]) -> set[str]:
    return set(inspect.signature(function).parameters)


def pinned(path: Path) -> str:
    return (
        next(line for line in path.read_text().splitlines() if line.startswith("aiohttp=="))
        .split()[0]
        .partition("==")[2]
    )


def test_the_installed_aiohttp_is_in_the_tested_range() -> None:
    assert fast_path.is_tested(aiohttp.__version__)


def test_the_range_is_that_of_the_versions_that_the_tests_run_with() -> None:
    versions = [pinned(path) for path in (ROOT / "constraints").glob("*.txt") if "aiohttp==" in path.read_text()]
    assert all(map(fast_path.is_tested, versions))
    assert {fast_path.OLDEST, fast_path.NEWEST} <= set(versions)
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert f"aiohttp>={fast_path.OLDEST}" in required


def test_a_connector_opens_a_connection_for_a_request_object() -> None:
    """client.py makes the request object, pool.py gives it to the connector."""
    assert {"method", "url", "loop", "proxy", "proxy_headers"} <= parameters_of(aiohttp.ClientRequest.__init__)
    assert {"req", "traces", "timeout"} <= parameters_of(aiohttp.TCPConnector.connect)


def test_the_responses_are_configured_for_each_request() -> None:
    needed = {
        "skip_payload",
        "read_until_eof",
        "auto_decompress",
        "read_timeout",
        "max_line_size",
        "max_field_size",
    }
    assert needed <= parameters_of(ResponseHandler.set_response_params)


def test_a_proxy_gets_its_own_headers() -> None:
    async def main() -> Any:
        url, loop = URL("https://api.example.com"), asyncio.get_running_loop()
        headers = CIMultiDict({"Proxy-Authorization": "Basic x"})
        request = aiohttp.ClientRequest("GET", url, loop=loop, proxy=URL("http://proxy"), proxy_headers=headers)
        return request.proxy, request.proxy_headers

    assert asyncio.run(main()) == (URL("http://proxy"), {"Proxy-Authorization": "Basic x"})


def connected(scenario: Callable[[Any, list[asyncio.StreamWriter]], Awaitable[None]]) -> None:
    """Run a scenario with a connection of aiohttp's connector, and the other end of it."""

    async def main() -> None:
        writers: list[asyncio.StreamWriter] = []

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            await reader.read()
            writer.close()

        async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
            url = URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            connector = aiohttp.TCPConnector(limit=0)
            route = aiohttp.ClientRequest("GET", url, loop=asyncio.get_running_loop())
            connection = await connector.connect(route, traces=[], timeout=aiohttp.ClientTimeout())
            await until(lambda: writers)
            try:
                await scenario(connection, writers)
            finally:
                connection.close()
                await connector.close()

    asyncio.run(main())


def begin(connection: Any, **given: Any) -> Any:
    connection.protocol.set_response_params(read_until_eof=True, auto_decompress=False, **given)
    connection.protocol.start_timeout()
    return connection.protocol


def test_a_protocol_reads_one_head_after_another_each_with_its_body() -> None:
    """client.py reads interim responses, and the raw header fields."""

    async def scenario(connection: Any, writers: list[asyncio.StreamWriter]) -> None:
        protocol = begin(connection, read_timeout=5)
        writers[0].write(b"HTTP/1.1 103 Early Hints\r\n\r\n" + ANSWER)
        interim, _ = await protocol.read()
        answer, body = await protocol.read()
        assert (interim.code, answer.code) == (103, 200)
        assert answer.raw_headers == ((b"X-A", b"\xe4"), (b"content-length", b"2"))
        assert await body.readany() == b"{}"
        assert body.at_eof()

    connected(scenario)


def test_a_connection_is_usable_before_a_request_and_after_its_response_but_not_in_between() -> None:
    """pool.py asks for that."""

    async def scenario(connection: Any, writers: list[asyncio.StreamWriter]) -> None:
        protocol: Any = connection.protocol
        assert protocol.is_connected()
        timeout = protocol.read_timeout
        assert timeout is None, "the pool takes it for a new one"
        assert not protocol.should_close
        begin(connection, read_timeout=5)
        assert protocol.read_timeout == 5
        head, separator, body = ANSWER.partition(b"\r\n\r\n")
        writers[0].write(head + separator)
        _, reader = await protocol.read()
        assert protocol.should_close
        writers[0].write(body)
        await reader.readany()
        assert not protocol.should_close

    connected(scenario)


def test_a_protocol_knows_that_the_server_has_hung_up() -> None:
    async def scenario(connection: Any, writers: list[asyncio.StreamWriter]) -> None:
        protocol = begin(connection, read_timeout=5)
        writers[0].close()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await protocol.read()
        assert not protocol.is_connected()
        assert connection.transport is None

    connected(scenario)


def test_a_silent_server_is_given_up_after_the_read_timeout() -> None:
    async def scenario(connection: Any, writers: list[asyncio.StreamWriter]) -> None:
        with pytest.raises(aiohttp.SocketTimeoutError):
            await begin(connection, read_timeout=0.02).read()

    connected(scenario)


def test_an_exception_that_is_set_is_raised_in_the_reader_of_the_head_and_of_the_body() -> None:
    """client.py gives up at the time limit like that."""

    async def scenario(connection: Any, writers: list[asyncio.StreamWriter]) -> None:
        protocol = begin(connection, read_timeout=5)
        writers[0].write(ANSWER[:-1])
        _, body = await protocol.read()
        assert await body.readany() == b"{"
        reading = asyncio.create_task(body.readany())
        await asyncio.sleep(0)
        body.set_exception(KeyError("over"))
        with pytest.raises(KeyError, match="over"):
            await reading
        reading = asyncio.create_task(protocol.read())
        await asyncio.sleep(0)
        protocol.set_exception(KeyError("over"))
        with pytest.raises(KeyError, match="over"):
            await reading

    connected(scenario)


@pytest.mark.parametrize("line", [b"x" * 2000, b"X-Long: " + b"x" * 2000])
def test_a_line_of_the_head_that_is_too_long_is_an_error(line: bytes) -> None:
    async def scenario(connection: Any, writers: list[asyncio.StreamWriter]) -> None:
        protocol = begin(connection, read_timeout=5, max_line_size=1000, max_field_size=1000)
        writers[0].write(b"HTTP/1.1 200 " + (line if b":" not in line else b"OK\r\n" + line) + b"\r\n\r\n")
        with pytest.raises(HttpProcessingError):
            await protocol.read()

    connected(scenario)
