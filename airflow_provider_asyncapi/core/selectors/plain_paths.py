"""
Plain paths of JSONPath: names and indexes, perhaps with one ``[*]`` or one ``..``.

They are read with jsonpath-ng's meaning, without its grammar; a property test holds the two together.
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
_RESERVED = frozenset({"where", "wherenot"})

#: None, once at most, stands for each item of a list.
Steps: TypeAlias = tuple[str | int | None, ...]


@lru_cache(maxsize=1024)
def parse_plain_path(path: str) -> Steps | None:
    """Read a path of names and indexes only, perhaps with one ``[*]``; None for any other."""
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
        if match is None or match["name"] in _RESERVED:
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
def parse_descent(path: str) -> tuple[Steps, Steps] | None:
    """Read a path of names and indexes with one ``..``, as what stands before it and behind it; None for any other."""
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


def follow(steps: Steps, value: JsonValue) -> list[JsonValue]:
    """Return the value that names and indexes lead to, or none."""
    for step in steps:
        if isinstance(step, str):
            if not isinstance(value, dict) or step not in value:
                return []
        elif step is None or not isinstance(value, list) or step >= len(value):
            return []
        value = value[step]
    return [value]


def search_below(begin: Steps, end: Steps, document: JsonValue) -> list[JsonValue]:
    """
    Return what names and indexes lead to from each value below a place, the outer values first.

    jsonpath-ng makes a new list of all matches for each level that a value is nested in.
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
    Check that a document doesn't hold too many values to be searched for all that match.

    jsonpath-ng makes several objects of each, and Python's garbage collector looks at all of them at a time.

    :param what: what searches them.
    :raises ContentError: if it does.
    """
    values, left = 0, [document]
    while left:
        value = left.pop()
        if isinstance(value, list | dict):
            values += len(value)
            left.extend(value.values() if isinstance(value, dict) else value)
        if values > max_values:
            raise ContentError(
                f"the JSON holds more than {max_values} values, too many for a selector with {what}; name the way to"
                " the value"
            )
