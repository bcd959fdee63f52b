"""
Look up host names within a time limit and never on a shared thread, and check the addresses.

A look-up by the system can't be interrupted, and if the name server doesn't answer, it takes as long as
``/etc/resolv.conf`` says, often half a minute. So each look-up has its own thread, which is abandoned after the time
limit; as a daemon thread it doesn't delay the end of the process either.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeAlias

from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings, build_metadata_host_error
from airflow_provider_asyncapi.core.http.hosts import is_metadata_host
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.transports.error_translation import SlowLookUpError

#: Family, kind, protocol, canonical name and socket address, as :func:`socket.getaddrinfo` gives them.
Address: TypeAlias = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]


def find_addresses(host: str, port: int, family: int = socket.AF_UNSPEC, flags: int = 0) -> Sequence[Address]:
    """
    Return the addresses of a host, without a time limit.

    :raises OSError: if it has none.
    """
    try:
        return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG | flags)
    except UnicodeError:
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from None


def find_addresses_within(host: str, port: int, seconds: float) -> Sequence[Address]:
    """
    Return the addresses of a host, within a time limit.

    :raises SlowLookUpError: if the name server hasn't answered by then.
    :raises OSError: if the host has no address.
    """
    # A numeric address needs no name server, and no thread.
    with contextlib.suppress(socket.gaierror):
        return find_addresses(host, port, flags=socket.AI_NUMERICHOST)
    found: Future[Sequence[Address]] = Future()
    run_on_thread(lambda: find_addresses(host, port), found.set_result, found.set_exception)
    try:
        return found.result(seconds)
    except FutureTimeoutError:
        if found.done():
            raise
        raise SlowLookUpError from None


def run_on_thread(work: Callable[[], Any], take: Callable[[Any], object], fail: Callable[[Any], object]) -> None:
    """
    Call a function on a new thread.

    :param take: called with the result, on that thread.
    :param fail: called with the exception.
    """

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - any error is passed to the caller
            fail(error)
        else:
            take(result)

    threading.Thread(target=run, name="asyncapi-look-up", daemon=True).start()


def check_peer(settings: ConnectionSettings, request: Request, address: str) -> None:
    """
    Check the address that a name led to, before anything is sent there.

    :raises UnsafeValueError: if clouds give out credentials there, and the connection doesn't name the host.
    """
    if is_metadata_host(address) and not settings.lists_host(request.url):
        raise build_metadata_host_error(request, address)
