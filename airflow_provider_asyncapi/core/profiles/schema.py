"""The tables of a profile and their keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_asyncapi.core.auth.registry import AUTH_KINDS, collect_extra_keys
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.events.plan import event_parameters
from airflow_provider_asyncapi.core.fetch.plan import fetch_parameters
from airflow_provider_asyncapi.core.foreign_names import describe_unknown_key, find_foreign_name
from airflow_provider_asyncapi.core.parameter_names import RESULT_LIMITS
from airflow_provider_asyncapi.core.profiles.merging import EXTENDS
from airflow_provider_asyncapi.core.requests.request_template import REQUEST_PARAMETERS
from airflow_provider_asyncapi.core.submit.plan import SUBMIT_PARAMETERS
from airflow_provider_asyncapi.core.wait.plan import WAIT_PARAMETERS


def profile_tables(profile: Mapping[str, Any] | None = None) -> Mapping[str, frozenset[str]]:
    """
    Return the tables of a profile, and the keys that each may have.

    :param profile: a profile, which may have keys for kinds of authentication and ways of paging that other packages
        add.
    """
    connection, fetch = ({} if profile is None else profile.get(table, {}) for table in ("connection", "fetch"))
    if isinstance(connection, Mapping):
        AUTH_KINDS.load_if_needed(connection)
    return {
        "connection": collect_extra_keys() - {"profile"},
        "submit": frozenset(SUBMIT_PARAMETERS) | {"job_url"},
        "status": frozenset(WAIT_PARAMETERS) | {"job_url", "timeout"},
        "fetch": frozenset(fetch_parameters(fetch if isinstance(fetch, Mapping) else ())) | {"job_url", *RESULT_LIMITS},
        "cancel": frozenset(REQUEST_PARAMETERS),
        "events": frozenset(event_parameters()),
    }


def check_profile(name: str, profile: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """
    Check the tables and keys of a profile.

    :return: the profile, with an empty table in place of each that is missing.
    :raises ConfigurationError: if a table or a key is unknown.
    """
    tables = profile_tables(profile)
    for table, content in profile.items():
        if table in ("about", EXTENDS):
            continue
        if table not in tables or not isinstance(content, Mapping):
            raise ConfigurationError(
                f"profile {name!r}: unknown table {table!r}; known are about, extends, {', '.join(tables)}"
            )
        if problem := find_foreign_name(content, tables[table]):
            raise ConfigurationError(f"profile {name!r}: [{table}] {problem}")
        if unknown := sorted(set(content) - tables[table]):
            raise ConfigurationError(
                f"profile {name!r}: {describe_unknown_key(unknown[0], tables[table])} in [{table}]; known are"
                f" {', '.join(sorted(tables[table]))}"
            )
    return {table: profile.get(table, {}) for table in ("about", *tables)}
