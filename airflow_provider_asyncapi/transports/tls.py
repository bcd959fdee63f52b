"""The TLS context: trusted authorities and the client certificate, alike on the worker and in the triggerer."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import cache

import certifi

from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.errors import ConfigurationError


def tls_context(settings: ConnectionSettings) -> ssl.SSLContext:
    """
    Return the TLS context of a connection; don't call this on the event loop, since it reads files.

    Without ``ca_cert`` the authorities of the system and of certifi are trusted.

    :raises ConfigurationError: if a certificate can't be read.
    """
    if _is_usual(settings):
        return usual_context()
    try:
        context = _trusting(settings.ca_cert)
        if not settings.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if settings.client_cert:
            # A key with a passphrase is an error; without this OpenSSL would ask for it on the terminal.
            context.load_cert_chain(settings.client_cert, settings.client_key, password=lambda: "")
    except OSError as error:
        raise ConfigurationError(
            f"ca_cert, client_cert or client_key can't be read here: {error.strerror or error}"
        ) from None
    return context


def prepare_tls_context(settings: ConnectionSettings) -> Callable[[], ssl.SSLContext]:
    """
    Return a function that returns the TLS context of a connection.

    The certificates that the connection names are read now, so that mistakes in them fail early. The usual authorities
    are read at the first call: this takes about 0.04 s of CPU, and requests without TLS don't need them.

    :raises ConfigurationError: if a certificate can't be read.
    """
    if _is_usual(settings):
        return usual_context
    context = tls_context(settings)
    return lambda: context


def _is_usual(settings: ConnectionSettings) -> bool:
    return settings.verify and not (settings.ca_cert or settings.client_cert)


@cache
def usual_context() -> ssl.SSLContext:
    """Return the context that all connections without certificate settings share; don't change it."""
    return _trusting(None)


def _trusting(ca_cert: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_cert)
    if ca_cert is None:
        context.load_verify_locations(certifi.where())
    return context
