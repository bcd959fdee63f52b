"""
JSONPath: plain paths read here, everything else by jsonpath-ng.

Nine of ten selectors are plain (``data.task.id``, ``jobs[0]."sub-state"``, ``jobs[*]``). These are read here with
jsonpath-ng's meaning, so that parsing a DAG and polling in the triggerer need neither its import nor its grammar; a
property test holds the two together.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.errors import SelectorError
from airflow_provider_asyncapi.core.values import JsonValue

if TYPE_CHECKING:
    from jsonpath_ng import JSONPath

_STEP = re.compile(
    r"""\.(?:(?P<name>[A-Za-z_][\w-]*)|"(?P<double>[^"\\]+)"|'(?P<single>[^'\\]+)')"""
    r"""|\[(?P<index>\d{1,9})\]|\[(?P<each>\*)\]\Z""",
    re.ASCII,
)
#: Words that jsonpath-ng's grammar reads as operators.
_RESERVED = frozenset({"where", "wherenot"})

#: None, only at the end, stands for each item of a list.
Steps = tuple[str | int | None, ...]


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
        return _searched(path, document)
    value = document
    for step in steps:
        if isinstance(step, str):
            if not isinstance(value, dict) or step not in value:
                return []
        elif step is None:
            # Of anything but a list jsonpath-ng makes one, each version in its own way.
            return value[:] if isinstance(value, list) else _searched(path, document)
        elif not isinstance(value, list) or step >= len(value):
            return []
        value = value[step]
    return [value]


def _searched(path: str, document: JsonValue) -> list[JsonValue]:
    """Give all values that jsonpath-ng finds."""
    compiled = _compiled(path)
    try:
        return [match.value for match in compiled.find(document)]
    except Exception:  # noqa: BLE001 - it raises whatever Python does, and differs from version to version
        return []


@dataclass(frozen=True, slots=True)
class ItemPath:
    """
    A path into one array: what leads to it, and what is taken of each item.

    :param prefix: the names that lead to the array.
    :param rest: a path into a list of one item; None for the item itself.
    """

    prefix: tuple[str, ...]
    rest: JSONPath | None = None

    def select(self, item: JsonValue) -> list[JsonValue]:
        """Give what the path finds in one item of the array; null counts as nothing."""
        found = [item] if self.rest is None else [match.value for match in self.rest.find([item])]
        return [value for value in found if value is not None]


def split_at_array(path: str) -> ItemPath | None:
    """
    Take a path apart where it enters an array, so that the array's items can be read one by one.

    A path of names only leads to the array itself. None where items don't stand for themselves (an index, a slice with
    bounds, ``..``), or where they can't be told apart by names (a name that holds a dot).
    """
    from jsonpath_ng import Child, Fields, Root
    from jsonpath_ng.ext.filter import Filter

    if "`" in path:
        # A word of jsonpath-ng's own, which may look beyond the item.
        return None
    steps = list(_steps(_compiled(path)))
    prefix: list[str] = []
    for number, step in enumerate(steps):
        if isinstance(step, Root) and number == 0:
            continue
        if isinstance(step, Fields) and len(step.fields) == 1 and step.fields[0] != "*" and "." not in step.fields[0]:
            prefix.append(step.fields[0])
            continue
        # A slice without bounds in older releases, a wildcard in newer ones.
        is_each = not isinstance(step, Fields) and str(step) in ("*", "[*]")
        rest = steps[number:]
        if not (is_each or isinstance(step, Filter)) or any(isinstance(each, Root) for each in rest):
            return None
        if is_each and len(rest) == 1:
            return ItemPath(tuple(prefix))
        of_item: JSONPath = Root()
        for each in rest:
            of_item = Child(of_item, each)
        return ItemPath(tuple(prefix), of_item)
    return ItemPath(tuple(prefix))


def _steps(path: JSONPath) -> Iterator[JSONPath]:
    from jsonpath_ng import Child

    if isinstance(path, Child):
        yield from _steps(path.left)
        yield from _steps(path.right)
    else:
        yield path


@lru_cache(maxsize=1024)
def _plain(path: str) -> Steps | None:
    """Read a path of names and indexes only, perhaps with ``[*]`` at its end; None for any other."""
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
        match = _STEP.match(text, position)
        if match is None or match["name"] in _RESERVED:
            return None
        if match["each"]:
            steps.append(None)
        elif match["index"] is not None:
            steps.append(int(match["index"]))
        else:
            steps.append(match["name"] or match["double"] or match["single"])
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
