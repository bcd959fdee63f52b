"""In the triggerer: one pool of connections for all that talk to the same API on the same event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_asyncapi.core.errors import AsyncApiError, ConfigurationError
from airflow_provider_asyncapi.hooks.asyncapi import make_api, named

if TYPE_CHECKING:
    import ssl

    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_asyncapi.core.settings import Api
    from airflow_provider_asyncapi.transports.aiohttp import AiohttpDriver


@dataclass(slots=True)
class Client:
    """
    What is shared.

    :param users: how many are using it; the last one closes it.
    :param opening: held while the connection is looked up and the pool is opened, so that both happen once.
    """

    users: int = 0
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    api: Api | None = None
    driver: AiohttpDriver | None = None


_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Client]] = WeakKeyDictionary()


@asynccontextmanager
async def shared_client(conn_id: str) -> AsyncIterator[tuple[Api, AiohttpDriver]]:
    """
    Use the shared driver of a connection.

    :param conn_id: the connection; looked up by whoever comes first.
    :raises ConfigurationError: where the connection is missing or can't be used.
    """
    clients = _clients.setdefault(asyncio.get_running_loop(), {})
    client = clients.setdefault(conn_id, Client())
    client.users += 1
    try:
        async with client.opening:
            if client.api is None or client.driver is None:
                client.api, client.driver = await _open(conn_id)
        yield client.api, client.driver
    finally:
        client.users -= 1
        if client.users == 0:
            if clients.get(conn_id) is client:
                del clients[conn_id]
            if client.driver is not None:
                await client.driver.close()


async def _open(conn_id: str) -> tuple[Api, AiohttpDriver]:
    from airflow.providers.common.compat.connection import get_async_connection

    try:
        connection = await get_async_connection(conn_id)
        api, tls = await asyncio.to_thread(_prepare, connection)
    except AirflowNotFoundException as error:
        raise ConfigurationError(f"connection {conn_id!r}: there is none of this name (any more)") from error
    except AsyncApiError as error:
        raise named(conn_id, error) from error
    from airflow_provider_asyncapi.transports.aiohttp import AiohttpDriver, open_pool

    return api, AiohttpDriver(api, open_pool(api.settings, tls))


def _prepare(connection: Connection) -> tuple[Api, ssl.SSLContext]:
    """Do what would hold up the loop: imports and certificates."""
    from airflow_provider_asyncapi.transports.aiohttp import tls_context

    # Telling Airflow what to mask is a synchronous call to the supervisor, which in a thread of Airflow 3.1's triggerer
    # upsets the line that all triggers share. The worker that deferred has told it already.
    api = make_api(connection, mask=False)
    return api, tls_context(api.settings)
