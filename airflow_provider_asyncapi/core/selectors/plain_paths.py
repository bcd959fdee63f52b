"""
Plain paths of JSONPath: names and indexes, perhaps with one ``[*]`` or one ``..``.

They have the same meaning as in jsonpath-ng, but don't need its grammar; a property test compares the two.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeAlias

from airflow_provider_asyncapi.core.errors import ContentError
from airflow_provider_asyncapi.core.json_values import JsonValue

_PLAIN_STEP = re.compile(
    r"""\.(?:(?P<name>[A-Za-z_][\w-]*)|"(?P<double>[^"\\]+)"|'(?P<single>[^'\\]+)')"""
    r"""|\[(?P<index>\d{1,9})\]|\[(?P<each>\*)\]""",
    re.ASCII,
)
#: Words that jsonpath-ng's grammar reads as operators.
RESERVED = frozenset({"where", "wherenot"})

#: None, once at most, stands for each item of a list.
PathSteps: TypeAlias = tuple[str | int | None, ...]


@lru_cache(maxsize=1024)
def parse_plain_path(path: str) -> PathSteps | None:
    """Parse a path of names and indexes, with at most one ``[*]``; return None for any other path."""
    text = path.strip(" \t")
    if text.startswith("$"):
        text = text[1:]
    elif text.startswith("."):
        return None
    elif not text.startswith("["):
        text = f".{text}"
    steps: list[str | int | None] = []
    position = 0
    while position < len(text):
        match = _PLAIN_STEP.match(text, position)
        if match is None or match["name"] in RESERVED:
            return None
        if match["each"]:
            if None in steps:
                return None
            steps.append(None)
        elif match["index"] is not None:
            steps.append(int(match["index"]))
        else:
            steps.append(match["name"] or match["double"] or match["single"])
        position = match.end()
    return tuple(steps)


@lru_cache(maxsize=1024)
def parse_descent(path: str) -> tuple[PathSteps, PathSteps] | None:
    """Parse a path of names and indexes with one ``..`` into the steps before and after it; None for any other path."""
    before, descends, behind = path.partition("..")
    begin, end = parse_plain_path(before.rstrip()), parse_plain_path(behind.lstrip())
    if (
        not descends
        or not before.strip()
        or begin is None
        or not end
        or None in (*begin, *end)
        or behind.lstrip().startswith("$")
    ):
        return None
    return begin, end


def follow(steps: PathSteps, value: JsonValue) -> list[JsonValue]:
    """Return a list of the value that the steps lead to; an empty list if there is none."""
    for step in steps:
        if isinstance(step, str):
            if not isinstance(value, dict) or step not in value:
                return []
        elif step is None or not isinstance(value, list) or step >= len(value):
            return []
        value = value[step]
    return [value]


def search_below(begin: PathSteps, end: PathSteps, document: JsonValue) -> list[JsonValue]:
    """
    Return the values that the last steps lead to from each value below the first steps, the outer values first.

    jsonpath-ng creates a new list of all matches for each level of nesting.
    """
    found: list[JsonValue] = []
    left = follow(begin, document)
    while left:
        value = left.pop()
        found += follow(end, value)
        if isinstance(value, dict | list):
            left.extend(reversed(value.values() if isinstance(value, dict) else value))
    return found


def check_size(document: JsonValue, max_values: int, what: str) -> None:
    """
    Check that a document doesn't hold too many values to search all of them.

    jsonpath-ng creates several objects for each value, and Python's garbage collector visits all of them at once.

    :param what: the part of the selector that searches them.
    :raises ContentError: if the document holds too many values.
    """
    values, left = 0, [document]
    while left:
        value = left.pop()
        if isinstance(value, list | dict):
            values += len(value)
            left.extend(value.values() if isinstance(value, dict) else value)
        if values > max_values:
            raise ContentError(
                f"the JSON holds more than {max_values} values, too many for a selector with {what}; write the path to"
                " the value instead"
            )
