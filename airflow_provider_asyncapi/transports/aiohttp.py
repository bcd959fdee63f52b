"""The driver in the triggerer, made with aiohttp."""

from __future__ import annotations

import asyncio
import base64
import math
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable
from copy import copy
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp
from yarl import URL

from airflow_provider_asyncapi.core.auth.login import TokenState, get_shared_token
from airflow_provider_asyncapi.core.auth.tokens import Token
from airflow_provider_asyncapi.core.connection.settings import Api, ConnectionSettings
from airflow_provider_asyncapi.core.effects import (
    Authorize,
    DriverEffect,
    Flow,
    Notification,
    PollBatch,
    RunBlocking,
    RunConcurrently,
    Send,
    Sleep,
)
from airflow_provider_asyncapi.core.errors import AsyncApiError, ThrottledError, TransportError
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.requests.rate_limit import OVERLOADED, RateLimiter
from airflow_provider_asyncapi.core.steps import Steps
from airflow_provider_asyncapi.core.time_limit import limit_time
from airflow_provider_asyncapi.core.wait.batch_flow import poll_batch
from airflow_provider_asyncapi.core.wait.batch_plan import BatchResponse
from airflow_provider_asyncapi.core.wait.lateness import ON_TIME, Delay, Reason
from airflow_provider_asyncapi.core.wait.unchanged_polls import perform_each_poll
from airflow_provider_asyncapi.transports import Observer, log_only
from airflow_provider_asyncapi.transports.aiohttp_resolver import Resolver
from airflow_provider_asyncapi.transports.batch_poller import BatchPoller
from airflow_provider_asyncapi.transports.dns import check_peer
from airflow_provider_asyncapi.transports.error_translation import PoolFullError, SlowLookUpError, translate_error
from airflow_provider_asyncapi.transports.exchange_deadline import ExchangeDeadline
from airflow_provider_asyncapi.transports.fast_path.head import encode_head
from airflow_provider_asyncapi.transports.fast_path.pool import Pool, has_been_used, most_connections
from airflow_provider_asyncapi.transports.receiver import INTERIM, LONGEST_LINE, Receiver
from airflow_provider_asyncapi.transports.request_format import encode_url
from airflow_provider_asyncapi.transports.step_threads import StepThreads, is_expensive
from airflow_provider_asyncapi.transports.tls import tls_context

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection

__all__ = ["AiohttpDriver", "open_connector", "tls_context"]

T = TypeVar("T")
#: Bytes of a body that are processed before other tasks get the event loop.
_AT_A_TIME = 64 * 1024


class _ServerClosedError(aiohttp.ClientError):
    """The server has closed the connection instead of answering."""


