"""
JSONPath: plain paths read here, everything else by jsonpath-ng.

Nine of ten selectors are plain (``data.task.id``, ``jobs[0]."sub-state"``). These are read here with jsonpath-ng's
meaning, so that parsing a DAG and polling in the triggerer need neither its import nor its grammar; a property test
holds the two together.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.errors import SelectorError
from airflow_provider_asyncapi.core.values import JsonValue

if TYPE_CHECKING:
    from jsonpath_ng import JSONPath

_STEP = re.compile(r"""\.?(?:(?P<name>[A-Za-z_][\w-]*)|"(?P<double>[^"\\]+)"|'(?P<single>[^'\\]+)')|\[(?P<index>\d+)\]""")
#: Words that jsonpath-ng's grammar reads as operators.
_RESERVED = frozenset({"parent", "where", "wherenot"})

Steps = tuple[str | int, ...]


def check(path: str) -> None:
    """
    Check the syntax of a path.

    :raises SelectorError: with the position of the mistake.
    """
    if _plain(path) is None:
        _compiled(path)


def find(path: str, document: JsonValue) -> list[JsonValue]:
    """Give all values that the path finds."""
    steps = _plain(path)
    if steps is None:
        return [match.value for match in _compiled(path).find(document)]
    value = document
    for step in steps:
        if isinstance(step, str):
            if not isinstance(value, dict) or step not in value:
                return []
        elif not isinstance(value, list) or step >= len(value):
            return []
        value = value[step]
    return [value]


@lru_cache(maxsize=1024)
def _plain(path: str) -> Steps | None:
    """Read a path of names and indexes only; None for any other."""
    text = path.strip()
    if text == "$":
        return ()
    if text.startswith("$"):
        if text[1:2] not in (".", "["):
            return None
        text = text[1:]
    elif text.startswith("."):
        return None
    else:
        text = text if text.startswith("[") else f".{text}"
    steps: list[str | int] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None or (match["index"] is None and text[position] != "."):
            return None
        name = match["name"]
        if name in _RESERVED:
            return None
        index = match["index"]
        steps.append(int(index) if index is not None else name or match["double"] or match["single"])
        position = match.end()
    return tuple(steps)


@lru_cache(maxsize=1024)
def _compiled(path: str) -> JSONPath:
    from jsonpath_ng.exceptions import JSONPathError
    from jsonpath_ng.ext import parse

    try:
        return parse(path)
    except JSONPathError as error:
        raise SelectorError(" ".join(str(error).split())) from None
    except Exception as error:  # noqa: BLE001 - its lexer and actions raise what they like on bad input
        raise SelectorError(f"{type(error).__name__}: {error}") from None
