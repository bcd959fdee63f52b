"""A bearer token (RFC 6750)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from airflow_provider_asyncapi.core.auth.base import ConstantAuth
from airflow_provider_asyncapi.core.connection.fields import require_fields


class BearerAuth(ConstantAuth):
    """A token in the header Authorization."""

    name: ClassVar[str] = "bearer"
    summary: ClassVar[str] = "the password is the token"

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Parse a connection."""
        require_fields(values, cls.name, password="the token")  # noqa: S106 - what the field holds
        return cls({"Authorization": f"Bearer {values['password']}"})
