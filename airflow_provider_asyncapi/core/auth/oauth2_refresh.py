"""The OAuth 2 grant for a refresh token that the server may replace each time (RFC 6749, section 6)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from airflow_provider_asyncapi.core.auth import lazy
from airflow_provider_asyncapi.core.auth.base import REFRESH_WHEN, TokenAuth, parse_token_fields
from airflow_provider_asyncapi.core.auth.oauth2 import CLIENT_FIELDS, OAuth2Client
from airflow_provider_asyncapi.core.connection.fields import ConnectionField, require_fields


class OAuth2RefreshAuth(TokenAuth):
    """A token that is requested with a refresh token, which a user has granted to the client once."""

    name: ClassVar[str] = "oauth2_refresh"
    summary: ClassVar[str] = "OAuth 2 refresh token of a user, for the client in login and password"
    section: ClassVar[str] = "OAuth 2"
    fields: ClassVar[tuple[ConnectionField, ...]] = (
        ConnectionField(
            "refresh_token",
            "Refresh token",
            "The refresh token that the authorization returned. Tasks keep its successors in an encrypted Variable.",
            is_secret=True,
        ),
        *CLIENT_FIELDS,
        REFRESH_WHEN,
    )

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Parse a connection."""
        require_fields(values, cls.name, login="the client id", refresh_token="the refresh token")  # noqa: S106 - what it holds
        client = OAuth2Client.parse(values, cls.name, "login", "password", is_optional=True)
        grant = {"grant_type": "refresh_token", "refresh_token": "{refresh_token}"}
        source = dataclasses.replace(
            client.build_token_source(values, grant),
            captures={"refresh_token": lazy.SelectorChain.parse("refresh_token", "refresh token")},
            refresh_token=values["refresh_token"],
        )
        common = {**parse_token_fields(values), "shares_tokens": False}
        return cls({"Authorization": "Bearer {token}"}, token_source=source, **common)
