"""HTTP basic authentication (RFC 7617)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from airflow_provider_asyncapi.core.auth.base import ConstantAuth
from airflow_provider_asyncapi.core.connection.fields import require_fields
from airflow_provider_asyncapi.core.errors import ConfigurationError


class BasicAuth(ConstantAuth):
    """Login and password in the header Authorization."""

    name: ClassVar[str] = "basic"
    summary: ClassVar[str] = "login and password"

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Parse a connection."""
        return cls(build_basic_header(values))


def build_basic_header(values: Mapping[str, Any], login_meaning: str = "the user name") -> dict[str, str]:
    """
    Return the header that holds login and password.

    :param login_meaning: the meaning of the login, for messages.
    :raises ConfigurationError: if there is no login, or it holds a colon.
    """
    require_fields(values, BasicAuth.name, login=login_meaning)
    if ":" in values["login"]:
        raise ConfigurationError("the login of auth 'basic' can't hold a colon")
    pair = f"{values['login']}:{values.get('password') or ''}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
