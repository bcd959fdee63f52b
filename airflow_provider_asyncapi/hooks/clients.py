"""Share one connection pool among all tasks of an event loop that use the same Airflow connection."""

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
from airflow.sdk.exceptions import AirflowRuntimeError

from airflow_provider_asyncapi.airflow_private.supervisor import (
    AirflowUnavailableError,
    find_connection,
    is_supervisor_async,
    is_task_process,
    is_triggerer_process,
)
from airflow_provider_asyncapi.connections.reading import name_connection, read_connection
from airflow_provider_asyncapi.core.errors import AsyncApiError, AuthenticationError, ConfigurationError
from airflow_provider_asyncapi.hooks import lazy
from airflow_provider_asyncapi.monitoring import metrics

if TYPE_CHECKING:
    import ssl

    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_asyncapi.core.connection.api import Api

log = logging.getLogger(__name__)

#: Seconds between two look-ups of a connection, plus or minus 10 %.
_REFRESH_INTERVAL = 300.0
#: Seconds for which a look-up stays valid.
_MAX_AGE = 5.0
#: The first and the longest delay between look-ups while Airflow is unavailable, in seconds.
_FIRST_DELAY, _MAX_DELAY = 1.0, 60.0
#: Minimum timeout of a look-up in seconds. If the deadline passes while no triggerer runs, there is still a last poll.
_MIN_TIMEOUT = 10.0


class ConnectionChangedError(Exception):
    """The connection has changed; its users have to enter a new client."""


@dataclass(slots=True)
class _ClientState:
    """
    The shared client of a connection on an event loop.

    :param users: number of users; the last one closes the client.
    :param lock: held by the user that looks the connection up for all.
    :param looked_up_at: time of the last look-up, on the loop's clock.
    :param refresh_task: the task that looks it up periodically.
    """

    users: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    api: Api | None = None
    driver: lazy.AiohttpDriver | None = None
    looked_up_at: float = 0.0
    refresh_task: asyncio.Task[None] | None = None


_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _ClientState]] = WeakKeyDictionary()


