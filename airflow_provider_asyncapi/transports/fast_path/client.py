"""Send requests over the pool, and read their responses with aiohttp's parser."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.http import HttpProcessingError
from multidict import CIMultiDict
from yarl import URL

from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.effects import Send
from airflow_provider_asyncapi.core.http.file_bodies import FileBody
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.lazy import LazyModule
from airflow_provider_asyncapi.transports.aiohttp_body import read_body
from airflow_provider_asyncapi.transports.aiohttp_connector import (
    Connector,
    Proxy,
    ServerClosedError,
    max_connections,
)
from airflow_provider_asyncapi.transports.error_translation import PoolFullError, SlowLookUpError, translate_error
from airflow_provider_asyncapi.transports.exchange_deadline import ExchangeDeadline
from airflow_provider_asyncapi.transports.fast_path.head import encode_head
from airflow_provider_asyncapi.transports.fast_path.pool import Pool, has_been_used
from airflow_provider_asyncapi.transports.receiver import INTERIM, LONGEST_LINE, Receiver
from airflow_provider_asyncapi.transports.request_format import encode_url

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection

    from airflow_provider_asyncapi.transports import aiohttp_session
else:
    # Few requests send files.
    aiohttp_session = LazyModule("airflow_provider_asyncapi.transports.aiohttp_session")


@dataclass(frozen=True, slots=True)
class _EncodedRequest:
    """
    The parts of a request that are the same each time.

    :param server: scheme, host and port of the server.
    :param head: the head as bytes.
    """

    server: str
    head: bytes


class FastPathClient:
    """
    Sends requests over aiohttp's connections: see :class:`~.aiohttp_client.HttpClient`.

    :param settings: the Airflow connection.
    :param tls: the TLS context.
    :param steady: a clock that is never put back, in seconds.
    """

    def __init__(self, settings: ConnectionSettings, tls: ssl.SSLContext, steady: Callable[[], float]) -> None:
        self._settings, self._tls, self._steady = settings, tls, steady
        self._session: aiohttp_session.SessionClient | None = None
        self._proxy = Proxy.of(settings)
        self._connector = Connector(settings, tls)
        self._pool = Pool(
            self._connector, self._make_route, timeout=settings.connect_timeout, limit=max_connections(settings)
        )

    def prepare(self, request: Request) -> Any:
        """Return the server and the head of a request; for a body that contains files, what the session needs."""
        if isinstance(request.body, FileBody):
            return self._use_session().prepare(request)
        url = encode_url(request)
        scheme, _, rest = url.partition("://")
        # Without TLS, a proxy reads the head.
        is_to_proxy = self._proxy is not None and scheme == "http"
        headers = request.headers + (self._proxy.headers_for(url) if self._proxy else ())
        head = encode_head(request.method, url, headers, request.body, to_proxy=is_to_proxy)
        return _EncodedRequest(f"{scheme}://{rest.partition('/')[0]}", head)

    async def send(self, effect: Send, prepared: Any, needed_until: float) -> tuple[Response, float]:
        """Send a request over the pool, and return the response and the seconds of waiting for a connection."""
        if isinstance(effect.request.body, FileBody):
            return await self._use_session().send(effect, prepared, needed_until)
        settings, request, server = self._settings, effect.request, prepared.server
        needs_new_connection = not effect.is_repeatable
        while True:
            # No cause: Airflow would log its text, which may contain the URL with its query.
            try:
                connection, waited = await self._pool.connect(
                    server, needs_new_connection=needs_new_connection, within=needed_until - self._steady()
                )
            except (aiohttp.ClientError, TimeoutError) as error:
                deadline = ExchangeDeadline(request, settings.read_timeout, self._steady, needed_until)
                if deadline.remaining() <= 0 and not isinstance(error, PoolFullError):
                    raise deadline.error(sent=False) from None
                # This time limit may have been reached before the look-up reports its own.
                slow = SlowLookUpError() if self._is_looking_up(server) else error
                raise translate_error(settings, request, slow, connecting=True) from None
            was_used = has_been_used(connection)
            try:
                if not was_used:
                    self._connector.check_address(request, connection.transport)
                deadline = ExchangeDeadline(request, settings.read_timeout, self._steady, needed_until)
                response = await self._exchange(effect, connection, prepared.head, deadline)
            except (aiohttp.ClientError, HttpProcessingError) as error:
                self._pool.discard(server, connection)
                if needs_new_connection or not was_used or not isinstance(error, ServerClosedError):
                    raise translate_error(settings, request, error, connecting=False) from None
                needs_new_connection = True
            except BaseException:
                self._pool.discard(server, connection)
                raise
            else:
                self._pool.release(server, connection)
                return response, waited

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()
        if self._session is not None:
            await self._session.close()

    def _use_session(self) -> aiohttp_session.SessionClient:
        """Return the client for bodies that contain files, which need the flow control of aiohttp's session."""
        if self._session is None:
            self._session = aiohttp_session.SessionClient(self._settings, self._tls, self._steady)
        return self._session

    async def _exchange(
        self, effect: Send, connection: Connection, head: bytes, deadline: ExchangeDeadline
    ) -> Response:
        """Send a request over a connection, and read the response."""
        request, protocol, transport = effect.request, connection.protocol, connection.transport
        if protocol is None or transport is None:
            raise ServerClosedError
        protocol.set_response_params(
            skip_payload=request.method == "HEAD",
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=self._settings.read_timeout,
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
        )
        content = request.body
        transport.write(head + content if isinstance(content, bytes) and content else head)
        protocol.start_timeout()
        # A body that trickles in is never silent, and could block its job for ever. (asyncio.timeout() would work, but
        # costs as much as reading the response.)
        timer = _ExchangeTimer(protocol, deadline)
        handle = asyncio.get_running_loop().call_later(deadline.remaining(), timer.give_up)
        try:
            try:
                answer, body = await protocol.read()
                while answer.code in INTERIM:
                    answer, body = await protocol.read()
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                raise ServerClosedError from error
            timer.body = body
            receiver = Receiver(effect, answer.code, answer.raw_headers, deadline)
            if receiver.is_streamed:
                handle.cancel()
            return await read_body(body, receiver, deadline)
        finally:
            handle.cancel()

    def _is_looking_up(self, server: str) -> bool:
        """Return whether the address of a server, or of its proxy, is still being looked up."""
        return self._connector.is_looking_up((self._proxy.url if self._proxy else URL(server, encoded=True)).host)

    def _make_route(self, server: str) -> aiohttp.ClientRequest:
        """Return the request object that the connector needs to open a connection."""
        loop, url = asyncio.get_running_loop(), URL(server, encoded=True)
        if self._proxy is None:
            return aiohttp.ClientRequest("GET", url, loop=loop)
        headers = CIMultiDict(self._proxy.headers)
        return aiohttp.ClientRequest("GET", url, loop=loop, proxy=self._proxy.url, proxy_headers=headers)


class _ExchangeTimer:
    """
    Gives up an exchange at its time limit.

    :param protocol: the reader of the head.
    :param deadline: the time limit.
    :ivar body: the body, once the head has been read.
    """

    __slots__ = ("_deadline", "_protocol", "body")

    def __init__(self, protocol: ResponseHandler, deadline: ExchangeDeadline) -> None:
        self._protocol, self._deadline = protocol, deadline
        self.body: aiohttp.StreamReader | None = None

    def give_up(self) -> None:
        """Raise the error of the time limit in the reader."""
        error = self._deadline.error()
        self._protocol.set_exception(error)
        if self.body is not None:
            self.body.set_exception(error)
