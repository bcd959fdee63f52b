"""The driver on the worker, made with requests."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, TypeVar

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError

from airflow_provider_asyncapi.core.auth import Token
from airflow_provider_asyncapi.core.effects import Ask, Authorize, Call, Effect, Flow, Gather, Send, Sleep
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.flows.batch import ask
from airflow_provider_asyncapi.core.flows.login import Keyring, authorize_in_turn
from airflow_provider_asyncapi.core.flows.stepping import Steps
from airflow_provider_asyncapi.core.messages import Response
from airflow_provider_asyncapi.core.pacing import Pacer
from airflow_provider_asyncapi.core.settings import Api
from airflow_provider_asyncapi.transports import Observer, log_only
from airflow_provider_asyncapi.transports.faults import causes, fault
from airflow_provider_asyncapi.transports.names import find_addresses_within
from airflow_provider_asyncapi.transports.tls import tls_context
from airflow_provider_asyncapi.transports.wire import (
    CHUNK,
    INTERIM,
    SLOWEST,
    Receiver,
    check_peer,
    request_target,
    wire_headers,
    wire_url,
)

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

T = TypeVar("T")
#: Connections that are kept where their number isn't limited; a fetch has seldom more pages under way.
_KEPT = 1000
#: Seconds until a connection has to stand for which nobody has said how long it may take.
_LONGEST_CONNECT = 60.0
#: Whether what is being sent on this thread mustn't meet a connection that the server is just closing.
_has_to_be_new: ContextVar[bool] = ContextVar("_has_to_be_new", default=False)
#: The URL of what is being sent on this thread, byte for byte.
_exact_url: ContextVar[str] = ContextVar("_exact_url")
#: Checks the address that a new connection of this thread leads to.
_check_address: ContextVar[Callable[[str], None]] = ContextVar("_check_address")


class RequestsDriver:
    """
    Runs flows on the thread that asks for it; several threads may.

    :param api: the connection.
    :param sleep: waits so many seconds.
    :param steady: a clock that is never put back, in seconds.
    :raises ConfigurationError: where a certificate can't be read.
    """

    def __init__(
        self,
        api: Api,
        *,
        sleep: Callable[[float], object] = time.sleep,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._sleep = sleep
        self._steady = steady
        self._session = _open_session(api)
        self._pacer = Pacer(api.settings.requests_per_second)
        self._pacer_lock = threading.Lock()
        self._keyring = Keyring()
        self._token_lock = threading.Lock()

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def run(self, flow: Flow[T], *, observe: Observer = log_only, is_unwanted: Callable[[], bool] = lambda: False) -> T:
        """
        Run a flow to its end.

        :param observe: told of each log line and each poll.
        :param is_unwanted: tells that what runs here isn't wanted any more; a thread can't be ended from outside.
        :raises AsyncApiError: what the flow raises.
        """
        with Steps(flow) as steps:
            for effect in steps:
                try:
                    steps.reply = self._perform(effect, observe, is_unwanted)
                except AsyncApiError as error:
                    steps.error = error
        return steps.result

    def _perform(self, effect: Effect, observe: Observer, is_unwanted: Callable[[], bool]) -> Any:
        if is_unwanted():
            raise CancelledError
        match effect:
            case Send():
                return self._send(effect, is_unwanted)
            case Sleep(seconds):
                return self._sleep(seconds)
            case Ask(batch, identifier):
                return self.run(ask(self._api, batch, [identifier]), observe=observe)
            case Authorize(rejected):
                return self._authorize(rejected, observe)
            case Call(work):
                return work()
            case Gather():
                return self._gather(effect, observe)
            case _:
                return observe(effect)

    def _gather(self, effect: Gather, observe: Observer) -> None:
        unwanted = threading.Event()
        begun: deque[Future[Any]] = deque()

        def in_turn(make: Callable[[], Flow[Any]]) -> Any:
            return self.run(make(), observe=observe, is_unwanted=unwanted.is_set)

        with ThreadPoolExecutor(max_workers=effect.concurrency) as pool:
            try:
                for make in effect.flows:
                    begun.append(pool.submit(in_turn, make))
                    if len(begun) == effect.window:
                        effect.take(begun.popleft().result())
                while begun:
                    effect.take(begun.popleft().result())
            except BaseException:
                # Nobody waits for what the others are at; a task that is killed least of all.
                unwanted.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _authorize(self, rejected: Token | None, observe: Observer) -> Token:
        asked_at = self._api.clock()
        with self._token_lock:
            return self.run(authorize_in_turn(self._api, self._keyring, rejected, asked_at), observe=observe)

    def _send(self, effect: Send, is_unwanted: Callable[[], bool]) -> Response:
        request, settings = effect.request, self._api.settings
        url = wire_url(request)
        with self._pacer_lock:
            pause = self._pacer.reserve(self._steady())
        if pause:
            self._sleep(pause)
        # Not by the session, which has ideas of its own about what has to be escaped, and costs as much as sending. The
        # query is left out, for the libraries write the URL into the log, and it may hold a key or be a signature.
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url = request.method, url.partition("?")[0]
        while True:
            try:
                prepared.prepare_headers(wire_headers(request.headers))
                prepared.prepare_cookies({})
                prepared.prepare_body(request.body, None)
                with _sending(url, partial(check_peer, settings, request), new=not effect.repeatable):
                    answer = self._session.send(
                        prepared,
                        timeout=(settings.connect_timeout, settings.read_timeout),
                        allow_redirects=False,
                        stream=True,
                    )
                with answer:
                    return self._receive(effect, answer.raw, is_unwanted)
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                found = list(causes(error))
                if effect.repeatable and any(isinstance(cause, _HungUpError) for cause in found):
                    continue
                connecting = any(isinstance(cause, NewConnectionError) for cause in found)
                # Airflow logs what an error was raised from, and the library's own text holds the URL with its query.
                raise fault(settings, request, error, connecting=connecting) from None

    def _receive(self, effect: Send, answer: urllib3.BaseHTTPResponse, is_unwanted: Callable[[], bool]) -> Response:
        fields = ((name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items())
        receiver = Receiver(effect, answer.status, fields, self._steady, self._api.settings.read_timeout)
        while chunk := answer.read1(CHUNK, decode_content=False):
            if is_unwanted():
                raise CancelledError
            receiver.feed(chunk)
        return receiver.finish()


@contextmanager
def _sending(url: str, check_address: Callable[[str], None], *, new: bool) -> Iterator[None]:
    """Tell the pool which URL is sent, which addresses it may lead to, and whether the connection has to be new."""
    url_token, new_token = _exact_url.set(url), _has_to_be_new.set(new)
    address_token = _check_address.set(check_address)
    try:
        yield
    finally:
        _check_address.reset(address_token)
        _has_to_be_new.reset(new_token)
        _exact_url.reset(url_token)


@contextmanager
def _connecting(connection: urllib3.connection.HTTPConnection) -> Iterator[None]:
    """Mark what goes wrong before a request has left: urllib3 has the same exceptions for a broken answer."""
    try:
        yield
    except (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError) as error:
        raise NewConnectionError(connection, type(error).__name__) from error


class _Arriving(io.RawIOBase):
    """
    The bytes of an answer as they arrive.

    :param source: gives them.
    :param latest: when the answer's head has to be complete, on the steady clock; None for no matter when.
    """

    def __init__(self, source: io.RawIOBase, latest: float | None) -> None:
        self._source = source
        self.latest = latest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        if self.latest is not None and time.monotonic() > self.latest:
            raise TimeoutError("the answer didn't begin in time")
        return self._source.readinto(buffer)

    def close(self) -> None:
        self._source.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """Bounds the time until its head is complete: one that trickles in is never silent."""

    def __init__(self, sock: socket.socket, *args: Any, **given: Any) -> None:
        super().__init__(sock, *args, **given)
        # By now urllib3 has set the read timeout there.
        silence = sock.gettimeout()
        latest = None if silence is None else time.monotonic() + SLOWEST * silence
        self._arriving = _Arriving(self.fp.detach(), latest)
        self.fp = io.BufferedReader(self._arriving)

    def begin(self) -> None:
        super().begin()
        # The library itself passes over 100 only, and begins anew as long as there are no headers.
        while self.status in INTERIM:
            self.headers = None  # type: ignore[assignment]
            super().begin()
        self._arriving.latest = None


class _HungUpError(http.client.HTTPException):
    """The server has hung up instead of answering, on a connection that it had answered on before."""


class _HTTPConnection(urllib3.connection.HTTPConnection):
    response_class = _Answer
    _has_answered = False

    def connect(self) -> None:
        self._has_answered = False
        with _connecting(self):
            super().connect()

    def putrequest(self, method: str, url: str, *args: Any, **given: Any) -> None:
        """Begin a request for the exact URL: requests and urllib3 have written its escapes anew."""
        exact = _exact_url.get()
        # A proxy without TLS is told the whole URL.
        super().putrequest(method, request_target(exact) if url.startswith("/") else exact, *args, **given)

    def _new_conn(self) -> socket.socket:
        """Connect to the first address of the host that takes it, within the time for all of them."""
        seconds = self.timeout or _LONGEST_CONNECT
        latest = time.monotonic() + seconds
        problem: OSError = socket.gaierror(socket.EAI_NONAME, "no address")
        for family, kind, protocol, _, address in find_addresses_within(self.host, self.port, seconds):
            # A proxy's address is the connection's own affair.
            if self.proxy is None:
                _check_address.get()(str(address[0]))
            sock = socket.socket(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                _set_timeout(sock, latest)
                sock.connect(address)
                # What is left is for TLS, and for a proxy.
                _set_timeout(sock, latest)
            except OSError as error:
                sock.close()
                problem = error
            else:
                return sock
        raise problem

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as in urllib3
        try:
            response = super().getresponse()
        except ConnectionError as error:
            if self._has_answered:
                raise _HungUpError from error
            raise
        self._has_answered = True
        return response


def _set_timeout(sock: socket.socket, latest: float) -> None:
    """
    Let a socket wait until a moment.

    :param latest: the moment, on the monotonic clock.
    :raises TimeoutError: if it is over.
    """
    if (left := latest - time.monotonic()) <= 0:
        raise TimeoutError("there is no time left to connect")
    sock.settimeout(left)


class _HTTPSConnection(_HTTPConnection, urllib3.connection.HTTPSConnection):
    pass


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection = super()._get_conn(timeout)
        if _has_to_be_new.get():
            # It connects again when it is used.
            connection.close()
        return connection


class _HTTPSPool(_HTTPPool, urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


class _Adapter(HTTPAdapter):
    """Gives our TLS context and connections to all pools, those through a proxy included."""

    def __init__(self, context: ssl.SSLContext, connections: int | None) -> None:
        self._context = context
        # Without a limit, one that is more than the pool keeps is closed once it was used.
        super().__init__(pool_maxsize=connections or _KEPT, pool_block=connections is not None)

    def init_poolmanager(self, *args: Any, **given: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **given)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **given: Any) -> urllib3.ProxyManager:
        manager: urllib3.ProxyManager = super().proxy_manager_for(proxy, ssl_context=self._context, **given)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def cert_verify(self, conn: Any, url: str, verify: object, cert: object) -> None:
        """Leave it to the context: requests would have its own authorities added to those that are trusted."""
        conn.cert_reqs = self._context.verify_mode


def _open_session(api: Api) -> requests.Session:
    settings = api.settings
    session = requests.Session()
    # What the connection says is all that counts: no .netrc, no proxies from the environment, no cookies.
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.clear()
    if settings.proxy:
        session.proxies = {"http": settings.proxy, "https": settings.proxy}
    adapter = _Adapter(tls_context(settings), settings.connections_per_host)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session
