"""
Send requests over the public :class:`aiohttp.ClientSession`, if the fast path wasn't tested with the installed aiohttp.

All safety rules hold here, too: the limits of head, body and time, the check of addresses, the exact headers, no
cookies, and redirects left to the flow. What differs, since aiohttp's public interface has no means for it:

- A request that needs a new connection closes the idle ones to the same server first.
- Idle connections are reused in turn, so that connections that were needed only once stay open as long as others are
  used.
- After ``Expect: 100-continue``, the body is sent only once the server asks for it.
"""

from __future__ import annotations

import asyncio
import io
import math
import socket
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.effects import Send
from airflow_provider_asyncapi.core.errors import TransportError
from airflow_provider_asyncapi.core.http.file_bodies import RequestBody, size_of
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.transports.aiohttp_body import read_body
from airflow_provider_asyncapi.transports.aiohttp_connector import (
    MAX_OPENING,
    Connector,
    Proxy,
    ServerClosedError,
    max_connections,
)
from airflow_provider_asyncapi.transports.error_translation import PoolFullError, SlowLookUpError, translate_error
from airflow_provider_asyncapi.transports.exchange_deadline import ExchangeDeadline
from airflow_provider_asyncapi.transports.receiver import LONGEST_LINE, Receiver
from airflow_provider_asyncapi.transports.request_format import build_headers, encode_url, request_target
from airflow_provider_asyncapi.transports.uploads import Upload


class _ServerLimits:
    """
    The limits of the connections to a server.

    :param limit: maximum number of requests that run at the same time, and so the number of connections.
    :ivar opening: limits the number of connections that are opened at the same time.
    """

    __slots__ = ("__weakref__", "opening", "slots")

    def __init__(self, limit: int) -> None:
        self.slots, self.opening = asyncio.Semaphore(limit), asyncio.Semaphore(MAX_OPENING)


@dataclass(frozen=True, slots=True)
class _SessionRequest:
    """
    The parts of a request that are the same each time.

    :param unset: the header fields that aiohttp would add.
    """

    server: _ServerLimits
    url: URL
    headers: CIMultiDict[str]
    unset: tuple[str, ...] | None


@dataclass(slots=True)
class _Exchange:
    """
    A request that is being sent, for the connector.

    :param opening: limits the number of connections that are opened at the same time.
    :param needs_new_connection: whether it needs a new connection.
    :ivar is_new: whether a connection was opened for it.
    :ivar is_connected: whether it has a connection, so that the server may have received it.
    :ivar is_answered: whether the head of the response has been received.
    :ivar transport: the transport of its connection.
    """

    request: Request
    opening: asyncio.Semaphore
    needs_new_connection: bool
    scope: asyncio.Timeout
    deadline: ExchangeDeadline
    is_new: bool = False
    is_connected: bool = False
    is_answered: bool = False
    transport: asyncio.Transport | None = None


_exchange: ContextVar[_Exchange] = ContextVar("_exchange")


