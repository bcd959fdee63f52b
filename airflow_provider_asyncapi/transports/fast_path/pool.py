"""In the triggerer: a pool of connections that stay open from one request to the next."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiohttp

from airflow_provider_asyncapi.transports.aiohttp_connector import MAX_OPENING
from airflow_provider_asyncapi.transports.error_translation import PoolFullError

if TYPE_CHECKING:
    from aiohttp.connector import Connection

#: Seconds for which an idle connection is kept, as in aiohttp.
_IDLE_TIMEOUT = 15.0


@dataclass(slots=True)
class _Waiting:
    """
    A request that waits for a connection.

    :param turn: the connection; None for the permission to open one.
    :param needs_new_connection: whether the request needs a new connection.
    """

    turn: asyncio.Future[Connection | None]
    needs_new_connection: bool


@dataclass(slots=True, eq=False)
class _ServerConnections:
    """
    A server, and its connections.

    :param route: the request object that the connector needs to open a connection.
    :param taken: number of connections that are in use or being opened.
    :param opening: number of connections that are being opened.
    :param idle: the idle connections, each with the time of its last use, the oldest first.
    :param waiting: the requests that wait for a connection, in order.
    """

    route: aiohttp.ClientRequest
    taken: int = 0
    opening: int = 0
    idle: deque[tuple[Connection, float]] = field(default_factory=deque)
    waiting: deque[_Waiting] = field(default_factory=deque)


class Pool:
    """
    A pool of connections, which passes a connection directly from one request to the next to the same server.

    aiohttp's connector only opens connections: returning one to it and taking it again would cost a tenth of each poll.
    A server without connections is forgotten, since redirects may lead to any number of servers.

    :param connector: opens connections, without its own limit.
    :param make_route: returns the request object that the connector needs, for a scheme, host and port.
    :param timeout: time limit of opening a connection, in seconds.
    :param limit: maximum number of connections to one server.
    :param idle_timeout: seconds for which an idle connection is kept.
    """

    def __init__(
        self,
        connector: aiohttp.TCPConnector,
        make_route: Callable[[str], aiohttp.ClientRequest],
        *,
        timeout: float,
        limit: int,
        idle_timeout: float = _IDLE_TIMEOUT,
    ) -> None:
        self._connector, self._make_route = connector, make_route
        self._timeout, self._limit, self._idle_timeout = timeout, limit, idle_timeout
        self._untimed = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
        self._loop = asyncio.get_running_loop()
        self._servers: dict[str, _ServerConnections] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    async def connect(
        self, name: str, *, needs_new_connection: bool = False, within: float = math.inf
    ) -> tuple[Connection, float]:
        """
        Return a connection to a server, and the seconds of waiting because of the limit.

        :param name: scheme, host and port of the server.
        :param needs_new_connection: whether to return a new connection.
        :param within: time limit in seconds.
        :raises PoolFullError: if no connection became free in time.
        :raises TimeoutError: if opening a connection takes too long.
        :raises aiohttp.ClientError: if no connection can be opened.
        """
        server = self._servers.get(name)
        if server is None:
            server = self._servers[name] = _ServerConnections(self._make_route(name))
        if not needs_new_connection and (connection := self._take(server)) is not None:
            return connection, 0.0
        waited = 0.0
        if server.idle and server.taken + len(server.idle) >= self._limit:
            # This makes room for a new connection.
            server.idle.popleft()[0].close()
        if self._may_open(server):
            server.taken += 1
            server.opening += 1
        else:
            began = self._loop.time()
            free = await self._wait_for_turn(name, server, needs_new_connection=needs_new_connection, within=within)
            waited = self._loop.time() - began
            if free is not None:
                return free, waited
        return await self._open(name, server, within - waited), waited

    def release(self, name: str, connection: Connection) -> None:
        """Return a connection to the pool, after its response has been read."""
        server = self._servers[name]
        if not _is_usable(connection):
            self.discard(name, connection)
            return
        while server.waiting:
            first = server.waiting.popleft()
            if first.turn.done():
                continue
            if not first.needs_new_connection:
                first.turn.set_result(connection)
                return
            # This makes room for a new connection.
            server.waiting.appendleft(first)
            self.discard(name, connection)
            return
        server.taken -= 1
        server.idle.append((connection, self._loop.time()))
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(self._idle_timeout, self._sweep)

    def discard(self, name: str, connection: Connection) -> None:
        """Close a connection that can't be used again."""
        connection.close()
        server = self._servers[name]
        server.taken -= 1
        self._let_others_open(name, server)

    async def close(self) -> None:
        """Close all connections."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        for server in self._servers.values():
            while server.idle:
                # The connector waits until they are closed.
                server.idle.popleft()[0].release()
        await self._connector.close()

    def _take(self, server: _ServerConnections) -> Connection | None:
        while server.idle:
            # The one that was used last, so that surplus connections expire.
            connection, since = server.idle.pop()
            if self._loop.time() - since < self._idle_timeout and _is_usable(connection):
                server.taken += 1
                return connection
            connection.close()
        return None

    async def _open(self, name: str, server: _ServerConnections, within: float) -> Connection:
        try:
            async with asyncio.timeout(min(self._timeout, within)):
                return await self._connector.connect(server.route, traces=[], timeout=self._untimed)
        except BaseException:
            server.taken -= 1
            raise
        finally:
            server.opening -= 1
            self._let_others_open(name, server)

    async def _wait_for_turn(
        self, name: str, server: _ServerConnections, *, needs_new_connection: bool, within: float
    ) -> Connection | None:
        """Wait for a free connection, or for the permission to open one, which is returned as None."""
        waiting = _Waiting(self._loop.create_future(), needs_new_connection)
        server.waiting.append(waiting)
        try:
            async with asyncio.timeout(None if within == math.inf else within):
                return await waiting.turn
        except (asyncio.CancelledError, TimeoutError) as error:
            if not waiting.turn.cancelled():
                # The turn came while this request was cancelled, so it goes to the next one.
                if (connection := waiting.turn.result()) is not None:
                    self.release(name, connection)
                else:
                    server.taken -= 1
                    server.opening -= 1
                    self._let_others_open(name, server)
            if isinstance(error, TimeoutError):
                raise PoolFullError from None
            raise

    def _may_open(self, server: _ServerConnections) -> bool:
        return server.taken + len(server.idle) < self._limit and server.opening < MAX_OPENING

    def _let_others_open(self, name: str, server: _ServerConnections) -> None:
        """Open connections for waiting requests, up to the limits."""
        while server.waiting and self._may_open(server):
            first = server.waiting.popleft()
            if not first.turn.done():
                server.taken += 1
                server.opening += 1
                first.turn.set_result(None)
        self._forget_if_unused(name, server)

    def _forget_if_unused(self, name: str, server: _ServerConnections) -> None:
        if not server.taken and not server.idle and self._servers.get(name) is server:
            del self._servers[name]

    def _sweep(self) -> None:
        latest = self._loop.time() - self._idle_timeout
        for name, server in list(self._servers.items()):
            while server.idle and server.idle[0][1] <= latest:
                server.idle.popleft()[0].close()
            self._forget_if_unused(name, server)
        has_idle_connections = any(server.idle for server in self._servers.values())
        self._sweeping = self._loop.call_later(self._idle_timeout, self._sweep) if has_idle_connections else None


def _is_usable(connection: Connection) -> bool:
    """Return whether a connection can be used for another request."""
    protocol = connection.protocol
    return protocol is not None and protocol.is_connected() and not protocol.should_close


def has_been_used(connection: Connection) -> bool:
    """Return whether a request was already sent over a connection."""
    # Each request sets it.
    return connection.protocol is not None and connection.protocol.read_timeout is not None
