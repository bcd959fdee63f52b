"""OAuth 2 with a JSON Web Token as the grant (RFC 7523, section 2.1): service accounts without a browser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from airflow_provider_asyncapi.core.auth.base import TOKEN_FIELDS, TokenAuth, parse_token_fields
from airflow_provider_asyncapi.core.auth.jwt_signing import (
    ASSERTION_LIFETIME,
    JWT_FIELDS,
    JwtSigner,
    read_service_account,
)
from airflow_provider_asyncapi.core.auth.oauth2 import SCOPE, TOKEN_PARAMETERS, TOKEN_URL, build_token_source
from airflow_provider_asyncapi.core.connection.fields import ConnectionField, read_mapping, require_fields

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class JwtBearerAuth(TokenAuth):
    """A token that is requested with a JSON Web Token, as Google, Salesforce and DocuSign expect it."""

    name: ClassVar[str] = "jwt_bearer"
    summary: ClassVar[str] = "OAuth 2 for a user (the login) by a JSON Web Token, signed with a key"
    fields: ClassVar[tuple[ConnectionField, ...]] = (TOKEN_URL, SCOPE, TOKEN_PARAMETERS, *JWT_FIELDS, *TOKEN_FIELDS)

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Parse a connection."""
        account = read_service_account(values) or {}
        values = {**values, "oauth2_url": values.get("oauth2_url") or account.get("token_uri")}
        require_fields(values, cls.name, oauth2_url="the token endpoint")
        scope = values.get("scope") or None
        # Google reads the scope from the claims, others from the form.
        claims = {
            "iss": account.get("client_email") or values.get("login") or None,
            "aud": values["oauth2_url"],
            "scope": scope if account else None,
        }
        form = {"grant_type": _GRANT, "assertion": "{assertion}"}
        if scope and not account:
            form["scope"] = scope
        form |= read_mapping(values, "oauth2_params")
        signer = JwtSigner.parse(values, cls.name, claims, ASSERTION_LIFETIME)
        source = build_token_source(values["oauth2_url"], form, assertion=signer)
        return cls({"Authorization": "Bearer {token}"}, token_source=source, **parse_token_fields(values))
