"""In the triggerer: choose the way in which requests are sent with aiohttp."""

from __future__ import annotations

import contextvars
import logging
import ssl
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp

from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.effects import Send
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.lazy import LazyModule
from airflow_provider_asyncapi.transports import fast_path

if TYPE_CHECKING:
    from airflow_provider_asyncapi.transports import aiohttp_session
    from airflow_provider_asyncapi.transports.fast_path import client as fast_path_client
else:
    # One of them is used, whichever suits the installed aiohttp.
    aiohttp_session = LazyModule("airflow_provider_asyncapi.transports.aiohttp_session")
    fast_path_client = LazyModule("airflow_provider_asyncapi.transports.fast_path.client")

log = logging.getLogger(__name__)


class HttpClient(Protocol):
    """Sends the requests of one Airflow connection over a pool of connections."""

    def prepare(self, request: Request, /) -> Any:
        """
        Return what is the same each time a request is sent, for :meth:`send`.

        :raises UnsafeValueError: if the request can't be sent.
        """

    async def send(self, effect: Send, prepared: Any, needed_until: float, /) -> tuple[Response, float]:
        """
        Send a request; send it once more if the server closes a reused connection instead of answering.

        :param needed_until: time from which the response is no longer needed, on the steady clock.
        :return: the response, and the seconds of waiting for a connection because of the limit.
        :raises AsyncApiError: if there is no complete response in time.
        """

    async def close(self) -> None:
        """Close all connections."""


def open_client(settings: ConnectionSettings, tls: ssl.SSLContext, steady: Callable[[], float]) -> HttpClient:
    """
    Return a client for the running event loop: the fast one if it was tested with the installed aiohttp.

    :param steady: a clock that is never put back, in seconds.
    """
    if fast_path.is_tested(aiohttp.__version__):
        return fast_path_client.FastPathClient(settings, tls, steady)
    # In its own context, since the message doesn't belong to the trigger that happens to be the first.
    contextvars.Context().run(_log_slow_way, aiohttp.__version__)
    return aiohttp_session.SessionClient(settings, tls, steady)


@cache
def _log_slow_way(version: str) -> None:
    log.info(
        "Requests are sent over aiohttp.ClientSession, which takes more CPU than the provider's own connections: they"
        " were tested with aiohttp %s to %s, and aiohttp %s is installed",
        fast_path.OLDEST,
        fast_path.NEWEST,
        version,
    )
