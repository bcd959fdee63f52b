"""On the worker: urllib3's connections, which hold to our limits of time and send URLs as they are."""

from __future__ import annotations

import dataclasses
import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import urllib3
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError

from airflow_provider_asyncapi.transports.names import find_addresses_within
from airflow_provider_asyncapi.transports.wire import INTERIM, request_target

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Connections that are kept where their number isn't limited; a fetch has seldom more pages under way.
_KEPT = 1000
#: Seconds until a connection has to stand for which nobody has said how long it may take.
_LONGEST_CONNECT = 60.0


@dataclass(frozen=True, slots=True)
class Exchange:
    """
    What the connections need to know of the request that is being sent on this thread.

    :param url: the URL, byte for byte.
    :param new: whether it mustn't meet a connection that the server is just closing.
    :param silence: seconds that the server may be silent.
    :param left: gives the seconds that are left for all of it.
    :param check_address: raises if it may not lead to an address.
    :param is_unwanted: tells that nobody waits for it any more; a thread can't be ended from outside.
    """

    url: str
    new: bool
    silence: float
    left: Callable[[], float]
    check_address: Callable[[str], None]
    is_unwanted: Callable[[], bool]


_exchange: ContextVar[Exchange] = ContextVar("_exchange")


class GivenUpError(TimeoutError):
    """There is no time left for the exchange."""


class HungUpError(http.client.HTTPException):
    """The server has hung up instead of answering, on a connection that it had answered on before."""


@contextmanager
def sending(exchange: Exchange) -> Iterator[None]:
    """Tell the connections what is being sent on this thread."""
    token = _exchange.set(exchange)
    try:
        yield
    finally:
        _exchange.reset(token)


@contextmanager
def _connecting(connection: urllib3.connection.HTTPConnection) -> Iterator[None]:
    """Mark what goes wrong before a request has left: urllib3 has the same exceptions for a broken answer."""
    try:
        yield
    except (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError) as error:
        raise NewConnectionError(connection, type(error).__name__) from error


class _Arriving(io.RawIOBase):
    """
    The bytes of an answer as they arrive, as long as there is time left.

    :param source: gives them.
    :param sock: the socket that they come from.
    """

    def __init__(self, source: io.RawIOBase, sock: socket.socket) -> None:
        self._source, self._sock = source, sock
        self._exchange = _exchange.get()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        if self._exchange.is_unwanted():
            raise CancelledError
        left = self._exchange.left()
        if left <= 0:
            raise GivenUpError
        self._sock.settimeout(min(self._exchange.silence, left))
        try:
            return self._source.readinto(buffer)
        except TimeoutError:
            if self._exchange.left() <= 0:
                raise GivenUpError from None
            raise

    def close(self) -> None:
        self._source.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """Bounds the time that it may take: what trickles in is never silent."""

    def __init__(self, sock: socket.socket, *args: Any, **given: Any) -> None:
        super().__init__(sock, *args, **given)
        self.fp = io.BufferedReader(_Arriving(self.fp.detach(), sock))

    def begin(self) -> None:
        super().begin()
        # The library itself passes over 100 only, and begins anew as long as there are no headers.
        while self.status in INTERIM:
            self.headers = None  # type: ignore[assignment]
            super().begin()


class _HTTPConnection(urllib3.connection.HTTPConnection):
    response_class = _Answer
    _has_answered = False

    def connect(self) -> None:
        self._has_answered = False
        exchange = _exchange.get()
        self._latest = time.monotonic() + (self.timeout or _LONGEST_CONNECT)
        # Through a proxy there is an answer to read before the connection stands.
        with _connecting(self), sending(dataclasses.replace(exchange, left=self._left)):
            super().connect()
        # Sending a request may take as long as the answer.
        self.sock.settimeout(exchange.silence)

    def _left(self) -> float:
        """Return the seconds that are left to connect."""
        return self._latest - time.monotonic()

    def putrequest(self, method: str, url: str, *args: Any, **given: Any) -> None:
        """Begin a request for the exact URL: requests and urllib3 have written its escapes anew."""
        exact = _exchange.get().url
        # A proxy without TLS is told the whole URL.
        super().putrequest(method, request_target(exact) if url.startswith("/") else exact, *args, **given)

    def _new_conn(self) -> socket.socket:
        """Connect to the first address of the host that takes it, within the time for all of them."""
        problem: OSError = socket.gaierror(socket.EAI_NONAME, "no address")
        for family, kind, protocol, _, address in find_addresses_within(self.host, self.port, self._left()):
            # A proxy's address is the connection's own affair.
            if self.proxy is None:
                _exchange.get().check_address(str(address[0]))
            sock = socket.socket(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                self._set_timeout(sock)
                sock.connect(address)
                # What is left is for TLS, and for a proxy.
                self._set_timeout(sock)
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
                raise HungUpError from error
            raise
        self._has_answered = True
        return response

    def _set_timeout(self, sock: socket.socket) -> None:
        if (left := self._left()) <= 0:
            raise TimeoutError("there is no time left to connect")
        sock.settimeout(left)


class _HTTPSConnection(_HTTPConnection, urllib3.connection.HTTPSConnection):
    pass


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection

    def _get_conn(self, timeout: float | None = None) -> Any:
        # Where their number is limited, all may be in use.
        connection = super()._get_conn(max(0.0, _exchange.get().left()))
        if _exchange.get().new:
            # It connects again when it is used.
            connection.close()
        return connection


class _HTTPSPool(_HTTPPool, urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


class Adapter(HTTPAdapter):
    """Gives our TLS context and connections to all pools, those through a proxy included."""

    def __init__(self, context: ssl.SSLContext, connections: int | None) -> None:
        self._context = context
        # Without a limit, one that is more than the pool keeps is closed once it was used.
        super().__init__(pool_maxsize=connections or _KEPT, pool_block=connections is not None)

    def init_poolmanager(self, *args: Any, **given: Any) -> None:
        """Make the pools of servers that are asked directly."""
        super().init_poolmanager(*args, ssl_context=self._context, **given)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **given: Any) -> urllib3.ProxyManager:
        """Return the pools of servers that are asked through a proxy."""
        manager: urllib3.ProxyManager = super().proxy_manager_for(proxy, ssl_context=self._context, **given)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def cert_verify(self, conn: Any, url: str, verify: object, cert: object) -> None:
        """Leave it to the context: requests would have its own authorities added to those that are trusted."""
        conn.cert_reqs = self._context.verify_mode
