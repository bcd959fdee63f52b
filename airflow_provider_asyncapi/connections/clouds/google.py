"""Access tokens of a connection of Google Cloud: a service account, its impersonation, or the default credentials."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC
from importlib import import_module
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException, Connection

from airflow_provider_asyncapi.connections.clouds.hooks import make_hook
from airflow_provider_asyncapi.core.auth.borrowed_credentials import BorrowedCredentials
from airflow_provider_asyncapi.core.auth.tokens import Token, compute_renewal_time
from airflow_provider_asyncapi.core.errors import AsyncApiError, AuthenticationError, ConfigurationError, TransportError

_HOOK = "airflow.providers.google.common.hooks.base_google:GoogleBaseHook"
_PACKAGE = "apache-airflow-providers-google"


def open_google(connection: Connection, borrowed: BorrowedCredentials) -> Callable[[], Token]:
    """
    Return a function that returns a new access token.

    :raises ConfigurationError: if the connection has no credentials, or they are invalid.
    """
    attributes = {"scopes": list(borrowed.scopes)} if borrowed.scopes else {}
    hook = make_hook(_HOOK, _PACKAGE, connection, attributes=attributes, gcp_conn_id=connection.conn_id)
    errors: Any = import_module("google.auth.exceptions")
    transport: Any = import_module("google.auth.transport.requests")
    try:
        credentials = hook.get_credentials()
    except errors.GoogleAuthError as error:
        raise _translate_error(errors, error) from None
    except (AirflowException, ValueError, KeyError, TypeError, OSError) as error:
        # The message isn't shown, since it may contain a part of the key.
        raise ConfigurationError(
            f"its key isn't the key file of a service account ({type(error).__name__}); set keyfile_dict to the content"
            " of the file, or key_path to its path on workers and triggerers"
        ) from None

    def renew() -> Token:
        try:
            credentials.refresh(transport.Request())
        except errors.GoogleAuthError as error:
            raise _translate_error(errors, error) from None
        expiry = credentials.expiry
        expires_at = None if expiry is None else expiry.replace(tzinfo=UTC).timestamp()
        return Token(credentials.token, compute_renewal_time(expires_at, time.time()))

    return renew


def _translate_error(errors: Any, error: Any) -> AsyncApiError:
    message = error.args[0] if error.args else type(error).__name__
    if isinstance(error, errors.TransportError) or getattr(error, "retryable", False):
        return TransportError(f"Google's token endpoint doesn't answer: {message}", sent=False)
    if isinstance(error, errors.RefreshError):
        return AuthenticationError(
            f"Google refuses its credentials: {message}; check the key, the scopes, and that the account exists"
        )
    return ConfigurationError(
        f"it has no key, and there are no default credentials of Google here ({message}); set keyfile_dict or key_path"
    )
