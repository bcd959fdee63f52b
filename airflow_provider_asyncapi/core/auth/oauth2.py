"""OAuth 2 client credentials (RFC 6749, section 4.4), and what all grants of OAuth 2 have in common."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self
from urllib.parse import quote_plus

from airflow_provider_asyncapi.core.auth import lazy
from airflow_provider_asyncapi.core.auth.base import TOKEN_FIELDS, TokenAuth, parse_token_fields
from airflow_provider_asyncapi.core.auth.jwt_signing import ASSERTION_LIFETIME, JWT_FIELDS, JwtSigner
from airflow_provider_asyncapi.core.connection.fields import (
    ConnectionField,
    read_choice,
    read_mapping,
    require_fields,
)
from airflow_provider_asyncapi.core.errors import ConfigurationError

_METHODS = ("POST", "GET")
#: RFC 6749, section 2.3.1, and RFC 7523, section 2.2.
_STYLES = {
    "basic": "id and secret in a header",
    "body": "in the form (of a GET: in the query)",
    "private_key_jwt": "a JSON Web Token, signed with the key",
    "client_secret_jwt": "a JSON Web Token, signed with the client secret",
}
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TOKEN_URL = ConnectionField("oauth2_url", "Token URL", "Below the API address, e.g. /oauth/token, or absolute.")
TOKEN_METHOD = ConnectionField(
    "oauth2_method", "Method", "Method of the token request. Default: POST.", choices=_METHODS
)
SCOPE = ConnectionField("scope", "Scope", "Scopes, separated by spaces.")
CLIENT_AUTH = ConnectionField(
    "client_auth",
    "Client authentication",
    "Default: basic.",
    choices=_STYLES,
)
TOKEN_PARAMETERS = ConnectionField(
    "oauth2_params",
    "Further parameters",
    'Further parameters of the token request, e.g. {"audience": "…"}.',
    "json",
)
#: The fields of all grants with a client.
CLIENT_FIELDS = (TOKEN_URL, SCOPE, CLIENT_AUTH, TOKEN_METHOD, TOKEN_PARAMETERS, *JWT_FIELDS)


class OAuth2Auth(TokenAuth):
    """A token that is requested with a client's id and secret, or with a token that the client signs."""

    name: ClassVar[str] = "oauth2"
    summary: ClassVar[str] = "OAuth 2 client credentials: the login is the client id, the password the client secret"
    section: ClassVar[str] = "OAuth 2"
    fields: ClassVar[tuple[ConnectionField, ...]] = (*CLIENT_FIELDS, *TOKEN_FIELDS)

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Parse a connection."""
        client = OAuth2Client.parse(values, cls.name, "login", "password")
        source = client.build_token_source(values, {"grant_type": "client_credentials"})
        return cls({"Authorization": "Bearer {token}"}, token_source=source, **parse_token_fields(values))


@dataclass(frozen=True)
class OAuth2Client:
    """
    How a client authenticates at the token endpoint (RFC 6749, section 2.3; RFC 7523, section 2.2).

    :param form: parameters of the token request; they name the secrets as variables.
    :param headers: headers of the token request.
    :param variables: variables of the token request that aren't variables of the connection.
    :param assertion: signs ``{assertion}``.
    """

    form: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    assertion: JwtSigner | None = None

    @classmethod
    def parse(
        cls, values: Mapping[str, Any], kind: str, id_field: str, secret_field: str, *, is_optional: bool = False
    ) -> Self:
        """
        Parse the fields of a connection that describe the client.

        :param kind: the kind of authentication, for messages.
        :param id_field: the field with the client id.
        :param secret_field: the field with the client secret.
        :param is_optional: whether there may be a client without a secret, or no client.
        :raises ConfigurationError: if a field is missing, invalid, or has no effect.
        """
        style = read_choice(values, "client_auth", _STYLES)
        client_id, secret = values.get(id_field) or "", values.get(secret_field) or ""
        if not style.endswith("_jwt") and (unused := [each.name for each in JWT_FIELDS if values.get(each.name)]):
            raise ConfigurationError(f"{unused[0]} is for client_auth 'private_key_jwt' or 'client_secret_jwt'")
        meanings = {id_field: "the client id", "oauth2_url": "the token endpoint"}
        if style != "private_key_jwt":
            meanings[secret_field] = "the client secret"
        if is_optional and not values.get("client_auth") and not secret:
            # A public client (RFC 6749, section 2.1) only identifies itself.
            style = "body"
            meanings = {"oauth2_url": "the token endpoint"}
        require_fields(values, kind, **meanings)
        # The secrets are variables, so that no template contains them.
        names = {id_field: _name_variable(id_field), secret_field: _name_variable(secret_field)}
        variables = {each: values[each] for each, name in names.items() if name == each and values.get(each)}
        if style == "basic":
            return cls({}, _build_client_header(client_id, secret), variables)
        if style == "body":
            given = {"client_id": (client_id, id_field), "client_secret": (secret, secret_field)}
            form = {name: f"{{{names[each]}}}" for name, (value, each) in given.items() if value}
            return cls(form, variables=variables)
        claims = {"iss": client_id, "sub": client_id, "aud": values["oauth2_url"]}
        signing = dict(values)
        if style == "client_secret_jwt":
            signing["jwt_secret_key"] = secret
            signing["jwt_algorithm"] = values.get("jwt_algorithm") or "HS256"
        signer = JwtSigner.parse(signing, kind, claims, ASSERTION_LIFETIME)
        form = {"client_assertion_type": _ASSERTION_TYPE, "client_assertion": "{assertion}"}
        return cls(form, variables=variables, assertion=signer)

    def build_token_source(self, values: Mapping[str, Any], grant: Mapping[str, str]) -> lazy.TokenSource:
        """
        Return how a token is requested.

        :param values: the connection.
        :param grant: the parameters of the grant.
        :raises ConfigurationError: if a field is invalid.
        """
        form: dict[str, Any] = {**grant}
        if values.get("scope"):
            form["scope"] = values["scope"]
        form |= {**read_mapping(values, "oauth2_params"), **self.form}
        method = (values.get("oauth2_method") or "POST").upper()
        if method not in _METHODS:
            raise ConfigurationError(f"oauth2_method has to be 'POST' or 'GET', not {method!r}")
        return build_token_source(
            values["oauth2_url"],
            form,
            method,
            headers=self.headers,
            variables=self.variables,
            assertion=self.assertion,
        )


def build_token_source(
    url: str,
    form: Mapping[str, Any],
    method: str = "POST",
    *,
    headers: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
    assertion: JwtSigner | None = None,
) -> lazy.TokenSource:
    """
    Return how a token is requested at a token endpoint (RFC 6749, section 5).

    :param form: the parameters of the token request, which may name variables and ``{assertion}``.
    :param headers: headers with credentials.
    :param variables: further variables.
    :param assertion: signs the assertion.
    """
    # As RFC 6749 says, whatever the connection's headers are for all other requests.
    described: dict[str, Any] = {"endpoint": url, "method": method, "headers": {"Accept": "application/json"}}
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
        headers=headers or {},
        variables=variables or {},
    )


def _name_variable(field_name: str) -> str:
    """Return the name of the variable that contains the value of a field."""
    return f"connection.{field_name}" if field_name in ("login", "password") else field_name


def _build_client_header(client_id: str, secret: str) -> dict[str, str]:
    """Return the header with id and secret, each of which is encoded as in a form (RFC 6749, section 2.3.1)."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
