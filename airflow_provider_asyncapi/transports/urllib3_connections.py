"""On the worker: urllib3's connections with this provider's time limits, which send URLs unchanged."""

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
from functools import partial
from typing import TYPE_CHECKING, Any

import urllib3
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError

from airflow_provider_asyncapi.transports.dns import find_addresses_within
from airflow_provider_asyncapi.transports.receiver import INTERIM
from airflow_provider_asyncapi.transports.request_format import request_target

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Maximum number of idle connections if the number of connections isn't limited. A fetch rarely uses more at a time,
#: and urllib3 makes a slot for each at once.
_MAX_IDLE = 100
#: Connection timeout in seconds if none is set.
_DEFAULT_CONNECT_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Exchange:
    """
    The data that connections need about the request that is being sent on this thread.

    :param url: the exact URL.
    :param needs_new_connection: whether the request needs a new connection, which the server can't be about to close.
    :param silence: longest silence of the server, in seconds.
    :param remaining: returns the remaining seconds of the whole exchange.
    :param check_address: raises an error if the request may not be sent to an address.
    :param is_cancelled: returns whether to stop, since a thread can't be ended from outside.
    """

    url: str
    needs_new_connection: bool
    silence: float
    remaining: Callable[[], float]
    check_address: Callable[[str], None]
    is_cancelled: Callable[[], bool]


_exchange: ContextVar[Exchange] = ContextVar("_exchange")


class ExchangeTimeoutError(TimeoutError):
    """The time limit of the exchange is reached."""


class ReusedConnectionClosedError(http.client.HTTPException):
    """The server has closed a reused connection instead of answering."""


@contextmanager
def use_exchange(exchange: Exchange) -> Iterator[None]:
    """Set the exchange for the connections that are used on this thread."""
    token = _exchange.set(exchange)
    try:
        yield
    finally:
        _exchange.reset(token)


@contextmanager
def _connecting(connection: urllib3.connection.HTTPConnection) -> Iterator[None]:
    """Mark errors before a request is sent, since urllib3 has the same exceptions for a broken response."""
    try:
        yield
    except (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError) as error:
        raise NewConnectionError(connection, type(error).__name__) from error


