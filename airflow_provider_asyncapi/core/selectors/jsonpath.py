"""
JSONPath: plain paths are evaluated by this package, all others by jsonpath-ng.

Nine of ten selectors are plain (``data.task.id``, ``jobs[0]."sub-state"``, ``jobs[*].id``). For these, parsing a DAG
and polling in the triggerer need neither jsonpath-ng's import nor its grammar.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.lazy import LazyModule
from airflow_provider_asyncapi.core.selectors.item_path import ItemPath
from airflow_provider_asyncapi.core.selectors.plain_paths import (
    check_size,
    follow,
    parse_descent,
    parse_plain_path,
    search_below,
)

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.selectors import general_paths
else:
    general_paths = LazyModule("airflow_provider_asyncapi.core.selectors.general_paths")


def check(path: str) -> None:
    """
    Check the syntax of a path.

    :raises SelectorError: if the syntax is wrong; the message shows the position.
    """
    if parse_plain_path(path) is None:
        general_paths.check(path)


def find(path: str, document: JsonValue, max_values: int | None = None) -> list[JsonValue]:
    """
    Return all values that the path finds; none if it doesn't fit the document (an index of a number).

    :param max_values: the maximum number of values in a document of which all have to be searched; None for no limit.
    :raises ContentError: if the document holds more values, or is nested so deeply that the search would never end.
    """
    steps = parse_plain_path(path)
    if steps is None:
        if (descent := parse_descent(path)) is not None:
            if max_values is not None:
                check_size(document, max_values, "'..' or '*'")
            return search_below(*descent, document)
        return general_paths.find(path, document, max_values)
    if None not in steps:
        return follow(steps, document)
    position = steps.index(None)
    found = follow(steps[:position], document)
    if found and not isinstance(found[0], list):
        # jsonpath-ng converts anything but a list to a list, differently from version to version.
        return general_paths.find(path, document, max_values)
    return [value for items in found for item in items for value in follow(steps[position + 1 :], item)]


@lru_cache(maxsize=1024)
def finds_list(path: str) -> bool:
    """Return whether a path may find several values: each item of something, or the items that match."""
    steps = parse_plain_path(path)
    return general_paths.finds_list(path) if steps is None else None in steps


def finds_empty_list(path: str, document: JsonValue) -> bool:
    """Return whether a path finds nothing because its list exists, but has no matching items."""
    return general_paths.finds_empty_list(path, document)


def split_at_array(path: str) -> ItemPath | None:
    """
    Split a path at the array that it enters, so that the array's items can be read one by one.

    A path of names alone leads to the array itself. Return None if an item alone doesn't decide whether it is found (an
    index, a slice with bounds, ``..``), or if names are ambiguous (a name that contains a dot).
    """
    return general_paths.split_at_array(path)
