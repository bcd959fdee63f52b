"""
The kinds of authentication, and what is derived from their declarations.

Each process of a task reads a connection, so of the shipped kinds only the connection's own is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_asyncapi.core.auth.base import Auth
from airflow_provider_asyncapi.core.connection.fields import EMPTY_VALUES, ConnectionField
from airflow_provider_asyncapi.core.connection.general_fields import CONNECTION_COLUMNS, FIRST_SECTION, GENERAL_FIELDS
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.registry import Registry

#: The module in this folder and the class of each shipped kind, by name, in the order of the form.
_SHIPPED = {
    "none": "none:NoAuth",
    "basic": "basic:BasicAuth",
    "bearer": "bearer:BearerAuth",
    "api_key": "api_key:ApiKeyAuth",
    "digest": "digest:DigestAuth",
    "oauth2": "oauth2:OAuth2Auth",
    "oauth2_password": "oauth2_password:OAuth2PasswordAuth",
    "oauth2_refresh": "oauth2_refresh:OAuth2RefreshAuth",
    "jwt_bearer": "jwt_bearer:JwtBearerAuth",
    "jwt": "jwt_token:JwtAuth",
    "login": "login_request:LoginRequestAuth",
    "connection": "other_connection:ConnectionAuth",
    "aws_sigv4": "aws_sigv4:AwsSigV4Auth",
    "hmac": "hmac_signing:HmacAuth",
    "oauth1": "oauth1:OAuth1Auth",
}
#: The names of the fields of all shipped kinds. The connection form stores all fields, so most connections have keys of
#: all kinds, without values. A test compares this with the declarations.
_SHIPPED_FIELDS = frozenset(
    {
        *("key_name", "key_in"),
        *("oauth2_url", "oauth2_method", "oauth2_params", "scope", "client_auth", "client_id", "client_secret"),
        *("refresh_token", "refresh_when", "login_cache"),
        *("jwt_secret_key", "jwt_algorithm", "jwt_claims", "jwt_headers", "jwt_lifetime", "jwt_leeway"),
        *("login_request", "login_selector", "login_header", "login_format", "login_expiry", "login_lifetime"),
        *("login_capture", "refresh_codes", "refresh_request"),
        *("credentials_conn_id", "aws_region", "aws_service", "aws_session_token"),
        "signing",
        *("oauth1_token", "oauth1_token_secret", "oauth1_method", "oauth1_secret_key", "oauth1_realm", "oauth1_body"),
    }
)
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


AUTH_KINDS = AuthRegistry("auth", "auth", paths={name: f"{__package__}.{path}" for name, path in _SHIPPED.items()})


def collect_auth_fields() -> dict[str, ConnectionField]:
    """Return the fields of all kinds by name. This imports all kinds."""
    return {field.name: field for kind in AUTH_KINDS.values() for field in kind.fields}


def collect_auth_keys() -> frozenset[str]:
    """Return the names of the fields of all kinds."""
    added = (AUTH_KINDS[name] for name in AUTH_KINDS if name not in _SHIPPED)
    return _SHIPPED_FIELDS.union(field.name for kind in added for field in kind.fields)


def collect_connection_fields() -> dict[str, ConnectionField]:
    """Return all fields of a connection's extra by name. This imports all kinds."""
    return {field.name: field for field in (_describe_kinds(), *collect_auth_fields().values(), *GENERAL_FIELDS)}


def arrange_form() -> dict[str, tuple[ConnectionField, ...]]:
    """
    Return the fields of the connection form by the headings of its sections, all in the order of the form.

    Airflow's form can't show a field only if another one has some value, but it shows the fields of one section at a
    time. So a section has the fields of related kinds of authentication, and its heading names these kinds.
    """
    first = _describe_kinds()
    sections: dict[str, dict[str, ConnectionField]] = {first.section: {first.name: first}}
    chosen: dict[str, str] = {}
    readers: dict[str, dict[str, None]] = {}
    for kind in AUTH_KINDS.values():
        for field in kind.fields:
            section = chosen.setdefault(field.name, field.section or kind.section or kind.name)
            sections.setdefault(section, {})[field.name] = field
            readers.setdefault(section, {})[kind.name] = None
    for field in GENERAL_FIELDS:
        sections.setdefault(field.section, {})[field.name] = field
    return {
        f"{section} ({', '.join(readers[section])})" if section in readers else section: tuple(fields.values())
        for section, fields in sections.items()
    }


def _describe_kinds() -> ConnectionField:
    """Return the field that chooses the kind of authentication."""
    return ConnectionField(
        "auth",
        "Authentication",
        "Default: basic if there is a login, else none. The heading of a section names the kinds that use its fields.",
        choices={name: kind.summary for name, kind in AUTH_KINDS.items()},
        section=FIRST_SECTION,
    )


def collect_extra_keys() -> frozenset[str]:
    """Return the keys that a connection's extra may have."""
    return collect_auth_keys().union(("auth",), (field.name for field in GENERAL_FIELDS))


def check_unused_fields(values: Mapping[str, Any], kind: type[Auth]) -> None:
    """
    Check that a connection has no field of another kind of authentication, which would have no effect.

    :raises ConfigurationError: naming the field, and the kinds that read it.
    """
    unused = collect_auth_keys().difference(field.name for field in kind.fields)
    given = {name for name in unused & values.keys() if values[name] not in EMPTY_VALUES}
    if not given:
        return
    name = next(name for name in collect_auth_fields() if name in given)
    readers = " or ".join(
        repr(other) for other, each in AUTH_KINDS.items() if any(field.name == name for field in each.fields)
    )
    raise ConfigurationError(f"{name} is for auth {readers}, and auth is {kind.name!r}; set auth, or remove {name}")