class _TimedReader(io.RawIOBase):
    """
    Reads the bytes of a response within the time limit.

    :param source: the raw reader.
    :param sock: its socket.
    """

    def __init__(self, source: io.RawIOBase, sock: socket.socket) -> None:
        self._source, self._sock = source, sock
        self._exchange = _exchange.get()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        if self._exchange.is_cancelled():
            raise CancelledError
        remaining = self._exchange.remaining()
        if remaining <= 0:
            raise ExchangeTimeoutError
        self._sock.settimeout(min(self._exchange.silence, remaining))
        try:
            return self._source.readinto(buffer)
        except TimeoutError:
            if self._exchange.remaining() <= 0:
                raise ExchangeTimeoutError from None
            raise

    def close(self) -> None:
        self._source.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    """A response with a time limit, since a body that trickles in is never silent."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_TimedReader(self.fp.detach(), sock))

    def begin(self) -> None:
        super().begin()
        # The library itself skips status 100 only. It reads another head if there are no headers yet.
        while self.status in INTERIM:
            self.headers = None  # type: ignore[assignment]  # as before the first head
            super().begin()


class _HTTPConnection(urllib3.connection.HTTPConnection):
    response_class = _TimedResponse
    _has_answered = False

    def connect(self) -> None:
        self._has_answered = False
        exchange = _exchange.get()
        self._connect_deadline = time.monotonic() + (self.timeout or _DEFAULT_CONNECT_TIMEOUT)
        # Through a proxy, a response has to be read before the connection is established.
        with _connecting(self), use_exchange(dataclasses.replace(exchange, remaining=self._remaining)):
            super().connect()
        # Sending a request may take as long as the response.
        self.sock.settimeout(exchange.silence)

    def _remaining(self) -> float:
        """Return the remaining seconds to connect."""
        return self._connect_deadline - time.monotonic()

    def putrequest(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        """Begin a request with the exact URL, since requests and urllib3 change its escapes."""
        exact = _exchange.get().url
        if self.sock is not None:
            # The response to the previous request may have left little time.
            self.sock.settimeout(_exchange.get().silence)
        # A proxy without TLS needs the whole URL.
        super().putrequest(method, request_target(exact) if url.startswith("/") else exact, *args, **kwargs)

    def _new_conn(self) -> socket.socket:
        """Connect to the first address of the host that accepts, within one time limit for all addresses."""
        last_error: OSError = socket.gaierror(socket.EAI_NONAME, "no address")
        for family, kind, protocol, _, address in find_addresses_within(self.host, self.port, self._remaining()):
            # The address of a proxy is set by the connection, so it isn't checked.
            if self.proxy is None:
                _exchange.get().check_address(str(address[0]))
            sock = socket.socket(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                self._set_timeout(sock)
                sock.connect(address)
                # The remaining time is for TLS, and for a proxy.
                self._set_timeout(sock)
            except OSError as error:
                sock.close()
                last_error = error
            else:
                return sock
        raise last_error

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as in urllib3
        try:
            response = super().getresponse()
        except ConnectionError as error:
            if self._has_answered:
                raise ReusedConnectionClosedError from error
            raise
        self._has_answered = True
        return response

    def _set_timeout(self, sock: socket.socket) -> None:
        if (remaining := self._remaining()) <= 0:
            raise TimeoutError("no time remains to connect")
        sock.settimeout(remaining)


class _HTTPSConnection(_HTTPConnection, urllib3.connection.HTTPSConnection):
    pass


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection

    def _get_conn(self, timeout: float | None = None) -> Any:
        # All connections may be in use if their number is limited.
        connection = super()._get_conn(max(0.0, _exchange.get().remaining()))
        if _exchange.get().needs_new_connection:
            # It connects again when it is used.
            connection.close()
        return connection


class _HTTPSPool(_HTTPPool, urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection

    def __init__(self, *args: Any, get_tls_context: Callable[[], ssl.SSLContext], **kwargs: Any) -> None:
        # Some versions of requests pass a context that trusts their own authorities.
        kwargs["ssl_context"] = get_tls_context()
        super().__init__(*args, **kwargs)


class Adapter(HTTPAdapter):
    """
    Uses this provider's TLS context and connections in all pools, including pools through a proxy.

    :param get_tls_context: returns the TLS context; called for the first pool that needs it.
    :param connections: maximum number of connections to a host; None for no limit.
    """

    def __init__(self, get_tls_context: Callable[[], ssl.SSLContext], connections: int | None) -> None:
        self._get_tls_context = get_tls_context
        # Without a limit, connections beyond the size of the pool are closed after use.
        super().__init__(pool_maxsize=connections or _MAX_IDLE, pool_block=connections is not None)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the pools for servers without a proxy."""
        super().init_poolmanager(*args, **kwargs)
        self._use_own_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> urllib3.ProxyManager:
        """Return the pools for servers behind a proxy."""
        # The proxy itself may need TLS.
        context = self._get_tls_context()
        manager: urllib3.ProxyManager = super().proxy_manager_for(proxy, ssl_context=context, **kwargs)
        self._use_own_pools(manager)
        return manager

    def _use_own_pools(self, manager: urllib3.PoolManager) -> None:
        manager.pool_classes_by_scheme = {
            "http": _HTTPPool,
            "https": partial(_HTTPSPool, get_tls_context=self._get_tls_context),  # type: ignore[dict-item]  # only called
        }

    def cert_verify(self, conn: Any, url: str, verify: object, cert: object) -> None:
        """Do nothing, since the context verifies: requests would trust its own authorities, too."""
        if isinstance(conn, _HTTPSPool):
            conn.cert_reqs = self._get_tls_context().verify_mode
