"""The way in which requests are sent with aiohttp depends on its version."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import aiohttp
import pytest

from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.transports import aiohttp_client, fast_path
from airflow_provider_asyncapi.transports.aiohttp import AiohttpDriver
from airflow_provider_asyncapi.transports.tls import tls_context
from tests.loopback import reply
from tests.unit.transports.driving import make_api, sending


@pytest.fixture(autouse=True)
def _nothing_is_logged_yet() -> Iterator[None]:
    aiohttp_client._log_slow_way.cache_clear()
    yield
    aiohttp_client._log_slow_way.cache_clear()


def ways(url: str, times: int) -> list[str]:
    """Send requests with some drivers; return the names of the classes that sent them."""
    api = make_api(url)

    async def main() -> str:
        driver = AiohttpDriver(api, tls_context(api.settings))
        try:
            response = await driver.run(sending(Request("GET", f"{url}/x")))
            assert response.body == b"fine"
            return type(driver._client).__name__
        finally:
            await driver.close()

    return [asyncio.run(main()) for _ in range(times)]


def test_the_fast_path_is_used_with_the_aiohttp_that_it_was_tested_with(serve, caplog):
    server = serve(reply(b"fine"))
    with caplog.at_level(logging.INFO):
        assert ways(server.url, 1) == ["FastPathClient"]
    assert not caplog.messages


@pytest.mark.parametrize("version", ["3.13.3", "3.14.6", "3.15.0", "4.0.0", "3.14.5.dev1", "3.14.5rc1", "unknown"])
def test_with_any_other_the_session_is_used_and_the_log_says_so_once(serve, monkeypatch, caplog, version):
    monkeypatch.setattr(aiohttp, "__version__", version)
    server = serve(*[reply(b"fine")] * 3)
    with caplog.at_level(logging.INFO):
        assert ways(server.url, 3) == ["SessionClient"] * 3
    (message,) = caplog.messages
    assert message == (
        "Requests are sent over aiohttp.ClientSession, which takes more CPU than the provider's own connections: they"
        f" were tested with aiohttp 3.13.4 to 3.14.5, and aiohttp {version} is installed"
    )


@pytest.mark.parametrize("version", ["3.13.4", "3.13.10", "3.14.0", "3.14.5"])
def test_the_range_includes_its_bounds(version):
    assert fast_path.is_tested(version)
