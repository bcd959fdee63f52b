"""Translate the errors of the HTTP libraries, with the same messages for both."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator

from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.errors import TransportError
from airflow_provider_asyncapi.core.http.messages import Request


class SlowLookUpError(TimeoutError):
    """The name server hasn't answered in time."""


class PoolFullError(TimeoutError):
    """No connection became free in time."""


def translate_error(
    settings: ConnectionSettings, request: Request, error: BaseException, *, connecting: bool
) -> TransportError:
    """
    Translate an exception of a library into a :class:`TransportError`.

    :param connecting: whether the error came before the request was sent.
    """
    found = list(iterate_causes(error))
    if connecting:
        through = " through the proxy" if settings.proxy else ""
        return TransportError(f"{request}: couldn't connect{through}: {_reason(settings, request, found)}", sent=False)
    if any(isinstance(cause, TimeoutError) for cause in found):
        return TransportError(f"{request}: the server was silent for {settings.read_timeout:g} s")
    return TransportError(f"{request}: the connection broke before the response was complete")


def iterate_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its causes, which each library stores in another place."""
    yield error
    inner = (error.__cause__, getattr(error, "reason", None), getattr(error, "os_error", None), *error.args)
    for cause in inner:
        if isinstance(cause, BaseException):
            yield from iterate_causes(cause)


def _reason(settings: ConnectionSettings, request: Request, found: list[BaseException]) -> str:
    """Return the most specific reason among the causes."""
    for cause in found:
        if isinstance(cause, ssl.SSLCertVerificationError) and hasattr(cause, "verify_message"):
            return (
                f"the server's certificate isn't trusted ({cause.verify_message}); the connection's ca_cert names the"
                " authorities that are"
            )
    if any(isinstance(cause, PoolFullError) for cause in found):
        return "none of the connections became free in time; connections_per_host limits their number"
    if any(isinstance(cause, SlowLookUpError) for cause in found):
        return f"the host's name wasn't resolved within {settings.connect_timeout:g} s"
    if any(isinstance(cause, socket.gaierror) for cause in found):
        return "the host's name can't be resolved"
    if any(isinstance(cause, TimeoutError) for cause in found):
        return f"not possible within {settings.connect_timeout:g} s"
    numbers = [cause.errno for cause in found if isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError)]
    known = [os.strerror(number) for number in numbers if number]
    if known:
        return known[-1]
    if settings.proxy and not any(isinstance(cause, ssl.SSLError) for cause in found):
        return "the proxy refused"
    if request.url.lower().startswith("https:"):
        return "the TLS handshake failed (does the server speak TLS? the address says https)"
    return "refused"
