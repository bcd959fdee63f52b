"""The driver in the triggerer, made with aiohttp."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiohttp
from yarl import URL

from airflow_provider_asyncapi.core.auth import Token
from airflow_provider_asyncapi.core.effects import Authorize, Call, Effect, Flow, Gather, Send, Sleep
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.flows.login import authorize
from airflow_provider_asyncapi.core.flows.stepping import Steps
from airflow_provider_asyncapi.core.messages import Response
from airflow_provider_asyncapi.core.pacing import Pacer
from airflow_provider_asyncapi.core.settings import Api, ConnectionSettings
from airflow_provider_asyncapi.transports import Observer, log_only
from airflow_provider_asyncapi.transports.faults import fault
from airflow_provider_asyncapi.transports.tls import tls_context
from airflow_provider_asyncapi.transports.wire import CHUNK, LONGEST_LINE, Receiver, wire_headers, wire_url

__all__ = ["AiohttpDriver", "open_session", "tls_context"]

T = TypeVar("T")
#: What aiohttp would add by itself; the core says all that is sent.
_NO_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
#: What fails before a request has left: names, routes, handshakes, proxies.
_CONNECTING = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)


class AiohttpDriver:
    """
    Runs flows on the running event loop, any number at the same time, over one pool of connections.

    :param api: the connection.
    :param session: the pool, made by :func:`open_session`.
    :param sleep: waits so many seconds.
    :param steady: a clock that is never put back, in seconds.
    """

    def __init__(
        self,
        api: Api,
        session: aiohttp.ClientSession,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._session = session
        self._sleep = sleep
        self._steady = steady
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=api.settings.connect_timeout, sock_read=api.settings.read_timeout
        )
        self._pacer = Pacer(api.settings.requests_per_second)
        self._token: Token | None = None
        self._token_lock = asyncio.Lock()

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def run(self, flow: Flow[T], *, observe: Observer = log_only) -> T:
        """
        Run a flow to its end.

        :param observe: told of each log line and each poll.
        :raises AsyncApiError: what the flow raises.
        """
        with Steps(flow) as steps:
            for effect in steps:
                try:
                    steps.reply = await self._perform(effect, observe)
                except AsyncApiError as error:
                    steps.error = error
        return steps.result

    async def _perform(self, effect: Effect, observe: Observer) -> Any:
        match effect:
            case Send():
                return await self._send(effect)
            case Sleep(seconds):
                return await self._sleep(seconds)
            case Authorize(rejected):
                return await self._authorize(rejected, observe)
            case Call(work):
                return await asyncio.to_thread(work)
            case Gather():
                return await self._gather(effect, observe)
            case _:
                return observe(effect)

    async def _gather(self, effect: Gather, observe: Observer) -> list[Any]:
        slots = asyncio.Semaphore(effect.concurrency)

        async def in_turn(make: Callable[[], Flow[Any]]) -> Any:
            async with slots:
                return await self.run(make(), observe=observe)

        tasks = [asyncio.create_task(in_turn(make)) for make in effect.flows]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _authorize(self, rejected: Token | None, observe: Observer) -> Token:
        async with self._token_lock:
            self._token = await self.run(authorize(self._api, self._token, rejected), observe=observe)
            return self._token

    async def _send(self, effect: Send) -> Response:
        request, settings = effect.request, self._api.settings
        url = wire_url(request)
        if pause := self._pacer.reserve(self._steady()):
            await self._sleep(pause)
        try:
            async with self._session.request(
                request.method,
                URL(url, encoded=True),
                data=request.body,
                headers=wire_headers(request),
                timeout=self._timeout,
                allow_redirects=False,
                proxy=settings.proxy,
            ) as answer:
                return await self._receive(effect, answer)
        except aiohttp.ClientError as error:
            # Airflow logs what an error was raised from, and the library's own text holds the URL with its query.
            raise fault(settings, request, error, connecting=isinstance(error, _CONNECTING)) from None

    async def _receive(self, effect: Send, answer: aiohttp.ClientResponse) -> Response:
        receiver = Receiver(effect, answer.status, answer.raw_headers, self._steady, self._api.settings.read_timeout)
        async for chunk in answer.content.iter_chunked(CHUNK):
            receiver.feed(chunk)
        return receiver.finish()


def open_session(settings: ConnectionSettings, tls: ssl.SSLContext) -> aiohttp.ClientSession:
    """Open the pool of connections of one connection on the running loop."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=tls, limit=0, limit_per_host=settings.connections_per_host),
        # What the connection says is all that counts: no .netrc, no proxies from the environment, no cookies.
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        skip_auto_headers=_NO_HEADERS,
        auto_decompress=False,
        max_line_size=LONGEST_LINE,
        max_field_size=LONGEST_LINE,
    )
    # aiohttp would send a PUT, a DELETE and others again by itself; whether that may be done is for the core to say.
    session._retry_connection = False  # noqa: SLF001 - there is no public way
    return session