class SharedClient:
    """
    A context in which the shared driver of a connection can be used; entering it returns the API and the driver.

    This is a class because a generator would keep one more frame for each of thousands of waits.

    :param conn_id: the connection. The first user looks it up; after that it is looked up periodically.
    :param look_up_timeout: timeout of a look-up in seconds; None for no limit.
    :raises AirflowUnavailableError: if Airflow doesn't respond in this time.
    :raises ConfigurationError: if the connection is missing or invalid.
    :raises ConnectionChangedError: from the driver, once the connection has changed.
    """

    __slots__ = ("_client", "_clients", "_conn_id", "_look_up_timeout")

    def __init__(self, conn_id: str, *, look_up_timeout: float | None = None) -> None:
        self._conn_id, self._look_up_timeout = conn_id, look_up_timeout

    async def __aenter__(self) -> tuple[Api, lazy.AiohttpDriver]:
        self._clients = _find_clients_of_loop()
        self._client = client = self._clients.setdefault(self._conn_id, _ClientState())
        client.users += 1
        try:
            if client.api is None or client.driver is None:
                async with _limit_look_up(self._conn_id, self._look_up_timeout), client.lock:
                    if client.api is None or client.driver is None:
                        client.api, client.driver = await _open_driver(self._conn_id)
                        client.looked_up_at = _now()
                        # In its own context, since its log lines don't belong to the trigger that was the first.
                        client.refresh_task = asyncio.create_task(
                            _refresh_periodically(self._conn_id, client.api), context=contextvars.Context()
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
            if client.refresh_task is not None:
                client.refresh_task.cancel()
            if client.driver is not None:
                await client.driver.close()


class CurrentClient(SharedClient):
    """
    A shared client that suppresses the error after the connection has changed; then a new client has to be entered.

    It also suppresses rejected credentials if they have been rotated since the connection was looked up.

    :param conn_id: the connection.
    :param look_up_timeout: returns the timeout of a look-up in seconds; None for no limit.
    """

    __slots__ = ("_get_look_up_timeout",)

    def __init__(self, conn_id: str, look_up_timeout: Callable[[], float | None]) -> None:
        super().__init__(conn_id, look_up_timeout=look_up_timeout())
        self._get_look_up_timeout = look_up_timeout

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        try:
            if not isinstance(error, AuthenticationError) or self._client.api is None:
                return isinstance(error, ConnectionChangedError)
            return await retire_if_changed(self._conn_id, self._client.api, look_up_timeout=self._get_look_up_timeout())
        finally:
            await self._leave()


async def retire_if_changed(conn_id: str, api: Api, *, look_up_timeout: float | None = None) -> bool:
    """
    Read a connection again, retire its shared client if it has changed, and return whether it has.

    All users of a retired client get an error at their next request, and the last user closes the pool.

    :param api: the API of the client.
    :param look_up_timeout: timeout of a look-up in seconds; None for no limit.
    :raises AirflowUnavailableError: if Airflow doesn't respond in this time.
    :raises ConfigurationError: if the connection is missing or invalid now.
    """
    clients = _find_clients_of_loop()
    client = clients.get(conn_id)
    if client is None or client.api is not api or client.driver is None:
        return True
    async with _limit_look_up(conn_id, look_up_timeout), client.lock:
        if clients.get(conn_id) is not client:
            return True
        if _now() - client.looked_up_at < _MAX_AGE:
            return False
        try:
            changed = (await _look_up_and_read(conn_id)).settings != api.settings
        except ConfigurationError as error:
            del clients[conn_id]
            client.driver.retire(error)
            raise
        client.looked_up_at = _now()
        if changed:
            log.info("Connection %r has changed; the waits continue with its new settings", conn_id)
            del clients[conn_id]
            client.driver.retire(ConnectionChangedError(conn_id))
        return changed


async def _refresh_periodically(conn_id: str, api: Api) -> None:
    """Read a connection periodically, until it has changed."""
    changed = False
    while not changed:
        # A random time, so that triggerers that started together don't look it up at the same time.
        await asyncio.sleep(_REFRESH_INTERVAL * random.uniform(0.9, 1.1))  # noqa: S311 - the time is no secret
        try:
            changed = await retire_if_changed(conn_id, api)
        except ConfigurationError as error:
            log.warning("%s", error)
            return
        except Exception:
            # The running waits have a connection that works, so they continue.
            log.exception("Connection %r can't be looked up; the waits continue with its last settings", conn_id)


async def _open_driver(conn_id: str) -> tuple[Api, lazy.AiohttpDriver]:
    api = await _look_up_and_read(conn_id)
    try:
        # Reading certificates would block the loop.
        tls = await asyncio.to_thread(_make_tls_context, api)
    except AsyncApiError as error:
        raise name_connection(error, conn_id) from error
    return api, lazy.AiohttpDriver(api, tls, record_first_byte=metrics.make_first_byte_recorder(conn_id))


@asynccontextmanager
async def _limit_look_up(conn_id: str, look_up_timeout: float | None) -> AsyncIterator[None]:
    """Raise :class:`AirflowUnavailableError` if a look-up, or the wait for that of another user, takes too long."""
    seconds = None if look_up_timeout is None else max(look_up_timeout, _MIN_TIMEOUT)
    scope = asyncio.timeout(seconds)
    try:
        async with scope:
            yield
    except TimeoutError:
        if not scope.expired():
            raise
        raise AirflowUnavailableError(
            f"connection {conn_id!r}: Airflow didn't return it within {seconds:.0f} s; check that Airflow's API server,"
            " database and secrets backend can be reached"
        ) from None


async def _look_up_and_read(conn_id: str) -> Api:
    """
    Read a connection; repeat this while Airflow is unavailable.

    :raises ConfigurationError: if the connection is missing or invalid.
    """
    pause = _FIRST_DELAY
    while True:
        try:
            connection = await _look_up(conn_id)
            return await asyncio.to_thread(_read, connection, asyncio.get_running_loop())
        except AsyncApiError as error:
            raise name_connection(error, conn_id) from error
        except AirflowUnavailableError as error:
            log.warning("Connection %r can't be looked up (%s); trying again in %g s", conn_id, error, pause)
        await asyncio.sleep(pause)
        pause = min(2 * pause, _MAX_DELAY)


async def _look_up(conn_id: str) -> Connection:
    try:
        if is_supervisor_async():
            # Airflow 3.1 raises the second if there is no connection, and the third on workers, which have no
            # asynchronous supervisor there.
            with suppress(AirflowNotFoundException, AirflowRuntimeError, NotImplementedError):
                return await lazy.get_async_connection(conn_id)
        if (connection := await find_connection(conn_id)) is not None:
            return connection
    except PermissionError as error:
        raise ConfigurationError("this task may not read it") from error
    raise ConfigurationError("doesn't exist, or was deleted")


def _read(connection: Connection, loop: asyncio.AbstractEventLoop) -> Api:
    # mask_secret() calls the supervisor synchronously. On a thread of Airflow 3.1's triggerer this breaks the channel
    # that all triggers share. The worker that deferred the task has masked the secrets already.
    # The files of a DAG's task are on its worker. A triggerer may have others, of all DAGs.
    return read_connection(
        connection,
        mask=is_task_process(),
        loop=loop,
        sends_files=not is_triggerer_process(),
        look_up=lambda conn_id: asyncio.run_coroutine_threadsafe(_look_up(conn_id), loop).result(),
    )


def _make_tls_context(api: Api) -> ssl.SSLContext:
    return lazy.tls_context(api.settings)


def _find_clients_of_loop() -> dict[str, _ClientState]:
    return _clients.setdefault(asyncio.get_running_loop(), {})


def _now() -> float:
    return asyncio.get_running_loop().time()
