"""
The kinds of authentication: the kinds of this package, and those that other packages install.

Another package declares an entry point of the group ``airflow_provider_asyncapi.auth``: its name is the name of the
kind, its object a subclass of :class:`~.core.auth.base.Auth`. Its module must not import Airflow, because Airflow reads
the connection form while it is being imported itself.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from airflow_provider_asyncapi.core.auth.registry import AUTH_KINDS, AuthKinds, check_auth_kind, collect_extra_keys
from airflow_provider_asyncapi.core.connection.general_fields import CONNECTION_COLUMNS
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.registry import find_entry_points, load_entry_point

log = logging.getLogger(__name__)

ENTRY_POINTS = "airflow_provider_asyncapi.auth"
_SHIPPED_KEYS = collect_extra_keys() | set(CONNECTION_COLUMNS)


def load_auth_kinds() -> AuthKinds:
    """Return all kinds by name, except kinds that can't be used, about which there is a warning in the log."""
    return _load_kinds()[0]


def find_auth_kinds(values: Mapping[str, Any]) -> AuthKinds:
    """
    Return the kinds that are needed to read a connection or its defaults in a profile.

    Other packages are loaded only if this package doesn't know the kind or a key of the extra.

    :raises ConfigurationError: if the connection names a kind that can't be used.
    """
    name = values.get("auth")
    if (name in AUTH_KINDS or not name) and _SHIPPED_KEYS.issuperset(values):
        return AUTH_KINDS
    kinds, problems = _load_kinds()
    if isinstance(name, str) and name in problems:
        raise ConfigurationError(f"{problems[name]}")
    return kinds


def _load_kinds() -> tuple[AuthKinds, Mapping[str, str]]:
    """Return the installed kinds by name, and what is wrong with those that can't be used."""
    kinds, problems = dict(AUTH_KINDS), {}
    for entry_point in find_entry_points(ENTRY_POINTS):
        name = entry_point.name
        try:
            kinds[name] = check_auth_kind(name, load_entry_point(entry_point))
        except Exception as error:  # noqa: BLE001 - another package's module may raise anything
            problems[name] = f"auth {name!r}: the entry point {entry_point.value!r} can't be used: {error!r}"
            log.warning("%s", problems[name])
    return kinds, problems
