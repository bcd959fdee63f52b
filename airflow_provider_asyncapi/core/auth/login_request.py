"""A token from a configurable login request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from airflow_provider_asyncapi.core.auth import lazy
from airflow_provider_asyncapi.core.auth.base import REFRESH_CODES, TOKEN_FIELDS, TokenAuth, parse_token_fields
from airflow_provider_asyncapi.core.auth.basic import build_basic_header
from airflow_provider_asyncapi.core.connection.fields import ConnectionField, read_list, read_mapping, require_fields
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.json_values import as_number


class LoginRequestAuth(TokenAuth):
    """A token that is requested with the connection's login request."""

    name: ClassVar[str] = "login"
    summary: ClassVar[str] = "a login request returns a token"
    section: ClassVar[str] = "Login request"
    fields: ClassVar[tuple[ConnectionField, ...]] = (
        ConnectionField(
            "login_request",
            "Request",
            'The request that returns a token, e.g. {"endpoint": "/login", "json": {"user": "{connection.login}",'
            ' "password": "{connection.password}"}}. It may contain Secrets and Variables of the connection.',
            "json",
        ),
        ConnectionField(
            "login_selector",
            "Token selector",
            "The selector of the token in the response, e.g. data.token.",
            "list",
        ),
        ConnectionField("login_header", "Header", "The header that the token is sent in. Default: Authorization."),
        ConnectionField(
            "login_format",
            "Format",
            "Content of that header. Default: Bearer {token} for Authorization, {token} for other headers.",
        ),
        ConnectionField(
            "login_expiry",
            "Expiry selector",
            "The selector of the expiry in the response, e.g. expires_in: seconds, a Unix time, or an ISO date.",
            "list",
        ),
        ConnectionField(
            "login_lifetime",
            "Lifetime",
            "Lifetime of a token in seconds, if the response has no expiry.",
            "number",
        ),
        ConnectionField(
            "refresh_codes",
            "Refresh codes",
            "Status codes that mean that the token isn't valid any more. Default: 401, 403.",
            "list",
        ),
        ConnectionField(
            "login_capture",
            "Capture",
            'Values of the response for the refresh request: name to selector, e.g. {"refresh": "refresh_token"}.',
            "json",
        ),
        ConnectionField(
            "refresh_request",
            "Refresh request",
            'The request that renews a token, e.g. {"endpoint": "/refresh", "json": {"token": "{refresh}"}}.'
            " Default: the login request.",
            "json",
        ),
        *TOKEN_FIELDS,
    )

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Parse a connection."""
        require_fields(
            values, cls.name, login_request="the request as JSON", login_selector="the selector of the token"
        )
        given = values.get("login_lifetime")
        lifetime = None if given in (None, "") else as_number(given)
        if given not in (None, "") and (lifetime is None or lifetime <= 0):
            raise ConfigurationError(f"login_lifetime has to be a number of seconds above 0, not {given!r}")
        source = lazy.TokenSource(
            request=_parse_request(values, "login_request"),
            token=lazy.SelectorChain.parse(values["login_selector"], "login_selector"),
            refresh=_parse_request(values, "refresh_request") if values.get("refresh_request") else None,
            expiry=lazy.SelectorChain.parse_optional(values.get("login_expiry") or None, "login_expiry"),
            lifetime=lifetime,
            captures=lazy.parse_captures(read_mapping(values, "login_capture"), "login_capture"),
        )
        codes = [as_number(code) for code in read_list(values, "refresh_codes")] or list(REFRESH_CODES)
        if not all(code in range(400, 500) for code in codes):
            raise ConfigurationError(
                f"refresh_codes has to be a list of status codes from 400 to 499, not {values['refresh_codes']!r}"
            )
        template = values.get("login_format") or ("Bearer {token}" if not values.get("login_header") else "{token}")
        if "{token}" not in template:
            raise ConfigurationError(f"login_format has to contain {{token}}; it is {template!r}")
        return cls(
            {values.get("login_header") or "Authorization": template},
            token_source=source,
            refresh_codes=frozenset(int(code) for code in codes if code),
            **parse_token_fields(values),
        )


def _parse_request(values: Mapping[str, Any], name: str) -> lazy.RequestTemplate:
    given = read_mapping(values, name)
    if not given.get("endpoint"):
        raise ConfigurationError(f"{name} needs an endpoint, and the method, headers and body that the API expects")
    how = given.pop("auth", None)
    if how not in (None, "basic"):
        raise ConfigurationError(f"{name}: auth can only be 'basic', not {how!r}")
    if how == "basic":
        header = build_basic_header(values, f"the user name that the {name} sends")
        given["headers"] = {**(given.get("headers") or {}), **header}
    return lazy.RequestTemplate.parse(given, f"{name}")
