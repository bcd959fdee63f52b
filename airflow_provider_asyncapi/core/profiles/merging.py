"""Merge the parameters of a DAG with those of a profile; the DAG's override the profile's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_asyncapi.core.requests.bodies import BODY_PARAMETERS

#: Parameters that are merged key by key if both set them.
_MERGED_BY_KEY = ("headers", "query_params", "capture")


def merge_parameters(table: str, profile: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]) -> dict[str, Any]:
    """
    Fill in from a profile what the DAG leaves out.

    :param table: the profile's table.
    :param given: the parameters of the DAG; those that are None are left out.
    :return: the parameters together. Headers, query parameters and captures of both are joined; one body replaces
        another.
    """
    explicit = {name: value for name, value in given.items() if value is not None}
    defaults = dict(profile.get(table, {}))
    may_cancel = table == "status" or (table == "submit" and explicit.get("on_changed_request") == "cancel")
    if may_cancel and profile.get("cancel"):
        defaults["cancel"] = profile["cancel"]
    if any(name in explicit for name in BODY_PARAMETERS):
        for name in BODY_PARAMETERS:
            defaults.pop(name, None)
    merged = {
        name: {**defaults[name], **explicit[name]}
        for name in _MERGED_BY_KEY
        if isinstance(defaults.get(name), Mapping) and isinstance(explicit.get(name), Mapping)
    }
    return {**defaults, **explicit, **merged}
