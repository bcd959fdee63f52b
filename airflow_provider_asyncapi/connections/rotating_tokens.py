"""
The store in which the processes of all hosts find the newest token of a connection whose refresh token is replaced.

It is two Airflow Variables: the token, encrypted with a key that is derived from the first refresh token, and the mark
of the process that renews the token. Only Variables can be written by tasks and triggers in all versions of Airflow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from cryptography.fernet import InvalidToken

from airflow_provider_asyncapi.airflow_private.supervisor import AirflowUnavailableError, NoSupervisorError
from airflow_provider_asyncapi.airflow_private.variables import load_variable, store_variable
from airflow_provider_asyncapi.connections.token_cipher import TokenCipher
from airflow_provider_asyncapi.core.auth.rotation import WHY_NO_STORE
from airflow_provider_asyncapi.core.auth.tokens import Token
from airflow_provider_asyncapi.core.errors import ConfigurationError, TransportError

T = TypeVar("T")

#: Changes with the format of the value.
_PURPOSE = b"airflow-provider-asyncapi rotating token 1"
#: The names contain "token", so Airflow's pages and API mask the values.
_TOKEN_KEY, _MARK_KEY = "asyncapi_refresh_token_{}", "asyncapi_refresh_token_{}_lock"
_DESCRIPTION = "Newest refresh token of a connection of type asyncapi, encrypted; it can't be restored if it is deleted"
_MARK_DESCRIPTION = "The process that renews the refresh token of a connection of type asyncapi"


class VariableTokenStore:
    """
    The newest token of one connection.

    :param identity: the first refresh token, and the client and the server to which it belongs. Other fields of the
        connection may change without losing the token.
    :param loop: the event loop that exchanges messages with Airflow's supervisor; None on a worker.
    """

    def __init__(self, identity: bytes, loop: asyncio.AbstractEventLoop | None) -> None:
        self._cipher = TokenCipher(identity, _PURPOSE)
        self._loop = loop

    def read(self) -> Token | None:
        """Return the token that was stored last."""
        key = _TOKEN_KEY.format(self._cipher.name)
        stored = self._call(lambda: load_variable(key, self._loop))
        if stored is None:
            return None
        try:
            return self._cipher.decrypt(stored.encode())
        except InvalidToken:
            raise ConfigurationError(
                f"the Variable {key} doesn't contain the refresh token that was stored in it; delete the Variable,"
                " authorize the client again, and set refresh_token of the connection to the new refresh token"
            ) from None

    def write(self, token: Token) -> None:
        """Store a token in place of the previous one."""
        text = self._cipher.encrypt(token).decode()
        self._call(lambda: store_variable(_TOKEN_KEY.format(self._cipher.name), text, _DESCRIPTION, self._loop))

    def read_mark(self) -> str | None:
        """Return the mark of the process that renews the token."""
        return self._call(lambda: load_variable(_MARK_KEY.format(self._cipher.name), self._loop))

    def write_mark(self, mark: str) -> None:
        """Set the mark."""
        self._call(lambda: store_variable(_MARK_KEY.format(self._cipher.name), mark, _MARK_DESCRIPTION, self._loop))

    def _call(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except AirflowUnavailableError as error:
            raise TransportError(f"Airflow can't be asked for the refresh token: {error}", sent=False) from error
        except NoSupervisorError:
            raise ConfigurationError(WHY_NO_STORE) from None
