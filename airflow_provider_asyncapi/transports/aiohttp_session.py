"""
Send requests over the public :class:`aiohttp.ClientSession`, if the fast path wasn't tested with the installed aiohttp.

All safety rules hold here, too: the limits of head, body and time, the check of addresses, the exact headers, no
cookies, and redirects left to the flow. What differs, since aiohttp's public interface has no means for it:

- A request that needs a new connection closes the idle ones to the same server first.
- Idle connections are reused in turn, so that connections that were needed only once stay open as long as others are
  used.
- The head of the response to a request without a body has to be complete within the read timeout: silence is measured
  to the head, and between the pieces of the body.
- After ``Expect: 100-continue``, the body is sent only once the server asks for it.
"""

from __future__ import annotations

import asyncio
import io
import math
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import aiohttp
from multidict import CIMultiDict, istr
from yarl import URL

from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.effects import Send
from airflow_provider_asyncapi.core.errors import TransportError
from airflow_provider_asyncapi.core.http.file_bodies import size_of
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.transports.aiohttp_body import read_body
from airflow_provider_asyncapi.transports.aiohttp_connector import (
    MAX_OPENING,
    Proxy,
    ServerClosedError,
    max_connections,
)
from airflow_provider_asyncapi.transports.aiohttp_session_connector import (
    SessionConnector,
    SessionExchange,
    current_exchange,
)
from airflow_provider_asyncapi.transports.error_translation import PoolFullError, SlowLookUpError, translate_error
from airflow_provider_asyncapi.transports.exchange_deadline import ExchangeDeadline
from airflow_provider_asyncapi.transports.receiver import LONGEST_LINE, Receiver
from airflow_provider_asyncapi.transports.request_format import build_headers, encode_url, request_target
from airflow_provider_asyncapi.transports.uploads import Upload


class _ExactRequest(aiohttp.ClientRequest):
    """
    A request without the header fields that aiohttp adds to all requests.

    The parameter ``skip_auto_headers`` has the same effect, but aiohttp copies the headers of each request for it.
    """

    DEFAULT_HEADERS: dict[istr, str] = {}  # noqa: RUF012 - as aiohttp declares it


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

    :param has_body: whether the request has a body.
    :param unset: the header fields that aiohttp would add to a body.
    """

    server: _ServerLimits
    url: URL
    headers: CIMultiDict[str]
    has_body: bool
    unset: tuple[str, ...] | None


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
        self._connector = SessionConnector(settings, tls)
        self._timeout = aiohttp.ClientTimeout(connect=settings.connect_timeout, sock_read=settings.read_timeout)
        self._timeout_without_body = aiohttp.ClientTimeout(connect=settings.connect_timeout)
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            auto_decompress=False,
            request_class=_ExactRequest,
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
        has_body = bool(request.body)
        may_have_body = size_of(request.body) > 0 or request.method not in ("GET", "HEAD")
        unset = ("Content-Type",) if may_have_body and "Content-Type" not in complete else None
        return _SessionRequest(server, exact, complete, has_body, unset)

    async def send(self, effect: Send, prepared: _SessionRequest, needed_until: float) -> tuple[Response, float]:
        """Send a request over the session, and return the response and the seconds of waiting for a connection."""
        slots, needs_new_connection, waited = prepared.server.slots, not effect.is_repeatable, 0.0
        if slots.locked():
            waited = await self._wait_for_slot(effect.request, slots, needed_until)
        else:
            await slots.acquire()
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
        request = effect.request
        deadline = ExchangeDeadline(request, self._settings.read_timeout, self._steady, needed_until)
        exchange = SessionExchange(
            request,
            prepared.server.opening,
            deadline,
            limits_silence=not prepared.has_body,
            needs_new_connection=needs_new_connection,
        )
        token = current_exchange.set(exchange)
        upload = Upload.of(request, deadline)
        # No cause: Airflow would log its text, which may contain the URL with its query.
        try:
            if upload is None:
                return await self._send_and_read(effect, prepared, exchange)
            async with _read_files(upload, exchange):
                return await self._send_and_read(effect, prepared, exchange, upload)
        except (aiohttp.ClientError, TimeoutError) as error:
            if upload is not None and upload.error is not None:
                raise upload.error from None
            problem = self._translate_error(exchange, prepared, error)
            raise (problem if upload is None else upload.build_interruption_error(problem)) from None
        finally:
            exchange.end()
            current_exchange.reset(token)

    async def _send_and_read(
        self, effect: Send, prepared: _SessionRequest, exchange: SessionExchange, upload: Upload | None = None
    ) -> Response:
        request, deadline, proxy = effect.request, exchange.deadline, self._proxy
        data: Any = None
        if upload is not None:
            data = upload.iterate(exchange.limit_time)
        elif isinstance(request.body, bytes) and request.body:
            # aiohttp warns of large bodies that aren't files.
            data = io.BytesIO(request.body)
        answer = await self._session.request(
            request.method,
            prepared.url,
            headers=prepared.headers,
            skip_auto_headers=prepared.unset,
            data=data,
            allow_redirects=False,
            proxy=proxy.url if proxy else None,
            proxy_headers=proxy.headers if proxy else None,
            timeout=self._timeout if prepared.has_body else self._timeout_without_body,
        )
        exchange.is_answered = True
        try:
            receiver = Receiver(effect, answer.status, answer.raw_headers, deadline)
            if receiver.is_streamed:
                exchange.limit_time(None)
            response = await read_body(answer.content, receiver, deadline)
        finally:
            if upload is None or upload.is_complete:
                # This closes the connection if the response hasn't been read to its end.
                answer.release()
            else:
                # Otherwise aiohttp would send the rest of the body.
                answer.close()
        # The end of the connection may look like the end of the body.
        if exchange.is_aborted:
            raise deadline.error()
        if exchange.is_silent:
            raise TimeoutError
        if upload is not None:
            upload.check_response(response)
        return response

    def _translate_error(
        self, exchange: SessionExchange, prepared: _SessionRequest, error: Exception
    ) -> TransportError:
        """
        Return the error of an exchange that has failed.

        :raises ServerClosedError: if the request can be sent once more, over a new connection.
        """
        request, settings, deadline = exchange.request, self._settings, exchange.deadline
        if exchange.is_aborted or (deadline.remaining() <= 0 and isinstance(error, TimeoutError)):
            return deadline.error(sent=exchange.is_connected)
        if exchange.is_silent:
            return translate_error(settings, request, TimeoutError(), connecting=False)
        if not exchange.is_connected:
            # This time limit may have been reached before the look-up reports its own.
            is_looking_up = self._connector.is_looking_up((self._proxy or prepared).url.host)
            cause = SlowLookUpError() if is_looking_up else error
            return translate_error(settings, request, cause, connecting=True)
        is_closed = isinstance(error, (ServerClosedError, aiohttp.ServerDisconnectedError, aiohttp.ClientOSError))
        if is_closed and not (exchange.needs_new_connection or exchange.is_new or exchange.is_answered):
            raise ServerClosedError from None
        return translate_error(settings, request, error, connecting=False)


@asynccontextmanager
async def _read_files(upload: Upload, exchange: SessionExchange) -> AsyncIterator[None]:
    """Open the files of a body, and close them; abort the exchange unless it has sent all of them."""
    is_sent = False
    try:
        async with asyncio.timeout(exchange.deadline.remaining()):
            await asyncio.to_thread(upload.begin)
        yield
        is_sent = upload.is_complete
    finally:
        if not is_sent:
            exchange.abort()
        # A thread may still read a file.
        await asyncio.to_thread(upload.close)
