"""The OAuth 2 grant for a user's name and password (RFC 6749, section 4.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from airflow_provider_asyncapi.core.auth.base import TOKEN_FIELDS, TokenAuth, parse_token_fields
from airflow_provider_asyncapi.core.auth.oauth2 import CLIENT_FIELDS, OAuth2Client
from airflow_provider_asyncapi.core.connection.fields import ConnectionField, require_fields


class OAuth2PasswordAuth(TokenAuth):
    """A token that is requested with the name and the password of a user, for a client."""

    name: ClassVar[str] = "oauth2_password"
    summary: ClassVar[str] = "OAuth 2 password grant: login and password of the user, for the client in client_id"
    section: ClassVar[str] = "OAuth 2"
    fields: ClassVar[tuple[ConnectionField, ...]] = (
        ConnectionField("client_id", "Client id", "The client, if it isn't named by the login."),
        ConnectionField("client_secret", "Client secret", "Its secret, if it has one.", is_secret=True),
        *CLIENT_FIELDS,
        *TOKEN_FIELDS,
    )

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Parse a connection."""
        require_fields(values, cls.name, login="the user name", password="the password")  # noqa: S106 - what it holds
        client = OAuth2Client.parse(values, cls.name, "client_id", "client_secret", is_optional=True)
        grant = {"grant_type": "password", "username": "{connection.login}", "password": "{connection.password}"}
        source = client.build_token_source(values, grant)
        return cls({"Authorization": "Bearer {token}"}, token_source=source, **parse_token_fields(values))
