"""Read the settings of an API from an Airflow connection."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook
from airflow.sdk.log import mask_secret

from airflow_provider_asyncapi.connections import lazy
from airflow_provider_asyncapi.core.errors import AsyncApiError, ConfigurationError
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.templates import walk_strings

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_asyncapi.core.connection.fields import ConnectionField

#: Minimum length of the secrets that are masked; Airflow warns about shorter ones.
_MIN_MASKED_LENGTH = 5


def make_nonce() -> str:
    """Return a text that nobody can guess and that no other request has: 128 random bits in hexadecimal."""
    return secrets.token_hex(16)


def read_connection(
    connection: Connection,
    extra: Mapping[str, Any] | None = None,
    *,
    mask: bool = True,
    loop: asyncio.AbstractEventLoop | None = None,
    sends_files: bool = True,
    look_up: Callable[[str], Connection] | None = None,
) -> lazy.Api:
    """
    Return the API of a connection, for flows.

    :param connection: the connection; its type doesn't matter.
    :param extra: the parsed extra of the connection; by default it is parsed here.
    :param mask: whether to mask its secrets in Airflow's logs, with a call that isn't possible in the triggerer.
    :param loop: the event loop that exchanges messages with Airflow's supervisor; None if the process has none.
    :param sends_files: whether requests may send files; a triggerer, which all DAGs share, sends none.
    :param look_up: returns another connection, whose credentials are used; it may block. By default it is Airflow's.
    :raises ConfigurationError: if a field is missing or invalid.
    """
    extra = _parse_extra(connection) if extra is None else dict(extra)
    defaults = lazy.load_profile(extra["profile"]).get("connection", {}) if extra.get("profile") else {}
    lazy.AUTH_KINDS.load_if_needed({**defaults, **extra})
    if extra.get("auth") not in (None, "", defaults.get("auth")):
        # The connection has another kind of authentication than its profile, so it doesn't inherit fields of that kind.
        own = {field.name for field in lazy.AUTH_KINDS.parse(extra["auth"]).fields}
        unused = lazy.collect_auth_keys() - own
        defaults = {name: value for name, value in defaults.items() if name not in unused}
    fields = {
        **defaults,
        # The connection form stores an empty field as null or "", which doesn't override the profile.
        **{name: value for name, value in extra.items() if value not in (None, "")},
        "host": connection.host,
        "port": connection.port,
        "schema": connection.schema,
        "login": connection.login,
        "password": connection.password,
        **_join_mappings(defaults, extra),
    }
    settings = lazy.ConnectionSettings.parse(fields)
    if mask:
        _mask_secrets(fields, (*settings.auth.fields, *lazy.GENERAL_FIELDS))
    shares = settings.auth.token_source is not None and settings.auth.shares_tokens
    tokens = lazy.HostTokenStore(json.dumps(fields, sort_keys=True, default=str).encode()) if shares else None
    source, rotating = settings.auth.token_source, None
    if source is not None and source.refresh_token is not None:
        # Without the other fields: after a change of them, the refresh token of the connection would be spent again.
        identity = [settings.base_url, fields.get("oauth2_url"), fields["login"], source.refresh_token]
        rotating = lazy.VariableTokenStore(json.dumps(identity).encode(), loop)
    borrowed = settings.auth.borrowed
    return lazy.Api.from_settings(
        settings,
        clock=time.time,
        rng=random.random,
        make_nonce=make_nonce,
        tokens=tokens,
        rotating_tokens=rotating,
        lender=None if borrowed is None else lazy.ConnectionLender(borrowed, look_up or BaseHook.get_connection),
        inspect_file=lazy.inspect_file if sends_files else None,
    )


def _join_mappings(defaults: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the headers and variables of a profile together with those of the connection, which override them."""
    joined = {}
    for name, secret in (("headers", "secret_headers"), ("variables", "secrets")):
        if defaults.get(name):
            own = lazy.read_mapping(extra, name)
            # The names of headers are the same in any case.
            taken = {each.lower() for each in (*own, *lazy.read_mapping(extra, secret))}
            joined[name] = {key: value for key, value in defaults[name].items() if key.lower() not in taken} | own
    return joined


def name_connection(error: AsyncApiError, conn_id: str | None) -> AsyncApiError:
    """
    Return the error of a connection that is invalid or can't be used, with a message that names the connection.

    :param conn_id: the connection's id; None if the user doesn't know it.
    """
    return error.with_message(f"connection: {error}" if conn_id is None else f"connection {conn_id!r}: {error}")


def _parse_extra(connection: Connection) -> dict[str, Any]:
    # Airflow's own `extra_dejson` ignores an extra that isn't JSON.
    try:
        extra = json.loads(connection.extra or "{}")
    except (ValueError, RecursionError):
        # The message contains neither the error nor the extra, which may contain a secret.
        raise ConfigurationError("the extra isn't JSON") from None
    if not isinstance(extra, dict):
        raise ConfigurationError("the extra has to be a JSON object")
    return extra


def _mask_secrets(fields: Mapping[str, Any], declared: Iterable[ConnectionField]) -> None:
    """Mask the values of the connection's secret fields in all logs of this task."""
    secrets: list[Any] = [
        fields.get("password"),
        *lazy.find_secret_values(fields, declared),
        lazy.parse_callback_secrets(fields.get("callback_secret")),
    ]
    texts: list[JsonValue] = [text for text in walk_strings(secrets) if len(text) >= _MIN_MASKED_LENGTH]
    if texts:
        mask_secret(texts)
