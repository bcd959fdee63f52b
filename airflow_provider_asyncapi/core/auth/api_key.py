"""An API key in a header or a query parameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from airflow_provider_asyncapi.core.auth.base import ConstantAuth
from airflow_provider_asyncapi.core.connection.fields import ConnectionField, read_choice, require_fields

_PLACES = ("header", "query")


class ApiKeyAuth(ConstantAuth):
    """A key in a header or a query parameter."""

    name: ClassVar[str] = "api_key"
    summary: ClassVar[str] = "the password is the key"
    section: ClassVar[str] = "API key"
    fields: ClassVar[tuple[ConnectionField, ...]] = (
        ConnectionField(
            "key_name",
            "Name of the key",
            "Name of the header or query parameter that holds the key. Default: X-API-Key.",
        ),
        ConnectionField(
            "key_in",
            "Place of the key",
            "The part of the request that contains the key. Default: header.",
            choices=_PLACES,
        ),
    )

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Parse a connection."""
        require_fields(values, cls.name, password="the key")  # noqa: S106 - what the field holds
        credentials = {values.get("key_name") or "X-API-Key": values["password"]}
        return cls(credentials) if read_choice(values, "key_in", _PLACES) == "header" else cls(params=credentials)
