"""How a profile and what the DAG says become one description; what the DAG says wins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.flows.fetch import FETCH_PARAMETERS
from airflow_provider_asyncapi.core.flows.submit import SUBMIT_PARAMETERS
from airflow_provider_asyncapi.core.flows.wait import WAIT_PARAMETERS
from airflow_provider_asyncapi.core.bodies import BODY_PARAMETERS
from airflow_provider_asyncapi.core.request_templates import REQUEST_PARAMETERS
from airflow_provider_asyncapi.core.settings import EXTRA_KEYS

#: table → the keys that it may have.
TABLES: Mapping[str, frozenset[str]] = {
    "connection": EXTRA_KEYS - {"profile"},
    "trigger": frozenset(SUBMIT_PARAMETERS) | {"job_url"},
    "status": frozenset(WAIT_PARAMETERS) | {"job_url"},
    "fetch": frozenset(FETCH_PARAMETERS),
    "cancel": frozenset(REQUEST_PARAMETERS),
}
#: Given by both, these are joined key by key.
_JOINED = ("headers", "params", "capture")


def check_profile(name: str, profile: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """
    Check the tables and keys of a profile.

    :raises ConfigurationError: on unknown ones.
    """
    for table, content in profile.items():
        if table == "about":
            continue
        if table not in TABLES or not isinstance(content, Mapping):
            raise ConfigurationError(f"profile {name!r}: unknown table {table!r}; known are about, {', '.join(TABLES)}")
        if unknown := sorted(set(content) - TABLES[table]):
            raise ConfigurationError(
                f"profile {name!r}: unknown key {unknown[0]!r} in [{table}]; known are {', '.join(sorted(TABLES[table]))}"
            )
    return {table: profile.get(table, {}) for table in ("about", *TABLES)}


def merged(table: str, profile: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]) -> dict[str, Any]:
    """
    Fill in from a profile what the DAG leaves out.

    :param table: the profile's table.
    :param given: the parameters of the DAG; those that are None are left out.
    :return: the parameters together. Headers, query parameters and captures of both are joined; one body replaces another.
    """
    said = {name: value for name, value in given.items() if value is not None}
    defaults = dict(profile.get(table, {}))
    if table == "status" and profile.get("cancel"):
        defaults["cancel"] = profile["cancel"]
    if any(name in said for name in BODY_PARAMETERS):
        for name in BODY_PARAMETERS:
            defaults.pop(name, None)
    joined = {
        name: {**defaults[name], **said[name]}
        for name in _JOINED
        if isinstance(defaults.get(name), Mapping) and isinstance(said.get(name), Mapping)
    }
    return {**defaults, **said, **joined}