class AiohttpDriver:
    """
    Runs flows on the running event loop, any number at the same time, over one pool of connections.

    :param api: the connection.
    :param connector: opens connections; from :func:`open_connector`.
    :param sleep: sleeps for a number of seconds.
    :param steady: a clock that is never put back, in seconds.
    """

    def __init__(
        self,
        api: Api,
        connector: Connector,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._loop = asyncio.get_running_loop()
        self._connector = connector
        self._proxy = URL(api.settings.proxy) if api.settings.proxy else None
        self._pool = Pool(
            connector,
            self._make_route,
            timeout=api.settings.connect_timeout,
            limit=api.settings.connections_per_host or most_connections(),
        )
        self._sleep = sleep
        self._steady = steady
        self._rate_limiter = RateLimiter(api.settings.requests_per_second)
        self._keyring = TokenState()
        self._retired: Exception | None = None
        self._batch_poller = BatchPoller(api, self.run)
        self._token_lock = asyncio.Lock()
        self._threads = StepThreads()

    def retire(self, why: Exception) -> None:
        """
        Send no further requests; running ones are completed.

        :param why: the error that is raised for every further request.
        """
        self._retired = why

    async def close(self) -> None:
        """Close all connections."""
        self._batch_poller.close()
        self._threads.close()
        await self._pool.close()
        await self._connector.resolver.close()

    async def run(self, flow: Flow[T], *, observe: Observer = log_only, overslept: float = 0.0) -> T:
        """
        Run a flow to its end.

        :param observe: called with each notification.
        :param overslept: seconds by which the flow starts late.
        :raises SlowResponseError: if the flow takes longer than its time limit to read a response.
        :raises AsyncApiError: any error of the flow.
        """
        costly: Send | PollBatch | None = None
        # The last request, with its server and its head: a poll sends the same request again and again.
        request, server, head = None, "", b""
        with Steps(perform_each_poll(flow)) as steps:
            while (
                effect := next(steps, None) if costly is None else await self._step_on_thread(steps, costly)
            ) is not None:
                # Up to the next effect that isn't a notification, the flow may still read its last response.
                costly = costly if isinstance(effect, Notification) else None
                try:
                    if isinstance(effect, Notification):
                        steps.reply = observe(effect)
                        continue
                    if isinstance(effect, Sleep):
                        overslept += await self._sleep_and_measure(effect.seconds)
                        steps.reply = None
                    elif isinstance(effect, Send):
                        if effect.request is not request:
                            request = effect.request
                            server, head = self._on_wire(request)
                        late, overslept = overslept, 0.0
                        steps.reply = await self._send(effect, server, head, late)
                    else:
                        late, overslept = overslept, overslept if isinstance(effect, Authorize) else 0.0
                        steps.reply = await self._perform(effect, observe, late)
                    if isinstance(effect, Send | PollBatch) and is_expensive(effect, steps.reply):
                        costly = effect
                except AsyncApiError as error:
                    steps.error = error
        return steps.result

    async def _step_on_thread(self, steps: Steps[DriverEffect, Any], answered: Send | PollBatch) -> DriverEffect | None:
        """Run a step of a flow that reads a large response."""
        return await self._threads.step(steps, answered, self._seconds_until(answered.until))

    async def _sleep_and_measure(self, seconds: float) -> float:
        """Sleep; return the seconds by which it took longer because the event loop was busy."""
        due = self._loop.time() + seconds
        await self._sleep(seconds)
        return max(0.0, self._loop.time() - due)

    def _perform(
        self, effect: PollBatch | Authorize | RunBlocking | RunConcurrently, observe: Observer, overslept: float
    ) -> Awaitable[Any]:
        match effect:
            case PollBatch():
                return self._poll_in_batch(effect, observe)
            case Authorize():
                return self._authorize(effect, observe)
            case RunBlocking(work):
                return asyncio.to_thread(work)
            case RunConcurrently():
                return self._run_concurrently(effect, observe, overslept)

    async def _run_concurrently(self, effect: RunConcurrently, observe: Observer, overslept: float) -> None:
        slots = asyncio.Semaphore(effect.concurrency)
        begun: deque[asyncio.Task[Any]] = deque()

        async def in_turn(make: Callable[[], Flow[Any]]) -> Any:
            async with slots:
                return await self.run(make(), observe=observe, overslept=overslept)

        async def take_next() -> None:
            # Not by awaiting the task, which would be cancelled with this one, and would let the next flow start.
            await asyncio.wait([begun[0]])
            effect.on_result(begun.popleft().result())

        try:
            for make in effect.flows:
                begun.append(asyncio.create_task(in_turn(make)))
                if len(begun) == effect.window:
                    await take_next()
            while begun:
                await take_next()
        finally:
            for task in begun:
                task.cancel()
            await asyncio.gather(*begun, return_exceptions=True)

    async def _poll_in_batch(self, effect: PollBatch, observe: Observer) -> BatchResponse:
        """Poll a job together with other jobs; alone if the flow can't wait."""
        if not effect.can_wait:
            alone = poll_batch(self._api, effect.batch, [effect.identifier], can_wait=True)
            return await self.run(limit_time(alone, effect.until))
        try:
            async with asyncio.timeout(self._seconds_until(effect.until)):
                return await self._batch_poller.poll(effect, observe)
        except TimeoutError:
            raise TransportError("batch of jobs: no answer in time") from None

    async def _authorize(self, effect: Authorize, observe: Observer) -> Token:
        asked_at = self._api.clock()
        flow = get_shared_token(self._api, self._keyring, effect.rejected, asked_at)
        try:
            async with asyncio.timeout(self._seconds_until(effect.until)), self._token_lock:
                return await self.run(flow, observe=observe)
        except TimeoutError:
            raise TransportError("the login wasn't over in time", sent=False) from None

    def _seconds_until(self, until: float | None) -> float | None:
        """Return the seconds until a moment; None for no moment."""
        return None if until is None else until - self._api.clock()

    async def _send(self, effect: Send, server: str, head: bytes, overslept: float) -> Response:
        request, clock = effect.request, self._api.clock
        if self._retired is not None:
            raise copy(self._retired)
        if effect.can_wait and (held := self._rate_limiter.blocked_for(clock())):
            raise ThrottledError(f"{request}: not sent, since the API asks for no requests for {held:.3g} s", held)
        now, needed_for = self._steady(), math.inf if effect.until is None else effect.until - clock()
        if needed_for <= 0:
            raise ExchangeDeadline(request, self._api.settings.read_timeout, self._steady, now + needed_for).error(
                sent=False
            )
        if pause := self._rate_limiter.next_slot(now, needed_for):
            if pause >= needed_for:
                raise ExchangeDeadline(request, self._api.settings.read_timeout, self._steady, now).error(sent=False)
            await self._sleep(pause)
        response, waited = await self._send_over_pool(effect, server, head, now + needed_for)
        # Most requests aren't late, and this saves them a mapping.
        if overslept + pause + waited >= ON_TIME:
            waits = {Reason.EVENT_LOOP: overslept, Reason.RATE: pause, Reason.CONNECTIONS: waited}
            response.delay = Delay.of(waits)
        if response.status in OVERLOADED and self._api.settings.trusts(request.url):
            self._rate_limiter.observe(response, clock())
        return response

    async def _send_over_pool(
        self, effect: Send, server: str, head: bytes, needed_until: float
    ) -> tuple[Response, float]:
        """
        Send a request; send it once more if the server closes a reused connection instead of answering.

        :param needed_until: when the response is no longer needed, on the steady clock.
        :return: the response, and the seconds of waiting for a connection.
        """
        settings, request, new = self._api.settings, effect.request, not effect.repeatable
        while True:
            # No cause: Airflow would log its text, which may contain the URL with its query.
            try:
                connection, waited = await self._pool.connect(server, new=new, within=needed_until - self._steady())
            except (aiohttp.ClientError, TimeoutError) as error:
                deadline = ExchangeDeadline(request, settings.read_timeout, self._steady, needed_until)
                if deadline.left() <= 0 and not isinstance(error, PoolFullError):
                    raise deadline.error(sent=False) from None
                # This time limit may have been reached before the look-up reports its own.
                slow = SlowLookUpError() if self._is_looking_up(server) else error
                raise translate_error(settings, request, slow, connecting=True) from None
            was_used = has_been_used(connection)
            try:
                if not was_used and self._proxy is None:
                    check_peer(settings, request, _address_of(connection))
                deadline = ExchangeDeadline(request, settings.read_timeout, self._steady, needed_until)
                response = await self._exchange(effect, connection, head, deadline)
            except (aiohttp.ClientError, aiohttp.http.HttpProcessingError) as error:
                self._pool.discard(server, connection)
                if new or not was_used or not isinstance(error, _ServerClosedError):
                    raise translate_error(settings, request, error, connecting=False) from None
                new = True
            except BaseException:
                self._pool.discard(server, connection)
                raise
            else:
                self._pool.release(server, connection)
                return response, waited

    async def _exchange(
        self, effect: Send, connection: Connection, head: bytes, deadline: ExchangeDeadline
    ) -> Response:
        """
        Send a request over a connection, and read the response.

        The connection and the parser are aiohttp's. Its session, request and response objects aren't used: they repeat
        for each request what is the same for all, which takes longer than everything else in a poll.
        """
        request, protocol, transport = effect.request, connection.protocol, connection.transport
        if protocol is None or transport is None:
            raise _ServerClosedError
        protocol.set_response_params(
            skip_payload=request.method == "HEAD",
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=self._api.settings.read_timeout,
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
        )
        transport.write(head + request.body if request.body else head)
        protocol.start_timeout()
        # A body that trickles in is never silent, and could block its job for ever. (asyncio.timeout() would work, but
        # costs as much as reading the response.)
        watch = _ExchangeTimer(protocol, deadline)
        timer = asyncio.get_running_loop().call_later(deadline.left(), watch.give_up)
        try:
            try:
                answer, body = await protocol.read()
                while answer.code in INTERIM:
                    answer, body = await protocol.read()
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                raise _ServerClosedError from error
            watch.body = body
            receiver = Receiver(effect, answer.code, answer.raw_headers, deadline)
            if receiver.is_streamed:
                timer.cancel()
            while not body.at_eof():
                chunk = await (_next_data(body, deadline) if receiver.is_streamed else body.readany())
                receiver.feed(chunk[:_AT_A_TIME])
                for start in range(_AT_A_TIME, len(chunk), _AT_A_TIME):
                    # Decoding a chunk can take long; other tasks run in between.
                    await asyncio.sleep(0)
                    receiver.feed(chunk[start : start + _AT_A_TIME])
        finally:
            timer.cancel()
        return receiver.finish()

    def _on_wire(self, request: Request) -> tuple[str, bytes]:
        """Return the server that a request goes to, as scheme, host and port, and the request's head."""
        url = encode_url(request)
        # Without TLS, a proxy reads the head.
        proxy = self._proxy if url.startswith("http:") else None
        headers = request.headers
        if proxy is not None and proxy.raw_user is not None:
            login = base64.b64encode(f"{proxy.user}:{proxy.password or ''}".encode()).decode()
            headers += (("Proxy-Authorization", f"Basic {login}"),)
        scheme, _, rest = url.partition("://")
        server = f"{scheme}://{rest.partition('/')[0]}"
        return server, encode_head(request.method, url, headers, request.body, to_proxy=proxy is not None)

    def _is_looking_up(self, server: str) -> bool:
        """Return whether the address of a server, or of its proxy, is still being looked up."""
        host = (self._proxy or URL(server, encoded=True)).host
        return host is not None and self._connector.resolver.is_looking_up(host)

    def _make_route(self, server: str) -> aiohttp.ClientRequest:
        """Return the request object that the connector needs to open a connection."""
        loop = asyncio.get_running_loop()
        return aiohttp.ClientRequest("GET", URL(server, encoded=True), loop=loop, proxy=self._proxy)


def _address_of(connection: Connection) -> str:
    peer = None if connection.transport is None else connection.transport.get_extra_info("peername")
    return str(peer[0]) if peer else ""


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


async def _next_data(body: aiohttp.StreamReader, deadline: ExchangeDeadline) -> bytes:
    """
    Wait for the next bytes of a body.

    :raises TransportError: if none come in time.
    """
    try:
        async with asyncio.timeout(deadline.left()):
            return await body.readany()
    except TimeoutError as error:
        if isinstance(error, aiohttp.ClientError):
            raise
        raise deadline.error() from None


class Connector(aiohttp.TCPConnector):
    """
    Opens the TCP connections of one Airflow connection.

    The pool limits their number, and the resolver caches the addresses, which aiohttp would never remove.

    :param tls: the TLS context.
    :param timeout: time limit of looking up a name, in seconds.
    """

    def __init__(self, tls: ssl.SSLContext, timeout: float) -> None:
        self.resolver = Resolver(timeout)
        super().__init__(ssl=tls, limit=0, use_dns_cache=False, resolver=self.resolver)


def open_connector(settings: ConnectionSettings, tls: ssl.SSLContext) -> Connector:
    """Return the connector of one Airflow connection, for the running event loop."""
    return Connector(tls, settings.connect_timeout)
