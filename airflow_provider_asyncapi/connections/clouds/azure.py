"""Access tokens of a connection of Azure: a service principal, or the identity of the machine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.connections.clouds.hooks import make_hook
from airflow_provider_asyncapi.core.auth.borrowed_credentials import BorrowedCredentials
from airflow_provider_asyncapi.core.auth.tokens import Token, compute_renewal_time
from airflow_provider_asyncapi.core.errors import AsyncApiError, AuthenticationError, ConfigurationError, TransportError
from airflow_provider_asyncapi.core.text import shorten

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

_HOOK = "airflow.providers.microsoft.azure.hooks.base_azure:AzureBaseHook"
_PACKAGE = "apache-airflow-providers-microsoft-azure"
#: Characters of an error that are shown: one of the default credentials describes all attempts.
_MAX_MESSAGE = 500


def open_azure(connection: Connection, borrowed: BorrowedCredentials) -> Callable[[], Token]:
    """
    Return a function that returns an access token.

    :raises ConfigurationError: if there is no scope, or the connection is invalid.
    """
    if not borrowed.scopes:
        raise ConfigurationError(
            "it is of type 'azure', whose tokens are for one API: set scope to the API's, such as"
            " https://management.azure.com/.default"
        )
    # Otherwise the hook returns credentials of an older library, which have no tokens to return.
    connection.extra = json.dumps({**connection.extra_dejson, "use_azure_identity_object": True})
    hook = make_hook(_HOOK, _PACKAGE, connection, conn_id=connection.conn_id)
    errors: Any = import_module("azure.core.exceptions")
    try:
        credential = hook.get_credential()
    except ValueError as error:
        raise ConfigurationError(f"it isn't valid: {shorten(str(error), _MAX_MESSAGE)}") from None

    def renew() -> Token:
        try:
            token = credential.get_token(*borrowed.scopes)
        except errors.AzureError as error:
            raise _translate_error(errors, error) from None
        return Token(token.token, compute_renewal_time(token.expires_on, time.time()))

    return renew


def _translate_error(errors: Any, error: Any) -> AsyncApiError:
    message = shorten(str(error), _MAX_MESSAGE)
    if isinstance(error, errors.ClientAuthenticationError):
        return AuthenticationError(
            f"Azure refuses its credentials: {message}; check login, password and tenantId, or the managed identity"
        )
    return TransportError(f"Azure's token endpoint doesn't answer: {message}", sent=False)
