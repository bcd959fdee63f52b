"""The driver in the triggerer, made with aiohttp."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, TypeVar

import aiohttp
from yarl import URL

from airflow_provider_asyncapi.core.auth import Token, log_in
from airflow_provider_asyncapi.core.effects import Authorize, Effect, Flow, Gather, Log, Polled, Send, Sleep
from airflow_provider_asyncapi.core.errors import ConfigurationError, RefusedContentError, TransportError
from airflow_provider_asyncapi.core.messages import Headers, Request, Response
from airflow_provider_asyncapi.core.pacing import Pacer
from airflow_provider_asyncapi.core.settings import Api, ConnectionSettings
from airflow_provider_asyncapi.transports import ACCEPT_ENCODING, CHUNK, USER_AGENT, Observer, log_only

T = TypeVar("T")
#: What aiohttp would add by itself; the core says all that is sent.
_NO_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class AiohttpDriver:
    """
    Runs flows on the running event loop, any number at the same time, over one pool of connections.

    :param api: the connection.
    :param session: the pool, made by :func:`open_session`; closed by whoever opened it.
    """

    def __init__(self, api: Api, session: aiohttp.ClientSession) -> None:
        self._api = api
        self._session = session
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=api.settings.connect_timeout, sock_read=api.settings.read_timeout
        )
        self._pacer = Pacer(api.settings.requests_per_second)
        self._token: Token | None = None
        self._token_lock = asyncio.Lock()

    async def run(self, flow: Flow[T], *, observe: Observer = log_only) -> T:
        """
        Run a flow to its end.

        :param observe: told of each log line and each poll.
        :raises AsyncApiError: what the flow raises.
        """
        reply: Any = None
        failure: TransportError | None = None
        while True:
            try:
                effect = flow.send(reply) if failure is None else flow.throw(failure)
            except StopIteration as end:
                result: T = end.value
                return result
            reply = failure = None
            try:
                reply = await self._perform(effect, observe)
            except TransportError as error:
                failure = error

    async def _perform(self, effect: Effect, observe: Observer) -> Any:
        match effect:
            case Send():
                return await self._send(effect)
            case Sleep(seconds):
                return await asyncio.sleep(seconds)
            case Authorize(rejected):
                return await self._authorize(rejected, observe)
            case Gather(flows, concurrency):
                slots = asyncio.Semaphore(concurrency)

                async def in_turn(make: Any) -> Any:
                    async with slots:
                        return await self.run(make(), observe=observe)

                return await asyncio.gather(*map(in_turn, flows))
            case Log() | Polled():
                return observe(effect)

    async def _authorize(self, rejected: Token | None, observe: Observer) -> Token:
        login = self._api.settings.auth.login
        assert login is not None, "a flow asks for a token only where there is a login"  # noqa: S101
        async with self._token_lock:
            if self._token is None or self._token == rejected or not self._token.is_fresh(self._api.clock()):
                self._token = await self.run(log_in(self._api, login, self._token), observe=observe)
            return self._token

    async def _send(self, effect: Send) -> Response:
        if pause := self._pacer.reserve(asyncio.get_running_loop().time()):
            await asyncio.sleep(pause)
        request = effect.request
        try:
            async with self._session.request(
                request.method,
                URL(request.url, encoded=True),
                data=request.body,
                headers=request.headers,
                timeout=self._timeout,
                allow_redirects=False,
                proxy=self._api.settings.proxy,
            ) as answer:
                return await _read(effect, answer)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _translated(request, error) from error


async def _read(effect: Send, answer: aiohttp.ClientResponse) -> Response:
    response = Response(answer.status, Headers(answer.headers.items()), url=effect.request.url)
    streaming = effect.sink is not None and response.ok
    body = bytearray()
    if streaming and effect.sink is not None:
        effect.sink.restart()
    async for chunk in answer.content.iter_chunked(CHUNK):
        if streaming and effect.sink is not None:
            effect.sink.write(chunk)
            response.streamed += len(chunk)
            continue
        body += chunk
        if len(body) > effect.limit:
            raise RefusedContentError(
                f"{effect.request} answered {response.status} with a body of more than {effect.limit} bytes,"
                " which isn't read"
            )
    response.body = bytes(body)
    return response


def _translated(request: Request, error: Exception) -> TransportError:
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | aiohttp.ClientProxyConnectionError):
        what, sent = "couldn't connect", False
    elif isinstance(error, TimeoutError):
        what, sent = "got no answer in time", True
    else:
        what, sent = "the connection broke", True
    root = getattr(error, "os_error", None) or error
    return TransportError(f"{request}: {what} ({type(root).__name__})", sent=sent)


def tls_context(settings: ConnectionSettings) -> ssl.SSLContext | bool:
    """
    Make the TLS context of a connection; it reads files and takes some milliseconds, so not on the event loop.

    :raises ConfigurationError: where a certificate can't be read.
    """
    if not settings.verify and not settings.client_cert:
        return False
    try:
        context = ssl.create_default_context(cafile=settings.ca_cert)
        if not settings.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if settings.client_cert:
            context.load_cert_chain(settings.client_cert, settings.client_key)
    except OSError as error:
        raise ConfigurationError(
            f"connection: ca_cert, client_cert or client_key can't be read here: {error.strerror or error}"
        ) from None
    return context


def open_session(settings: ConnectionSettings, tls: ssl.SSLContext | bool) -> aiohttp.ClientSession:  # noqa: FBT001
    """Open the pool of connections of one connection on the running loop."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=tls, limit=0, limit_per_host=settings.connections_per_host),
        # What the connection says is all that counts: no .netrc, no proxies from the environment, no cookies.
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        skip_auto_headers=_NO_HEADERS,
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": ACCEPT_ENCODING},
    )
