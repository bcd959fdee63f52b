"""OAuth 2 client credentials (RFC 6749, section 4.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from airflow_provider_asyncapi.core.auth.base import TOKEN_FIELDS, TokenAuth, parse_token_fields
from airflow_provider_asyncapi.core.auth.basic import build_basic_header
from airflow_provider_asyncapi.core.connection.fields import (
    ConnectionField,
    read_choice,
    read_mapping,
    require_fields,
)
from airflow_provider_asyncapi.core.errors import ConfigurationError

_METHODS = ("POST", "GET")
_STYLES = ("basic", "body")


class OAuth2Auth(TokenAuth):
    """A token that is requested with a client's id and secret."""

    kind: ClassVar[str] = "oauth2"
    help: ClassVar[str] = "the login is the client id, the password the client secret"
    fields: ClassVar[tuple[ConnectionField, ...]] = (
        ConnectionField("oauth2_url", "OAuth 2: token URL", "Below the API address, e.g. /oauth/token, or absolute."),
        ConnectionField(
            "oauth2_method", "OAuth 2: method", "Method of the token request. Default: POST.", choices=_METHODS
        ),
        ConnectionField("scope", "OAuth 2: scope", "Scopes, separated by spaces."),
        ConnectionField(
            "client_auth",
            "OAuth 2: client authentication",
            "basic: id and secret in a header. body: in the form (of a GET: in the query). Default: basic.",
            choices=_STYLES,
        ),
        ConnectionField(
            "oauth2_params",
            "OAuth 2: further parameters",
            'Further parameters of the token request, e.g. {"audience": "…"}.',
            "json",
        ),
        *TOKEN_FIELDS,
    )

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Read a connection."""
        # Declaring a kind is cheap: what reads it is imported with the first connection of that kind.
        from airflow_provider_asyncapi.core.auth.tokens import Login
        from airflow_provider_asyncapi.core.requests.request_template import RequestTemplate
        from airflow_provider_asyncapi.core.selectors.selector import SelectorChain

        require_fields(
            values,
            cls.kind,
            login="the client id",
            password="the client secret",  # noqa: S106 - what the field holds
            oauth2_url="the token endpoint",
        )
        form: dict[str, Any] = {"grant_type": "client_credentials"}
        if values.get("scope"):
            form["scope"] = values["scope"]
        form |= read_mapping(values, "oauth2_params")
        # Both as RFC 6749 says, whatever the connection's headers are for all other requests.
        headers = {"Accept": "application/json"}
        method = (values.get("oauth2_method") or "POST").upper()
        if method not in _METHODS:
            raise ConfigurationError(f"oauth2_method has to be 'POST' or 'GET', not {method!r}")
        if read_choice(values, "client_auth", _STYLES) == "body":
            form |= {"client_id": values["login"], "client_secret": values["password"]}
        else:
            headers |= build_basic_header(
                {"login": values["login"].replace(":", "%3A"), "password": values["password"]}
            )
        described: dict[str, Any] = {"endpoint": values["oauth2_url"], "method": method, "headers": headers}
        if method == "GET":
            described["query_params"] = form
        else:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            described["data"] = form
        request = RequestTemplate.parse(described, "token request")
        login = Login(
            request, SelectorChain.parse("access_token", "token"), expiry=SelectorChain.parse("expires_in", "expiry")
        )
        return cls({"Authorization": "Bearer {token}"}, login=login, **parse_token_fields(values))
