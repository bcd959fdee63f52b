"""The keys of a connection of AWS: its own, the keys of a role, or the default credentials of the machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from importlib import import_module
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException, Connection

from airflow_provider_asyncapi.connections.clouds.hooks import make_hook
from airflow_provider_asyncapi.core.auth.borrowed_credentials import SECRET_KEY, SESSION_TOKEN, BorrowedCredentials
from airflow_provider_asyncapi.core.auth.tokens import Token
from airflow_provider_asyncapi.core.errors import AsyncApiError, AuthenticationError, ConfigurationError, TransportError

_HOOK = "airflow.providers.amazon.aws.hooks.base_aws:AwsBaseHook"
_PACKAGE = "apache-airflow-providers-amazon"
#: Seconds after which the keys are taken from the session again, which renews temporary ones 10 to 15 minutes before
#: they expire.
_LOOK_INTERVAL = 300.0


def open_aws(connection: Connection, borrowed: BorrowedCredentials) -> Callable[[], Token]:
    """
    Return a function that returns the keys; temporary ones are renewed when it is called.

    :raises ConfigurationError: if there are no keys.
    """
    hook = make_hook(_HOOK, _PACKAGE, connection, aws_conn_id=connection.conn_id, region_name=borrowed.region or None)
    errors: Any = import_module("botocore.exceptions")
    try:
        credentials = hook.get_session().get_credentials()
    except (errors.BotoCoreError, errors.ClientError, AirflowException, ValueError) as error:
        raise _translate_error(errors, error) from None
    if credentials is None:
        raise ConfigurationError(
            "it has no keys, and there are no default credentials of AWS here; set login and password"
        )

    def renew() -> Token:
        try:
            keys = credentials.get_frozen_credentials()
        except (errors.BotoCoreError, errors.ClientError) as error:
            raise _translate_error(errors, error) from None
        is_temporary = bool(keys.token)
        variables = {SECRET_KEY: keys.secret_key} | ({SESSION_TOKEN: keys.token} if keys.token else {})
        return Token(keys.access_key, time.time() + _LOOK_INTERVAL if is_temporary else None, variables)

    return renew


def _translate_error(errors: Any, error: Any) -> AsyncApiError:
    if isinstance(error, errors.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return TransportError(f"AWS can't return its keys now: {error}", sent=False)
        return AuthenticationError(f"AWS refuses its credentials: {error}; check the keys, and the role if it has one")
    if isinstance(error, errors.ConnectionError | errors.HTTPClientError):
        return TransportError(f"AWS doesn't answer: {error}", sent=False)
    return ConfigurationError(f"its keys can't be used: {error}")
