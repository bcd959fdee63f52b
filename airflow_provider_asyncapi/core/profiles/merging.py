"""How what the DAG says and a profile become one description; what the DAG says wins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_asyncapi.core.requests.bodies import BODY_PARAMETERS

#: Given by both, these are joined key by key.
_JOINED = ("headers", "query_params", "capture")


def merge_parameters(table: str, profile: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]) -> dict[str, Any]:
    """
    Fill in from a profile what the DAG leaves out.

    :param table: the profile's table.
    :param given: the parameters of the DAG; those that are None are left out.
    :return: the parameters together. Headers, query parameters and captures of both are joined; one body replaces
        another.
    """
    said = {name: value for name, value in given.items() if value is not None}
    defaults = dict(profile.get(table, {}))
    cancels = table == "status" or (table == "submit" and said.get("on_changed_request") == "cancel")
    if cancels and profile.get("cancel"):
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
