"""What only the slower way of the driver in the triggerer has to see to: its limits of connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.transports import aiohttp_session
from airflow_provider_asyncapi.transports.aiohttp_session import SessionClient
from tests.loopback import Server, reply
from tests.unit.transports.driving import make_api, open_aiohttp_driver, sending

pytestmark = pytest.mark.timeout(30)


def test_only_some_connections_are_opened_at_the_same_time(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aiohttp_session, "MAX_OPENING", 3)
    server = serve()
    server.routes["/x"] = reply(b"x")
    url = server.url.replace("127.0.0.1", "localhost")
    looking = most = 0

    async def main() -> None:
        nonlocal looking, most
        driver = open_aiohttp_driver("session", make_api(url))
        client = driver._client
        assert isinstance(client, SessionClient)
        resolver = client._connector.resolver
        found = await resolver.resolve("localhost", server.port)

        async def resolve(*_: Any, **__: Any) -> Any:
            nonlocal looking, most
            looking += 1
            most = max(most, looking)
            for _step in range(20):
                await asyncio.sleep(0)
            looking -= 1
            return found

        monkeypatch.setattr(resolver, "resolve", resolve)
        await asyncio.gather(*[driver.run(sending(Request("GET", f"{url}/x"))) for _ in range(12)])
        await driver.close()

    asyncio.run(main())
    assert most == 3
    assert len(server.asked) == 12


def test_nothing_is_kept_of_a_server_that_no_request_goes_to(serve: Callable[..., Server]) -> None:
    server = serve(reply(b"x"))

    async def main() -> None:
        driver = open_aiohttp_driver("session", make_api(server.url))
        client = driver._client
        assert isinstance(client, SessionClient)
        await driver.run(sending(Request("GET", f"{server.url}/x")))
        assert not client._servers
        await driver.close()

    asyncio.run(main())
