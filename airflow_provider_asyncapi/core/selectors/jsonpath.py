"""
JSONPath: plain paths read here, everything else by jsonpath-ng.

Nine of ten selectors are plain (``data.task.id``, ``jobs[0]."sub-state"``, ``jobs[*].id``), so that parsing a DAG and
polling in the triggerer need neither jsonpath-ng's import nor its grammar.
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

    :raises SelectorError: with the position of the mistake.
    """
    if parse_plain_path(path) is None:
        general_paths.check(path)


def find(path: str, document: JsonValue, max_values: int | None = None) -> list[JsonValue]:
    """
    Return all values that the path finds; in a document that it doesn't fit (an index of a number) it finds none.

    :param max_values: how many values the document may hold if all of them have to be searched; None for any number.
    :raises ContentError: if it holds more, or is nested so deeply that finding them would take for ever.
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
        # Of anything but a list jsonpath-ng makes one, each version in its own way.
        return general_paths.find(path, document, max_values)
    return [value for items in found for item in items for value in follow(steps[position + 1 :], item)]


@lru_cache(maxsize=1024)
def finds_list(path: str) -> bool:
    """Return whether a path may find several values: each item of something, or the items that match."""
    steps = parse_plain_path(path)
    return general_paths.finds_list(path) if steps is None else None in steps


def finds_empty_list(path: str, document: JsonValue) -> bool:
    """Return whether a path finds nothing because what it takes the items of is there and has none that match."""
    return general_paths.finds_empty_list(path, document)


def split_at_array(path: str) -> ItemPath | None:
    """
    Take a path apart where it enters an array, so that the array's items can be read one by one.

    A path of names only leads to the array itself. None where items don't stand for themselves (an index, a slice with
    bounds, ``..``), or where they can't be told apart by names (a name that holds a dot).
    """
    return general_paths.split_at_array(path)
