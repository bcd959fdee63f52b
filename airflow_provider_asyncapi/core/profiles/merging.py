"""Merge the parameters of a DAG with the parameters of a profile, and a profile with the one that it extends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_asyncapi.core.requests.bodies import BODY_PARAMETERS, FILE_PARAMETER

#: The key with which a profile names the profile that it extends.
EXTENDS = "extends"
#: Parameters that set the body of a request.
_BODIES = (*BODY_PARAMETERS, FILE_PARAMETER)
#: Parameters that are merged key by key if both set them.
_MERGED_BY_KEY = ("headers", "query_params", "capture", "variables")
#: Parameters of which False is a value like others.
_BOOLEANS = frozenset({"callback", "checksum", "ignore_case", "json", "unpack"})
#: The tables whose keys aren't parameters of tasks.
_NOT_PARAMETERS = frozenset({"about", "connection"})


#: Parameters that mean nothing without another one.
_COMPANIONS = {"repair": "repair_on", "cleanup": "cleanup_on", "failed_records": "on_partial"}


def drop_switched_off(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters without those that are False, which switches off what a profile sets."""
    dropped = {name for name, value in given.items() if value is False and name not in _BOOLEANS}
    dropped |= {_COMPANIONS[name] for name in dropped & _COMPANIONS.keys()}
    return {name: value for name, value in given.items() if name not in dropped}


def merge_parameters(table: str, profile: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]) -> dict[str, Any]:
    """
    Fill in from a profile what the DAG leaves out.

    :param table: the profile's table.
    :param given: the parameters of the DAG; None values are left out.
    :return: the parameters together. Headers, query parameters, captures and variables of both are joined; one body
        replaces another, and False removes what the profile sets.
    """
    explicit = {name: value for name, value in given.items() if value is not None}
    defaults = dict(profile.get(table, {}))
    may_cancel = table == "status" or (table == "submit" and explicit.get("on_changed_request") == "cancel")
    if may_cancel and profile.get("cancel"):
        defaults["cancel"] = profile["cancel"]
    return drop_switched_off(merge_table(defaults, explicit))


def merge_table(defaults: Mapping[str, Any], explicit: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the keys of two tables; the second table overrides the first.

    Headers, query parameters, captures and variables of both are joined; one body replaces another.
    """
    kept = dict(defaults)
    if any(name in explicit for name in _BODIES):
        for name in _BODIES:
            kept.pop(name, None)
    merged = {
        name: {**kept[name], **explicit[name]}
        for name in _MERGED_BY_KEY
        if isinstance(kept.get(name), Mapping) and isinstance(explicit.get(name), Mapping)
    }
    return {**kept, **explicit, **merged}


def merge_profiles(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return a profile with what it inherits from the profile that it extends.

    :param base: the profile that is extended, with what it inherits itself.
    :param own: the profile; its keys override the keys of the base, table by table.
    """
    merged = {name: content for name, content in base.items() if name != EXTENDS}
    for table, content in own.items():
        if table == EXTENDS:
            continue
        inherited = merged.get(table)
        if isinstance(inherited, Mapping) and isinstance(content, Mapping):
            merged[table] = merge_table(inherited, content)
        else:
            merged[table] = content
        if isinstance(content, Mapping) and table not in _NOT_PARAMETERS:
            merged[table] = drop_switched_off(merged[table])
    return merged
