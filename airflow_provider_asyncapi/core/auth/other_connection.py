"""An access token by the credentials of another Airflow connection, so that nobody copies keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from airflow_provider_asyncapi.core.auth.base import ConstantAuth
from airflow_provider_asyncapi.core.auth.borrowed_credentials import TOKEN, BorrowedCredentials
from airflow_provider_asyncapi.core.auth.oauth2 import SCOPE
from airflow_provider_asyncapi.core.connection.fields import ConnectionField, require_fields

CREDENTIALS_CONN_ID = ConnectionField(
    "credentials_conn_id",
    "Connection",
    "The id of the connection whose credentials are used: of Google Cloud or Azure, or of AWS for aws_sigv4.",
)


@dataclass(frozen=True)
class ConnectionAuth(ConstantAuth):
    """
    An access token of another connection.

    :param borrowed: the other connection.
    """

    name: ClassVar[str] = "connection"
    summary: ClassVar[str] = "a token by the credentials of another connection, of Google Cloud or Azure"
    section: ClassVar[str] = "Cloud credentials"
    fields: ClassVar[tuple[ConnectionField, ...]] = (CREDENTIALS_CONN_ID, SCOPE)

    borrowed: BorrowedCredentials | None = None
    #: Clouds answer with 403 if the token is valid, and its owner isn't allowed to do this.
    refresh_codes: frozenset[int] = frozenset({401})

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Parse a connection."""
        require_fields(values, cls.name, credentials_conn_id="the id of a connection of Google Cloud or Azure")
        scopes = tuple((values.get("scope") or "").replace(",", " ").split())
        borrowed = BorrowedCredentials(values["credentials_conn_id"], TOKEN, scopes)
        return cls({"Authorization": "Bearer {token}"}, borrowed=borrowed)
