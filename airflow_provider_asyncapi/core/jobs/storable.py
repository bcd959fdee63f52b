"""
Check which values of an API Airflow can store, before one is kept.

What goes into an XCom or a trigger's event passes msgpack, Airflow's serializer and the database's JSON. Each refuses
something else, and late: on a worker once the job was made, in the triggerer by the end of its process. So every value
that a job handle, a result or an event keeps passes :func:`to_storable`, and what it returns passes all of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from airflow_provider_asyncapi.core.errors import ContentError, UnstorableValueError
from airflow_provider_asyncapi.core.json_values import JsonValue, as_text, shorten

#: Levels of lists and objects. Airflow's API reads some 200, and may need two for each level of an object.
MAX_DEPTH = 64
#: What msgpack carries. Postgres makes integers of large floats, and 2**64 as floats are written is too large by one.
_LEAST_INTEGER, _LARGEST_INTEGER = -(2**63), 2**64 - 1
_LARGEST_FLOAT = 2.0**63
#: Airflow's serializer takes objects with these names for something that it has serialized, and makes that anew.
_RESERVED = ("__classname__", "__id__")
_RESERVED_TOGETHER = ("__type", "__var")
_LONGEST_STATUS = 200
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")
_NAME = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)

#: Which names and indexes lead to a value: those of its parent, and its own; None for the whole.
_Path = tuple[Any, str | int] | None


def to_storable(value: JsonValue, where: str, *, max_depth: int = MAX_DEPTH) -> JsonValue:
    """
    Return a value as Airflow can store it: a number beyond 64 bits becomes its text, an integer that of all its digits.

    :param where: the field that the value is for, for messages.
    :param max_depth: levels of lists and objects.
    :raises UnstorableValueError: if Airflow can't store it, naming the place in the value.
    """
    has_large_number = False
    for path, depth, each in _walk(value):
        if problem := _why_not_stored(each, depth, max_depth):
            raise UnstorableValueError(
                f"{where}: {problem} at {_show_path(path)}, which Airflow can't store in an XCom; select another value,"
                " or fetch it into a file (destination, and output_type='file' to keep it as it is)"
            )
        has_large_number = has_large_number or _is_large_number(each)
    return _with_large_numbers_as_text(value) if has_large_number else value


def has_more_values(value: JsonValue, limit: int) -> bool:
    """Return whether there are more values in a value than a limit; lists and objects count as one each."""
    return next(islice(_walk(value), limit + 1, None), None) is not None


def to_storable_status(value: JsonValue) -> str | int | float | bool | None:
    """Return a status as it is shown: a text cleaned and shortened, a number that Airflow can't store as its text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value if isinstance(value, bool) else None
    if isinstance(value, str) or _is_large_number(value) or math.isnan(value):
        return shorten(as_text(value), _LONGEST_STATUS)
    return value


def check_json(value: JsonValue, where: str) -> None:
    """
    Raise if a value has no JSON text that every reader takes (RFC 8259, sections 6 and 8.2).

    :param where: the result, or the row of it, for messages.
    :raises ContentError: if it holds NaN, an infinite number or half a character.
    """
    for path, _, each in _walk(value):
        if problem := _why_no_json(each):
            raise ContentError(
                f"{where}: {problem} at {_show_path(path)} isn't JSON; output_type='file' keeps a document as it is"
            )


def _has_half_character(text: str) -> bool:
    """Tell whether a text holds half of a surrogate pair, which has no UTF-8."""
    return not text.isascii() and _HALF_CHARACTER.search(text) is not None


def _walk(value: JsonValue) -> Iterator[tuple[_Path, int, JsonValue]]:
    """Yield each value in a value with its path and its depth, outer ones first."""
    waiting: list[tuple[_Path, int, JsonValue]] = [(None, 0, value)]
    while waiting:
        path, depth, each = found = waiting.pop()
        yield found
        if isinstance(each, Mapping):
            waiting.extend(((path, str(name)), depth + 1, item) for name, item in each.items())
        elif isinstance(each, list | tuple):
            waiting.extend(((path, index), depth + 1, item) for index, item in enumerate(each))


def _why_not_stored(value: JsonValue, depth: int, max_depth: int) -> str | None:
    if isinstance(value, str):
        return _flaw_of(value)
    if value is None or isinstance(value, int):
        return None
    if isinstance(value, float):
        return _why_no_json(value)
    if not isinstance(value, Mapping | list | tuple):
        return f"a value of type {type(value).__name__}, which is neither text nor a number,"
    if depth >= max_depth:
        return f"more than {max_depth} levels of lists and objects"
    return _flaw_of_names(value, _flaw_of) or _reserved_name(value) if isinstance(value, Mapping) else None


def _why_no_json(value: JsonValue) -> str | None:
    if isinstance(value, str) and _has_half_character(value):
        return f"half a character in {_show_text(value)}"
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity, or a number that is too large for a double,"
    return _flaw_of_names(value, _why_no_json) if isinstance(value, Mapping) else None


def _flaw_of(text: str) -> str | None:
    return f"a NUL character in {_show_text(text)}" if "\0" in text else _why_no_json(text)


def _flaw_of_names(value: Mapping[Any, JsonValue], flaw_of: Callable[[str], str | None]) -> str | None:
    return next((f"{flaw} (a name)" for name in value if (flaw := flaw_of(str(name)))), None)


def _reserved_name(value: Mapping[Any, JsonValue]) -> str | None:
    if all(name in value for name in _RESERVED_TOGETHER):
        return "an object with the names '__type' and '__var', which Airflow keeps for itself,"
    found = next((name for name in _RESERVED if name in value), None)
    return f"an object with the name {found!r}, which Airflow keeps for itself," if found else None


def _is_large_number(value: JsonValue) -> bool:
    if isinstance(value, float):
        return abs(value) >= _LARGEST_FLOAT
    return isinstance(value, int) and not _LEAST_INTEGER <= value <= _LARGEST_INTEGER


def _with_large_numbers_as_text(value: JsonValue) -> JsonValue:
    if isinstance(value, Mapping):
        return {name: _with_large_numbers_as_text(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_large_numbers_as_text(item) for item in value]
    return as_text(value) if _is_large_number(value) else value


def _show_path(path: _Path) -> str:
    steps: list[str] = []
    while path is not None:
        path, step = path
        is_name = isinstance(step, str) and _NAME.fullmatch(step)
        steps.append(f".{step}" if is_name else f"[{step}]" if isinstance(step, int) else f"[{_show_text(step)}]")
    return shorten("$" + "".join(reversed(steps)), 120)


def _show_text(text: str) -> str:
    return shorten(ascii(text), 80)
