"""One pool of connections for all that talk to the same API on the same event loop, above all in the triggerer."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_asyncapi.airflow_private.supervisor import (
    AirflowAwayError,
    can_ask_asynchronously,
    find_connection,
    is_task_process,
)
from airflow_provider_asyncapi.connections.reading import add_connection_id, read_connection
from airflow_provider_asyncapi.core.errors import AsyncApiError, AuthenticationError, ConfigurationError

if TYPE_CHECKING:
    import ssl

    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_asyncapi.core.connection.settings import Api
    from airflow_provider_asyncapi.transports.aiohttp import AiohttpDriver

log = logging.getLogger(__name__)

#: A connection is looked up anew after so many seconds, give or take a tenth.
_REFRESH_EVERY = 300.0
#: What was looked up in the last so many seconds is still so.
_FRESH = 5.0
#: Waits between look-ups while Airflow is away: from, to. Seconds.
_SOONEST, _LATEST = 1.0, 60.0
#: Seconds that a look-up has at least, also when the deadline has passed while no triggerer ran: then there is one last
#: poll.
_LEAST_PATIENCE = 10.0


class SupersededError(Exception):
    """The connection isn't any more what it was: whoever used it has to begin again with what it is now."""


@dataclass(slots=True)
class Client:
    """
    What is shared.

    :param users: how many are using it; the last one closes it.
    :param looking: held while the connection is looked up, so that one does it for all.
    :param looked_up_at: when that was last, on the loop's clock.
    :param refreshing: looks it up again from time to time.
    """

    users: int = 0
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    api: Api | None = None
    driver: AiohttpDriver | None = None
    looked_up_at: float = 0.0
    refreshing: asyncio.Task[None] | None = None


_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Client]] = WeakKeyDictionary()


class SharedClient:
    """
    Use the shared driver of a connection, as long as this context lasts; it gives the API's settings and the driver.

    A generator would keep its frame for each of the thousands that wait in such a context.

    :param conn_id: the connection; looked up by whoever comes first, and again from time to time.
    :param patience: seconds within which Airflow has to tell what the connection is; None for no limit.
    :raises AirflowAwayError: if it can't.
    :raises ConfigurationError: where the connection is missing or can't be used.
    :raises SupersededError: from the driver, once the connection has changed.
    """

    __slots__ = ("_client", "_clients", "_conn_id", "_patience")

    def __init__(self, conn_id: str, *, patience: float | None = None) -> None:
        self._conn_id, self._patience = conn_id, patience

    async def __aenter__(self) -> tuple[Api, AiohttpDriver]:
        self._clients = _clients_here()
        self._client = client = self._clients.setdefault(self._conn_id, Client())
        client.users += 1
        try:
            if client.api is None or client.driver is None:
                async with _limit(self._conn_id, self._patience), client.looking:
                    if client.api is None or client.driver is None:
                        client.api, client.driver = await _open(self._conn_id)
                        client.looked_up_at = _now()
                        # In a context of its own: its log lines aren't those of the trigger that happened to be first.
                        client.refreshing = asyncio.create_task(
                            _keep_fresh(self._conn_id, client.api), context=contextvars.Context()
                        )
        except BaseException:
            await self._leave()
            raise
        return client.api, client.driver

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> bool | None:
        await self._leave()
        return None

    async def _leave(self) -> None:
        client, clients = self._client, self._clients
        client.users -= 1
        if client.users == 0:
            if clients.get(self._conn_id) is client:
                del clients[self._conn_id]
            if client.refreshing is not None:
                client.refreshing.cancel()
            if client.driver is not None:
                await client.driver.close()


class CurrentClient(SharedClient):
    """
    The same, in a context that ends without an error if the connection has changed: then it is to be entered again.

    It ends so too after credentials were refused that have been rotated since the connection was looked up.

    :param conn_id: the connection.
    :param patience: returns the seconds within which Airflow has to tell what the connection is; None for no limit.
    """

    __slots__ = ("_find_patience",)

    def __init__(self, conn_id: str, patience: Callable[[], float | None]) -> None:
        super().__init__(conn_id, patience=patience())
        self._find_patience = patience

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        try:
            if not isinstance(error, AuthenticationError) or self._client.api is None:
                return isinstance(error, SupersededError)
            return await is_superseded(self._conn_id, self._client.api, patience=self._find_patience())
        finally:
            await self._leave()


