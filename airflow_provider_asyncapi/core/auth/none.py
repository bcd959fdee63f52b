"""No authentication."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from airflow_provider_asyncapi.core.auth.base import ConstantAuth


class NoAuth(ConstantAuth):
    """Requests without credentials."""

    name: ClassVar[str] = "none"
    summary: ClassVar[str] = "no credentials"

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:  # noqa: ARG003 - there is nothing to read
        """Parse a connection."""
        return cls()
