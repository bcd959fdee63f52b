"""In the triggerer: connections that stay open from one request to the next."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.connector import Connection

#: Seconds for which a connection is kept that nobody uses, as by aiohttp.
_KEPT_FOR = 15.0


class Pool:
    """
    Connections that are handed from one request straight to the next to the same server.

    aiohttp's connector opens, limits and counts them. But to give one back and to ask for it again, with each poll,
    costs a tenth of the poll; so the connector gets it back only where somebody waits there.

    :param connector: opens them.
    :param timeout: how long that may take.
    :param kept_for: how long one is kept that nobody uses, in seconds.
    """

    def __init__(
        self, connector: aiohttp.TCPConnector, timeout: aiohttp.ClientTimeout, kept_for: float = _KEPT_FOR
    ) -> None:
        self._connector = connector
        self._timeout = timeout
        self._kept_for = kept_for
        self._loop = asyncio.get_running_loop()
        self._idle: defaultdict[aiohttp.ClientRequest, deque[tuple[Connection, float]]] = defaultdict(deque)
        self._waiting = 0
        self._sweeping: asyncio.TimerHandle | None = None

    async def connect(self, route: aiohttp.ClientRequest, *, new: bool = False) -> Connection:
        """
        Give a connection to a server.

        :param route: the server, the same object each time.
        :param new: whether it has to be one that nobody has used.
        :raises aiohttp.ClientError: where there is none to be had.
        """
        idle = self._idle[route]
        if new and idle:
            # It makes room where their number is limited.
            idle.popleft()[0].close()
        while idle and not new:
            # The one used last, so that those that aren't needed grow old.
            connection, since = idle.pop()
            if self._loop.time() - since < self._kept_for and _is_usable(connection):
                return connection
            connection.close()
        self._waiting += 1
        try:
            while True:
                connection = await self._connector.connect(route, traces=[], timeout=self._timeout)
                if not new or not has_been_used(connection):
                    return connection
                connection.close()
        finally:
            self._waiting -= 1

    def release(self, route: aiohttp.ClientRequest, connection: Connection) -> None:
        """Take back a connection whose answer has been read."""
        if self._waiting or not _is_usable(connection):
            connection.release()
            return
        self._idle[route].append((connection, self._loop.time()))
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(self._kept_for, self._sweep)

    async def close(self) -> None:
        """Close all connections."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connection in self._older_than(0):
            # The connector waits for their end.
            connection.release()
        await self._connector.close()

    def _sweep(self) -> None:
        for connection in self._older_than(self._kept_for):
            connection.close()
        some_are_left = any(self._idle.values())
        self._sweeping = self._loop.call_later(self._kept_for, self._sweep) if some_are_left else None

    def _older_than(self, seconds: float) -> Iterator[Connection]:
        latest = self._loop.time() - seconds
        for idle in self._idle.values():
            while idle and idle[0][1] <= latest:
                yield idle.popleft()[0]


def _is_usable(connection: Connection) -> bool:
    """Tell whether the next answer on a connection can be that of the next request."""
    protocol = connection.protocol
    return protocol is not None and protocol.is_connected() and not protocol.should_close


def has_been_used(connection: Connection) -> bool:
    """Tell whether another request was sent over a connection."""
    # Each request sets it.
    return connection.protocol is not None and connection.protocol.read_timeout is not None
