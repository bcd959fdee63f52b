"""OAuth 2 client credentials (RFC 6749, section 4.4), with the client's secret or a JSON Web Token (RFC 7523)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from airflow_provider_asyncapi.core.auth import lazy
from airflow_provider_asyncapi.core.auth.base import TOKEN_FIELDS, TokenAuth, parse_token_fields
from airflow_provider_asyncapi.core.auth.basic import build_basic_header
from airflow_provider_asyncapi.core.auth.jwt_signing import JWT_FIELDS, JwtSigner
from airflow_provider_asyncapi.core.connection.fields import (
    ConnectionField,
    read_choice,
    read_mapping,
    require_fields,
)
from airflow_provider_asyncapi.core.errors import ConfigurationError

_METHODS = ("POST", "GET")
#: RFC 6749, section 2.3.1, and RFC 7523, section 2.2.
_STYLES = ("basic", "body", "private_key_jwt", "client_secret_jwt")
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TOKEN_URL = ConnectionField(
    "oauth2_url", "OAuth 2: token URL", "Below the API address, e.g. /oauth/token, or absolute."
)
SCOPE = ConnectionField("scope", "OAuth 2: scope", "Scopes, separated by spaces.")
TOKEN_PARAMETERS = ConnectionField(
    "oauth2_params",
    "OAuth 2: further parameters",
    'Further parameters of the token request, e.g. {"audience": "…"}.',
    "json",
)


class OAuth2Auth(TokenAuth):
    """A token that is requested with a client's id and secret, or with a token that the client signs."""

    name: ClassVar[str] = "oauth2"
    summary: ClassVar[str] = "the login is the client id, the password the client secret"
    fields: ClassVar[tuple[ConnectionField, ...]] = (
        TOKEN_URL,
        ConnectionField(
            "oauth2_method", "OAuth 2: method", "Method of the token request. Default: POST.", choices=_METHODS
        ),
        SCOPE,
        ConnectionField(
            "client_auth",
            "OAuth 2: client authentication",
            "basic: id and secret in a header. body: in the form (of a GET: in the query). private_key_jwt: a JSON Web"
            " Token, signed with the key. client_secret_jwt: one signed with the password. Default: basic.",
            choices=_STYLES,
        ),
        TOKEN_PARAMETERS,
        *JWT_FIELDS,
        *TOKEN_FIELDS,
    )

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Parse a connection."""
        style = read_choice(values, "client_auth", _STYLES)
        require_fields(values, cls.name, login="the client id", oauth2_url="the token endpoint")
        if style != "private_key_jwt":
            require_fields(values, cls.name, password="the client secret")  # noqa: S106 - what the field holds
        if not style.endswith("_jwt") and (unused := [each.name for each in JWT_FIELDS if values.get(each.name)]):
            raise ConfigurationError(f"{unused[0]} is for client_auth 'private_key_jwt' or 'client_secret_jwt'")
        form: dict[str, Any] = {"grant_type": "client_credentials"}
        if values.get("scope"):
            form["scope"] = values["scope"]
        form |= read_mapping(values, "oauth2_params")
        method = (values.get("oauth2_method") or "POST").upper()
        if method not in _METHODS:
            raise ConfigurationError(f"oauth2_method has to be 'POST' or 'GET', not {method!r}")
        headers: dict[str, str] = {}
        assertion = None
        match style:
            case "basic":
                headers = build_basic_header(
                    {"login": values["login"].replace(":", "%3A"), "password": values["password"]}
                )
            case "body":
                form |= {"client_id": values["login"], "client_secret": values["password"]}
            case _:
                form |= {"client_assertion_type": _ASSERTION_TYPE, "client_assertion": "{assertion}"}
                claims = {"iss": values["login"], "sub": values["login"], "aud": values["oauth2_url"]}
                given = dict(values)
                if style == "client_secret_jwt":
                    given["jwt_secret_key"] = values["password"]
                    given["jwt_algorithm"] = values.get("jwt_algorithm") or "HS256"
                assertion = JwtSigner.parse(given, cls.name, claims)
        source = build_token_source(values["oauth2_url"], form, method, headers, assertion)
        return cls({"Authorization": "Bearer {token}"}, token_source=source, **parse_token_fields(values))


def build_token_source(
    url: str,
    form: Mapping[str, Any],
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
    assertion: JwtSigner | None = None,
) -> lazy.TokenSource:
    """
    Return how a token is requested at a token endpoint (RFC 6749, section 5).

    :param form: the parameters of the token request, which may name ``{assertion}``.
    :param assertion: signs the assertion.
    """
    # As RFC 6749 says, whatever the connection's headers are for all other requests.
    described: dict[str, Any] = {"endpoint": url, "method": method, "headers": {"Accept": "application/json"}}
    described["headers"] |= headers or {}
    if method == "GET":
        described["query_params"] = form
    else:
        described["headers"]["Content-Type"] = "application/x-www-form-urlencoded"
        described["data"] = form
    return lazy.TokenSource(
        lazy.RequestTemplate.parse(described, "token request"),
        lazy.SelectorChain.parse("access_token", "token"),
        expiry=lazy.SelectorChain.parse("expires_in", "expiry"),
        assertion=assertion,
    )
