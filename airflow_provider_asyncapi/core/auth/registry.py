"""The kinds of authentication, and what is derived from their declarations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from airflow_provider_asyncapi.core.auth.api_key import ApiKeyAuth
from airflow_provider_asyncapi.core.auth.base import Auth
from airflow_provider_asyncapi.core.auth.basic import BasicAuth
from airflow_provider_asyncapi.core.auth.bearer import BearerAuth
from airflow_provider_asyncapi.core.auth.digest import DigestAuth
from airflow_provider_asyncapi.core.auth.hmac_signing import HmacAuth
from airflow_provider_asyncapi.core.auth.jwt_bearer import JwtBearerAuth
from airflow_provider_asyncapi.core.auth.jwt_token import JwtAuth
from airflow_provider_asyncapi.core.auth.login_request import LoginRequestAuth
from airflow_provider_asyncapi.core.auth.none import NoAuth
from airflow_provider_asyncapi.core.auth.oauth2 import OAuth2Auth
from airflow_provider_asyncapi.core.connection.fields import EMPTY_VALUES, ConnectionField
from airflow_provider_asyncapi.core.connection.general_fields import CONNECTION_COLUMNS, GENERAL_FIELDS
from airflow_provider_asyncapi.core.errors import ConfigurationError

AuthKinds: TypeAlias = Mapping[str, type[Auth]]

#: The kinds that are shipped, by name.
AUTH_KINDS: AuthKinds = {
    kind.kind: kind
    for kind in (
        NoAuth,
        BasicAuth,
        BearerAuth,
        ApiKeyAuth,
        DigestAuth,
        HmacAuth,
        JwtAuth,
        JwtBearerAuth,
        OAuth2Auth,
        LoginRequestAuth,
    )
}
#: Parts of names that Airflow masks, in all versions.
_MASKED_BY_AIRFLOW = ("secret", "token", "password", "api_key")


def collect_auth_fields(kinds: AuthKinds = AUTH_KINDS) -> dict[str, ConnectionField]:
    """Return the fields of these kinds by name; the fields that several of them read come last."""
    found: dict[str, ConnectionField] = {}
    for kind in kinds.values():
        for field in kind.fields:
            found.pop(field.name, None)
            found[field.name] = field
    return found


def collect_connection_fields(kinds: AuthKinds = AUTH_KINDS) -> dict[str, ConnectionField]:
    """Return all fields of a connection's extra by name, in the order of the form."""
    described = ". ".join(f"{name}: {kind.help}" for name, kind in kinds.items())
    auth = ConnectionField(
        "auth", "Authentication", f"{described}. Default: basic if there is a login, else none.", choices=tuple(kinds)
    )
    first, rest = GENERAL_FIELDS[:2], GENERAL_FIELDS[2:]
    return {field.name: field for field in (auth, *first, *collect_auth_fields(kinds).values(), *rest)}


def collect_extra_keys(kinds: AuthKinds = AUTH_KINDS) -> frozenset[str]:
    """Return the keys that a connection's extra may have."""
    return frozenset(collect_connection_fields(kinds))


def check_unused_fields(values: Mapping[str, Any], kind: type[Auth], kinds: AuthKinds) -> None:
    """
    Check that a connection has no field of another kind of authentication, which nothing would read.

    :raises ConfigurationError: naming the field, and the kinds that read it.
    """
    own = {field.name for field in kind.fields}
    for name in collect_auth_fields(kinds):
        if name not in own and values.get(name) not in EMPTY_VALUES:
            readers = " or ".join(
                repr(other) for other, each in kinds.items() if any(field.name == name for field in each.fields)
            )
            raise ConfigurationError(
                f"{name} is for auth {readers}, and auth is {kind.kind!r}; set auth, or take {name} out"
            )


def check_auth_kind(name: str, kind: Any) -> type[Auth]:
    """
    Check the declaration of a kind that isn't shipped.

    :param name: the name that it is registered by.
    :return: the kind.
    :raises ConfigurationError: if it is no kind, or its name or one of its fields is already taken.
    """
    if not isinstance(kind, type) or not issubclass(kind, Auth):
        raise ConfigurationError(f"auth {name!r}: {kind!r} isn't a subclass of {Auth.__module__}.{Auth.__name__}")
    if getattr(kind, "kind", None) != name:
        raise ConfigurationError(f"auth {name!r}: the kind of {kind.__name__} is {getattr(kind, 'kind', None)!r}")
    if name in AUTH_KINDS:
        raise ConfigurationError(f"auth {name!r}: a kind of this name is shipped with the provider")
    known = collect_connection_fields()
    for field in kind.fields:
        if field.name in CONNECTION_COLUMNS or known.get(field.name, field) != field:
            raise ConfigurationError(f"auth {name!r}: the connection has another field named {field.name!r}")
        if field.is_secret and not any(part in field.name for part in _MASKED_BY_AIRFLOW):
            raise ConfigurationError(
                f"auth {name!r}: the name of the secret field {field.name!r} has to hold one of"
                f" {', '.join(_MASKED_BY_AIRFLOW)}: otherwise Airflow's API and pages show the value"
            )
    return kind
