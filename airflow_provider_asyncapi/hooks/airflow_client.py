"""Clients of Airflow's own API server, for tasks and triggers that request slots from it."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import certifi
from airflow.providers.common.compat.sdk import conf

from airflow_provider_asyncapi.connections.reading import make_nonce
from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.hooks import lazy

#: The options of the section ``[api]`` that name certificates; Airflow 3.1 has the first one only.
_CERTIFICATE_OPTIONS = ("ssl_cert", "ssl_ca_file", "client_ssl_cert", "client_ssl_key")


@dataclass(slots=True)
class _SharedDriver:
    """
    The driver of an event loop for an API server.

    :param users: number of users; the last one closes the driver.
    :param lock: held by the user that opens it for all.
    """

    users: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    driver: lazy.AiohttpDriver | None = None


_drivers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _SharedDriver]] = WeakKeyDictionary()


def describe_api_server(url: str) -> Api:
    """
    Return the API of Airflow's API server.

    :param url: its address, as :func:`~.airflow_urls.find_base_url` returns it.
    """
    return Api.from_settings(ConnectionSettings(url), clock=time.time, rng=random.random, make_nonce=make_nonce)


def make_tls_context() -> ssl.SSLContext:
    """
    Return a TLS context that trusts the certificates that Airflow's own tasks trust; it reads files.

    :raises ConfigurationError: if a certificate can't be read.
    """
    certificate, authorities, client_certificate, client_key = (
        conf.get("api", option, fallback=None) or None for option in _CERTIFICATE_OPTIONS
    )
    try:
        context = ssl.create_default_context(cafile=authorities)
        if conf.getboolean("api", "client_use_public_certs", fallback=True):
            context.load_verify_locations(certifi.where())
        if certificate:
            # Airflow trusts it, since it may be self-signed.
            context.load_verify_locations(certificate)
        if client_certificate:
            # A key with a passphrase is an error; without this OpenSSL would ask for it on the terminal.
            context.load_cert_chain(client_certificate, client_key, password=lambda: "")
    except OSError as error:
        names = ", ".join(_CERTIFICATE_OPTIONS)
        raise ConfigurationError(
            f"max_active_jobs: a certificate of Airflow's API server can't be read here: {error.strerror or error};"
            f" check the options {names} in the section [api]"
        ) from None
    return context


@asynccontextmanager
async def share_driver(airflow: Api) -> AsyncIterator[lazy.AiohttpDriver]:
    """
    Return the driver that all triggers of the running event loop share; the last one closes it.

    :param airflow: the API server.
    :raises ConfigurationError: if a certificate can't be read.
    """
    url, drivers = airflow.settings.base_url, _drivers.setdefault(asyncio.get_running_loop(), {})
    shared = drivers.setdefault(url, _SharedDriver())
    shared.users += 1
    try:
        async with shared.lock:
            if shared.driver is None:
                shared.driver = lazy.AiohttpDriver(airflow, await asyncio.to_thread(make_tls_context))
        yield shared.driver
    finally:
        shared.users -= 1
        if shared.users == 0:
            del drivers[url]
            if shared.driver is not None:
                await shared.driver.close()