class SessionClient:
    """
    Sends requests over a session: see :class:`~.aiohttp_client.HttpClient`.

    :param settings: the Airflow connection.
    :param tls: the TLS context.
    :param steady: a clock that is never put back, in seconds.
    """

    def __init__(self, settings: ConnectionSettings, tls: ssl.SSLContext, steady: Callable[[], float]) -> None:
        self._settings, self._steady = settings, steady
        self._loop = asyncio.get_running_loop()
        self._proxy = Proxy.of(settings)
        self._limit = max_connections(settings)
        # A server is forgotten with the last request to it, since redirects may lead to any number of servers.
        self._servers: WeakValueDictionary[str, _ServerLimits] = WeakValueDictionary()
        self._connector = _SessionConnector(settings, tls)
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(connect=settings.connect_timeout, sock_read=settings.read_timeout),
            auto_decompress=False,
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
        )

    def prepare(self, request: Request) -> _SessionRequest:
        """Return the URL, the headers and the limit of a request."""
        url = encode_url(request)
        headers = request.headers + (self._proxy.headers_for(url) if self._proxy else ())
        complete = CIMultiDict(build_headers(request.method, url, headers, request.body))
        scheme, _, rest = url.partition("://")
        authority = rest.partition("/")[0]
        server = self._servers.get(authority)
        if server is None:
            server = self._servers[authority] = _ServerLimits(self._limit)
        # The query is given as a part of the path, since yarl drops a question mark without a query.
        exact = URL.build(scheme=scheme, authority=authority, path=request_target(url), encoded=True)
        has_body = size_of(request.body) > 0 or request.method not in ("GET", "HEAD")
        added = ("Accept", "Content-Type") if has_body else ("Accept",)
        unset = tuple(name for name in added if name not in complete)
        return _SessionRequest(server, exact, complete, unset or None)

    async def send(self, effect: Send, prepared: _SessionRequest, needed_until: float) -> tuple[Response, float]:
        """Send a request over the session, and return the response and the seconds of waiting for a connection."""
        slots, needs_new_connection = prepared.server.slots, not effect.is_repeatable
        waited = await self._wait_for_slot(effect.request, slots, needed_until)
        try:
            while True:
                try:
                    response = await self._exchange(
                        effect, prepared, needed_until, needs_new_connection=needs_new_connection
                    )
                except ServerClosedError:
                    needs_new_connection = True
                else:
                    return response, waited
        finally:
            slots.release()

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def _wait_for_slot(self, request: Request, slots: asyncio.Semaphore, needed_until: float) -> float:
        """Wait until another request to the same server may run; return the seconds of waiting."""
        if not slots.locked():
            await slots.acquire()
            return 0.0
        began = self._loop.time()
        try:
            async with asyncio.timeout(None if needed_until == math.inf else needed_until - self._steady()):
                await slots.acquire()
        except TimeoutError:
            raise translate_error(self._settings, request, PoolFullError(), connecting=True) from None
        return self._loop.time() - began

    async def _exchange(
        self, effect: Send, prepared: _SessionRequest, needed_until: float, *, needs_new_connection: bool
    ) -> Response:
        """
        Send a request, and return the response.

        :raises ServerClosedError: if the request can be sent once more, over a new connection.
        """
        request, settings = effect.request, self._settings
        deadline = ExchangeDeadline(request, settings.read_timeout, self._steady, needed_until)
        scope = asyncio.timeout(deadline.remaining())
        exchange = _Exchange(request, prepared.server.opening, needs_new_connection, scope, deadline)
        token = _exchange.set(exchange)
        upload, is_sent = Upload.of(request, deadline), False
        # No cause: Airflow would log its text, which may contain the URL with its query.
        try:
            async with scope:
                if upload is not None:
                    await asyncio.to_thread(upload.begin)
                answer = await self._session.request(
                    request.method,
                    prepared.url,
                    headers=prepared.headers,
                    skip_auto_headers=prepared.unset,
                    data=_make_data(request.body, upload, scope),
                    allow_redirects=False,
                    proxy=self._proxy.url if self._proxy else None,
                    proxy_headers=self._proxy.headers if self._proxy else None,
                )
                exchange.is_answered = True
                try:
                    receiver = Receiver(effect, answer.status, answer.raw_headers, deadline)
                    if receiver.is_streamed:
                        scope.reschedule(None)
                    response = await read_body(answer.content, receiver, deadline)
                finally:
                    if upload is None or upload.is_complete:
                        # This closes the connection if the response hasn't been read to its end.
                        answer.release()
                    else:
                        # Otherwise aiohttp would send the rest of the body.
                        answer.close()
                if upload is not None:
                    upload.check_response(response)
                    is_sent = upload.is_complete
                return response
        except (aiohttp.ClientError, TimeoutError) as error:
            if upload is not None and upload.error is not None:
                raise upload.error from None
            problem = self._translate_error(exchange, prepared, error)
            raise (problem if upload is None else upload.build_interruption_error(problem)) from None
        finally:
            _exchange.reset(token)
            if upload is not None:
                if not is_sent and exchange.transport is not None:
                    # Closing would wait until the server has accepted the data that is left.
                    exchange.transport.abort()
                # A thread may still read the file.
                await asyncio.to_thread(upload.close)

    def _translate_error(self, exchange: _Exchange, prepared: _SessionRequest, error: Exception) -> TransportError:
        """
        Return the error of an exchange that has failed.

        :raises ServerClosedError: if the request can be sent once more, over a new connection.
        """
        request, settings, deadline = exchange.request, self._settings, exchange.deadline
        if exchange.scope.expired() or (deadline.remaining() <= 0 and isinstance(error, TimeoutError)):
            return deadline.error(sent=exchange.is_connected)
        if not exchange.is_connected:
            # This time limit may have been reached before the look-up reports its own.
            is_looking_up = self._connector.is_looking_up((self._proxy or prepared).url.host)
            cause = SlowLookUpError() if is_looking_up else error
            return translate_error(settings, request, cause, connecting=True)
        is_closed = isinstance(error, (ServerClosedError, aiohttp.ServerDisconnectedError, aiohttp.ClientOSError))
        if is_closed and not (exchange.needs_new_connection or exchange.is_new or exchange.is_answered):
            raise ServerClosedError from None
        return translate_error(settings, request, error, connecting=False)


def _make_data(body: RequestBody, upload: Upload | None, scope: asyncio.Timeout) -> Any:
    if upload is None:
        # aiohttp warns of large bodies that aren't files.
        return io.BytesIO(body) if isinstance(body, bytes) and body else None
    loop = asyncio.get_running_loop()
    return upload.iterate(lambda left: scope.reschedule(None if left is None else loop.time() + left))


class _SessionConnector(Connector):
    """
    Provides one connection for each request.

    The session calls :meth:`connect` for each request, in the task that sends it.
    """

    def __init__(self, settings: ConnectionSettings, tls: ssl.SSLContext) -> None:
        super().__init__(settings, tls, socket_factory=_open_socket)

    async def connect(self, *args: Any, **options: Any) -> Any:
        """
        Return a connection, whose address has been checked.

        :raises ServerClosedError: if the session sends the request again by itself, though the server may have received
            it.
        """
        exchange = _exchange.get()
        if exchange.is_connected:
            raise ServerClosedError
        # An idle connection is returned immediately, so only connections that are opened wait here.
        async with exchange.opening:
            connection = await super().connect(*args, **options)
            while exchange.needs_new_connection and not exchange.is_new:
                # The server may be about to close it.
                connection.close()
                connection = await super().connect(*args, **options)
        if exchange.is_new:
            try:
                self.check_address(exchange.request, connection.transport)
            except BaseException:
                connection.close()
                raise
            # Connecting has its own time limit.
            exchange.deadline.restart()
            exchange.scope.reschedule(asyncio.get_running_loop().time() + exchange.deadline.remaining())
        exchange.is_connected, exchange.transport = True, connection.transport
        return connection


def _open_socket(address: Any) -> socket.socket:
    """Open a socket as aiohttp does, and note that the exchange has a new connection."""
    family, kind, protocol, *_ = address
    _exchange.get().is_new = True
    return socket.socket(family, kind, protocol)
