"""In the triggerer: the connections of :class:`aiohttp.ClientSession`, one for each exchange, with its time limit."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextvars import ContextVar
from typing import Any

import aiohttp

from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.transports.aiohttp_connector import Connector, ServerClosedError
from airflow_provider_asyncapi.transports.exchange_deadline import ExchangeDeadline


class SessionExchange:
    """
    A request that is being sent, for the connector.

    Once it has a connection, a timer aborts the connection at the time limit: asyncio.timeout() costs as much as
    reading the response. If the request has no body, the same timer limits the silence of the server, since aiohttp
    would set two more.

    :param opening: limits the number of connections that are opened at the same time.
    :param limits_silence: whether the timer also limits the silence, so that aiohttp needn't.
    :param needs_new_connection: whether it needs a new connection.
    :ivar is_new: whether a connection was opened for it.
    :ivar is_answered: whether the head of the response has been received.
    :ivar is_aborted: whether the connection was aborted at the time limit.
    :ivar is_silent: whether the connection was aborted because the server was silent.
    """

    __slots__ = (
        "_loop",
        "_timer",
        "_transport",
        "deadline",
        "is_aborted",
        "is_answered",
        "is_new",
        "is_silent",
        "limits_silence",
        "needs_new_connection",
        "opening",
        "request",
    )

    def __init__(
        self,
        request: Request,
        opening: asyncio.Semaphore,
        deadline: ExchangeDeadline,
        *,
        limits_silence: bool,
        needs_new_connection: bool,
    ) -> None:
        self.request, self.opening, self.deadline = request, opening, deadline
        self.limits_silence, self.needs_new_connection = limits_silence, needs_new_connection
        self.is_new = self.is_answered = self.is_aborted = self.is_silent = False
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_connected(self) -> bool:
        """Whether it has a connection, so that the server may have received it."""
        return self._transport is not None

    def limit_connecting(self, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientTimeout:
        """
        Return the time limits of opening a connection, by the deadline at the latest.

        :raises TransportError: if there is no time left.
        """
        left = self.deadline.remaining()
        if left <= 0:
            raise self.deadline.error(sent=False)
        if timeout.connect is not None and timeout.connect <= left:
            return timeout
        return aiohttp.ClientTimeout(connect=left, sock_read=timeout.sock_read)

    def use_connection(self, transport: asyncio.Transport | None) -> None:
        """Send the request over a connection, until the deadline."""
        self._transport = transport
        if self.limits_silence:
            self._limit_time_and_silence()
        else:
            self.limit_time(self.deadline.remaining())

    def limit_time(self, seconds: float | None) -> None:
        """Set the remaining seconds; None for no limit."""
        self.end()
        self._timer = None if seconds is None else self._loop.call_later(seconds, self._abort_at_deadline)

    def end(self) -> None:
        """Remove the time limit."""
        if self._timer is not None:
            self._timer.cancel()

    def abort(self) -> None:
        """Close the connection at once: closing it in turn would wait until the server has accepted all data."""
        if self._transport is not None:
            self._transport.abort()

    def _limit_time_and_silence(self) -> None:
        """Set one timer for whichever limit is reached first."""
        left, silence = self.deadline.remaining(), self.deadline.remaining_silence()
        if silence < left:
            self._timer = self._loop.call_later(silence, self._check_silence, self.deadline.data_at)
        else:
            self.limit_time(left)

    def _check_silence(self, data_at: float) -> None:
        """Abort the connection unless data has arrived since."""
        if self.deadline.data_at == data_at:
            self.is_silent = True
            self.abort()
        else:
            self._limit_time_and_silence()

    def _abort_at_deadline(self) -> None:
        self.is_aborted = True
        self.abort()


#: The exchange of the task that sends a request.
current_exchange: ContextVar[SessionExchange] = ContextVar("current_exchange")


class SessionConnector(Connector):
    """
    Provides one connection for each request.

    The session calls :meth:`connect` for each request, in the task that sends it.
    """

    def __init__(self, settings: ConnectionSettings, tls: ssl.SSLContext) -> None:
        super().__init__(settings, tls, socket_factory=_open_socket)

    async def connect(self, req: aiohttp.ClientRequest, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:  # noqa: ASYNC109 - as in aiohttp
        """
        Return a connection, whose address has been checked.

        :raises ServerClosedError: if the session sends the request again by itself, though the server may have received
            it.
        """
        exchange = current_exchange.get()
        if exchange.is_connected:
            raise ServerClosedError
        # An idle connection is returned immediately, so only connections that are opened wait here.
        if exchange.opening.locked():
            async with asyncio.timeout(exchange.deadline.remaining()):
                await exchange.opening.acquire()
        else:
            await exchange.opening.acquire()
        try:
            connection = await super().connect(req, traces, exchange.limit_connecting(timeout))
            while exchange.needs_new_connection and not exchange.is_new:
                # The server may be about to close it.
                connection.close()
                connection = await super().connect(req, traces, exchange.limit_connecting(timeout))
        finally:
            exchange.opening.release()
        if exchange.is_new:
            try:
                self.check_address(exchange.request, connection.transport)
            except BaseException:
                connection.close()
                raise
            # Connecting has its own time limit.
            exchange.deadline.restart()
        exchange.use_connection(connection.transport)
        return connection


def _open_socket(address: Any) -> socket.socket:
    """Open a socket as aiohttp does, and note that the exchange has a new connection."""
    family, kind, protocol, *_ = address
    current_exchange.get().is_new = True
    return socket.socket(family, kind, protocol)
