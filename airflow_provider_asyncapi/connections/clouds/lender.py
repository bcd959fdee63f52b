"""Lend the credentials of another connection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from airflow.providers.common.compat.sdk import AirflowNotFoundException, Connection

from airflow_provider_asyncapi.airflow_private.supervisor import AirflowUnavailableError
from airflow_provider_asyncapi.connections.clouds.aws import open_aws
from airflow_provider_asyncapi.connections.clouds.azure import open_azure
from airflow_provider_asyncapi.connections.clouds.google import open_google
from airflow_provider_asyncapi.core.auth.borrowed_credentials import AWS_KEYS, TOKEN, BorrowedCredentials
from airflow_provider_asyncapi.core.auth.tokens import Token
from airflow_provider_asyncapi.core.errors import AsyncApiError, ConfigurationError, TransportError
from airflow_provider_asyncapi.core.http.redaction import Redactor

#: By the type of a connection: what it lends, and a function that opens it.
_TYPES: Final[Mapping[str, tuple[str, Callable[[Connection, BorrowedCredentials], Callable[[], Token]]]]] = {
    "aws": (AWS_KEYS, open_aws),
    "azure": (TOKEN, open_azure),
    "google_cloud_platform": (TOKEN, open_google),
}
_FIELDS: Final = ("conn_id", "conn_type", "host", "login", "password", "port", "schema", "extra")


class ConnectionLender:
    """
    Lends the credentials of another connection, which is looked up each time.

    :param borrowed: the connection, and what it lends.
    :param look_up: returns a connection; it may block.
    """

    def __init__(self, borrowed: BorrowedCredentials, look_up: Callable[[str], Connection]) -> None:
        self._borrowed, self._look_up = borrowed, look_up
        self._fields: dict[str, Any] = {}
        self._renew: Callable[[], Token] | None = None

    def lend(self, *, is_rejected: bool) -> Token:
        """Return an access token, or the keys, of the connection."""
        fields: dict[str, Any] = {}
        try:
            fields = self._read_fields()
            if self._renew is None or is_rejected or fields != self._fields:
                self._renew, self._fields = self._open(Connection(**fields)), fields
            return self._renew()
        except AsyncApiError as error:
            # The other provider's message may repeat the password, so the original error isn't shown.
            message = Redactor([fields["password"]] if fields.get("password") else ()).mask_known(str(error))
            raise error.with_message(f"credentials_conn_id: connection {self._borrowed.conn_id!r}: {message}") from None

    def _read_fields(self) -> dict[str, Any]:
        try:
            connection = self._look_up(self._borrowed.conn_id)
        except AirflowNotFoundException:
            raise ConfigurationError("doesn't exist; `airflow connections list` shows what there is") from None
        except AirflowUnavailableError as error:
            raise TransportError(f"Airflow can't be asked for it: {error}", sent=False) from error
        return {name: getattr(connection, name) for name in _FIELDS}

    def _open(self, connection: Connection) -> Callable[[], Token]:
        conn_type = connection.conn_type or ""
        if conn_type not in _TYPES:
            raise ConfigurationError(f"it is of type {conn_type!r}; only {', '.join(_TYPES)} can lend credentials")
        lends, open_ = _TYPES[conn_type]
        if lends != self._borrowed.what:
            other = "'aws_sigv4'" if lends == AWS_KEYS else "'connection'"
            raise ConfigurationError(
                f"it is of type {conn_type!r}, which lends no {self._borrowed.what}; set auth to {other}"
            )
        return open_(connection, self._borrowed)