async def is_superseded(conn_id: str, api: Api, *, patience: float | None = None) -> bool:
    """
    Look a connection up anew, and tell whether it is another one now.

    Then all who use it are told so when they want to send something, and the last who leaves closes the pool.

    :param api: the connection as it was.
    :param patience: seconds within which Airflow has to tell what the connection is; None for no limit.
    :raises AirflowAwayError: if it can't.
    :raises ConfigurationError: where it is gone, or can't be used any more.
    """
    clients = _clients_here()
    client = clients.get(conn_id)
    if client is None or client.api is not api or client.driver is None:
        return True
    async with _limit(conn_id, patience), client.looking:
        if clients.get(conn_id) is not client:
            return True
        if _now() - client.looked_up_at < _FRESH:
            return False
        try:
            changed = (await _prepared(conn_id)).settings != api.settings
        except ConfigurationError as error:
            del clients[conn_id]
            client.driver.retire(error)
            raise
        client.looked_up_at = _now()
        if changed:
            log.info("Connection %r has changed: all who wait go on with what it is now", conn_id)
            del clients[conn_id]
            client.driver.retire(SupersededError(conn_id))
        return changed


async def _keep_fresh(conn_id: str, api: Api) -> None:
    """Look a connection up from time to time, until it is another one."""
    changed = False
    while not changed:
        # Of many triggerers that began together, each looks at another moment.
        await asyncio.sleep(_REFRESH_EVERY * random.uniform(0.9, 1.1))  # noqa: S311 - nothing is kept secret by it
        try:
            changed = await is_superseded(conn_id, api)
        except ConfigurationError as error:
            log.warning("%s", error)
            return
        except Exception:
            # Those who wait have a connection that works: this is no reason to end them.
            log.exception("Connection %r can't be looked up; going on with what it was", conn_id)


async def _open(conn_id: str) -> tuple[Api, AiohttpDriver]:
    api = await _prepared(conn_id)
    try:
        # Reading certificates would hold up the loop.
        tls = await asyncio.to_thread(_tls_context, api)
    except AsyncApiError as error:
        raise add_connection_id(conn_id, error) from error
    from airflow_provider_asyncapi.transports.aiohttp import AiohttpDriver, open_connector

    return api, AiohttpDriver(api, open_connector(api.settings, tls))


@asynccontextmanager
async def _limit(conn_id: str, patience: float | None) -> AsyncIterator[None]:
    """Raise :class:`AirflowAwayError` if a look-up, or the wait for somebody else's, takes longer than this."""
    seconds = None if patience is None else max(patience, _LEAST_PATIENCE)
    scope = asyncio.timeout(seconds)
    try:
        async with scope:
            yield
    except TimeoutError:
        if not scope.expired():
            raise
        raise AirflowAwayError(
            f"connection {conn_id!r}: Airflow couldn't tell what it is in the {seconds:.0f} s until the deadline; look"
            " whether its API server, its database and its secrets backend can be reached"
        ) from None


async def _prepared(conn_id: str) -> Api:
    """
    Look up a connection and read it; while Airflow can't say whether there is one, go on asking.

    :raises ConfigurationError: where there is none, or it can't be used.
    """
    pause = _SOONEST
    while True:
        try:
            connection = await _look_up(conn_id)
            return await asyncio.to_thread(_read, connection)
        except AsyncApiError as error:
            raise add_connection_id(conn_id, error) from error
        except AirflowAwayError as error:
            log.warning("Connection %r can't be looked up (%s); trying again in %g s", conn_id, error, pause)
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LATEST)


async def _look_up(conn_id: str) -> Connection:
    from airflow.providers.common.compat.connection import get_async_connection
    from airflow.sdk.exceptions import AirflowRuntimeError

    try:
        if can_ask_asynchronously():
            # Airflow 3.1 has the second for what newer ones call "not found".
            # On its workers there is nothing asynchronous.
            with suppress(AirflowNotFoundException, AirflowRuntimeError, NotImplementedError):
                return await get_async_connection(conn_id)
        if (connection := await find_connection(conn_id)) is not None:
            return connection
    except PermissionError as error:
        raise ConfigurationError("connection: Airflow doesn't let this task read it") from error
    raise ConfigurationError("connection: there is none of this name (any more)")


def _read(connection: Connection) -> Api:
    # Telling Airflow what to mask is a synchronous call to the supervisor, which in a thread of Airflow 3.1's triggerer
    # upsets the line that all triggers share. The worker that deferred has told it already.
    return read_connection(connection, mask=is_task_process())


def _tls_context(api: Api) -> ssl.SSLContext:
    from airflow_provider_asyncapi.transports.aiohttp import tls_context

    return tls_context(api.settings)


def _clients_here() -> dict[str, Client]:
    return _clients.setdefault(asyncio.get_running_loop(), {})


def _now() -> float:
    return asyncio.get_running_loop().time()
