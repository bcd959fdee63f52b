"""The kinds of authentication, and what is derived from their declarations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
from airflow_provider_asyncapi.core.auth.oauth2_password import OAuth2PasswordAuth
from airflow_provider_asyncapi.core.auth.oauth2_refresh import OAuth2RefreshAuth
from airflow_provider_asyncapi.core.connection.fields import EMPTY_VALUES, ConnectionField
from airflow_provider_asyncapi.core.connection.general_fields import CONNECTION_COLUMNS, GENERAL_FIELDS
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.registry import Registry

#: Parts of names that Airflow masks, in all versions.
_MASKED_BY_AIRFLOW = ("secret", "token", "password", "api_key")


class AuthRegistry(Registry[type[Auth]]):
    """The kinds of authentication; the kinds of other packages are checked before they are added."""

    def load_if_needed(self, values: Mapping[str, Any]) -> None:
        """
        Add the kinds of other packages if a connection has a kind or a key that isn't known.

        :param values: a connection, or its defaults in a profile.
        """
        name = values.get("auth")
        is_known = not name or (isinstance(name, str) and name in self)
        if not (is_known and values.keys() <= {*collect_extra_keys(), *CONNECTION_COLUMNS}):
            self.load_installed()

    def _check_installed(self, name: str, kind: Any) -> None:
        if not isinstance(kind, type) or not issubclass(kind, Auth):
            raise ConfigurationError(f"{kind!r} isn't a subclass of {Auth.__module__}.{Auth.__name__}")
        super()._check_installed(name, kind)
        known = collect_connection_fields()
        for field in kind.fields:
            if field.name in CONNECTION_COLUMNS or known.get(field.name, field) != field:
                raise ConfigurationError(f"the connection has another field named {field.name!r}")
            if field.is_secret and not any(part in field.name for part in _MASKED_BY_AIRFLOW):
                raise ConfigurationError(
                    f"the name of the secret field {field.name!r} has to contain one of"
                    f" {', '.join(_MASKED_BY_AIRFLOW)}; otherwise Airflow's API and pages show the value"
                )


AUTH_KINDS = AuthRegistry(
    "auth",
    "auth",
    (
        NoAuth,
        BasicAuth,
        BearerAuth,
        ApiKeyAuth,
        DigestAuth,
        HmacAuth,
        JwtAuth,
        JwtBearerAuth,
        OAuth2Auth,
        OAuth2PasswordAuth,
        OAuth2RefreshAuth,
        LoginRequestAuth,
    ),
)


def collect_auth_fields() -> dict[str, ConnectionField]:
    """Return the fields of all kinds by name; the fields that several of them read come last."""
    found: dict[str, ConnectionField] = {}
    for kind in AUTH_KINDS.values():
        for field in kind.fields:
            found.pop(field.name, None)
            found[field.name] = field
    return found


def collect_connection_fields() -> dict[str, ConnectionField]:
    """Return all fields of a connection's extra by name, in the order of the form."""
    described = ". ".join(f"{name}: {kind.summary}" for name, kind in AUTH_KINDS.items())
    auth = ConnectionField(
        "auth",
        "Authentication",
        f"{described}. Default: basic if there is a login, else none.",
        choices=tuple(AUTH_KINDS),
    )
    first, rest = GENERAL_FIELDS[:2], GENERAL_FIELDS[2:]
    return {field.name: field for field in (auth, *first, *collect_auth_fields().values(), *rest)}


def collect_extra_keys() -> frozenset[str]:
    """Return the keys that a connection's extra may have."""
    return frozenset(("auth", *collect_auth_fields(), *(field.name for field in GENERAL_FIELDS)))


def check_unused_fields(values: Mapping[str, Any], kind: type[Auth]) -> None:
    """
    Check that a connection has no field of another kind of authentication, which would have no effect.

    :raises ConfigurationError: naming the field, and the kinds that read it.
    """
    own = {field.name for field in kind.fields}
    for name in collect_auth_fields():
        if name not in own and values.get(name) not in EMPTY_VALUES:
            readers = " or ".join(
                repr(other) for other, each in AUTH_KINDS.items() if any(field.name == name for field in each.fields)
            )
            raise ConfigurationError(
                f"{name} is for auth {readers}, and auth is {kind.name!r}; set auth, or remove {name}"
            )
