"""
JSONPath: plain paths read here, everything else by jsonpath-ng.

Nine of ten selectors are plain (``data.task.id``, ``jobs[0]."sub-state"``). These are read here with jsonpath-ng's
meaning, so that parsing a DAG and polling in the triggerer need neither its import nor its grammar; a property test
holds the two together.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.errors import SelectorError
from airflow_provider_asyncapi.core.values import JsonValue

if TYPE_CHECKING:
    from jsonpath_ng import JSONPath

_STEP = re.compile(
    r"""\.(?:(?P<name>[A-Za-z_][\w-]*)|"(?P<double>[^"\\]+)"|'(?P<single>[^'\\]+)')|\[(?P<index>\d{1,9})\]""", re.ASCII
)
#: Words that jsonpath-ng's grammar reads as operators.
_RESERVED = frozenset({"where", "wherenot"})

Steps = tuple[str | int, ...]


def check(path: str) -> None:
    """
    Check the syntax of a path.

    :raises SelectorError: with the position of the mistake.
    """
    if _plain(path) is None:
        _compiled(path)


def find(path: str, document: JsonValue) -> list[JsonValue]:
    """Give all values that the path finds; in a document that it doesn't fit (an index of a number) it finds none."""
    steps = _plain(path)
    if steps is None:
        compiled = _compiled(path)
        try:
            return [match.value for match in compiled.find(document)]
        except Exception:  # noqa: BLE001 - it raises whatever Python does, and differs from version to version
            return []
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
    text = path.strip(" \t")
    if text.startswith("$"):
        text = text[1:]
    elif text.startswith("."):
        return None
    elif not text.startswith("["):
        text = f".{text}"
    steps: list[str | int] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None or match["name"] in _RESERVED:
            return None
        index = match["index"]
        steps.append(int(index) if index is not None else match["name"] or match["double"] or match["single"])
        position = match.end()
    return tuple(steps)


@lru_cache(maxsize=1024)
def _compiled(path: str) -> JSONPath:
    from jsonpath_ng.exceptions import JSONPathError
    from jsonpath_ng.ext import parse

    try:
        with warnings.catch_warnings():
            # Newer releases would rather have "&&" in filters, which older ones don't know.
            warnings.simplefilter("ignore", DeprecationWarning)
            return parse(path)
    except JSONPathError as error:
        raise SelectorError(" ".join(str(error).split())) from None
    except Exception as error:  # noqa: BLE001 - its lexer and actions raise what they like on bad input
        raise SelectorError(f"{type(error).__name__}: {error}") from None
