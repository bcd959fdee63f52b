"""In the triggerer: open connections with aiohttp, directly or through a proxy."""

from __future__ import annotations

import base64
import resource
import ssl
from typing import Any

import aiohttp
from yarl import URL

from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.transports.aiohttp_resolver import Resolver
from airflow_provider_asyncapi.transports.dns import check_peer

#: Maximum number of connections to one server that are opened at the same time. When thousands of polls are due at
#: once, connections that become free are reused; opening one for each poll would cost more than polling.
MAX_OPENING = 100
#: Limit of connections if the operating system has none.
_MANY = 1_000_000


class ServerClosedError(aiohttp.ClientError):
    """The server has closed the connection instead of answering."""


class Connector(aiohttp.TCPConnector):
    """
    Opens the TCP connections of one Airflow connection.

    It has no limit of its own, and the resolver caches the addresses, which aiohttp would never remove.

    :param settings: the Airflow connection.
    :param tls: the TLS context.
    """

    def __init__(self, settings: ConnectionSettings, tls: ssl.SSLContext, **options: Any) -> None:
        self.resolver = Resolver(settings.connect_timeout)
        self._settings = settings
        super().__init__(ssl=tls, limit=0, use_dns_cache=False, resolver=self.resolver, **options)

    async def close(self, **options: Any) -> None:
        """Close all connections, and end all look-ups."""
        await super().close(**options)
        await self.resolver.close()

    def is_looking_up(self, host: str | None) -> bool:
        """Return whether the address of a host is still being looked up."""
        return host is not None and self.resolver.is_looking_up(host)

    def check_address(self, request: Request, transport: Any) -> None:
        """
        Check the address that a name led to, before anything is sent there.

        :raises UnsafeValueError: if clouds give out credentials there, and the connection doesn't name the host.
        """
        # The address of a proxy is set by the connection, so it isn't checked.
        if self._settings.proxy is None:
            peer = None if transport is None else transport.get_extra_info("peername")
            check_peer(self._settings, request, str(peer[0]) if peer else "")


class Proxy:
    """
    The proxy of an Airflow connection.

    :param url: its URL, which may contain a user name and a password.
    :ivar headers: the header fields that a proxy reads.
    """

    __slots__ = ("headers", "url")

    def __init__(self, url: str) -> None:
        parsed = URL(url)
        self.url = parsed.with_user(None)
        self.headers: dict[str, str] = {}
        if parsed.raw_user is not None:
            login = base64.b64encode(f"{parsed.user}:{parsed.password or ''}".encode()).decode()
            self.headers["Proxy-Authorization"] = f"Basic {login}"

    @classmethod
    def of(cls, settings: ConnectionSettings) -> Proxy | None:
        """Return the proxy of a connection, or None."""
        return cls(settings.proxy) if settings.proxy else None

    def headers_for(self, url: str) -> tuple[tuple[str, str], ...]:
        """Return the header fields to add to a request; with TLS a proxy doesn't see them."""
        return tuple(self.headers.items()) if url.startswith("http:") else ()


def max_connections(settings: ConnectionSettings) -> int:
    """Return the limit of connections to a server; by default half of the files that this process may open."""
    if settings.connections_per_host:
        return settings.connections_per_host
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MANY if files == resource.RLIM_INFINITY else max(1, files // 2)
