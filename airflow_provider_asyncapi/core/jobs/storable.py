"""
Check that Airflow can store a value from an API, before it is stored.

An XCom or a trigger's event passes through msgpack, Airflow's serializer and the database's JSON. Each of them refuses
other values, and too late: on a worker after the job was submitted, in the triggerer by ending its process. So every
value of a job handle, a result or an event goes through :func:`to_storable`, whose result all three accept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from airflow_provider_asyncapi.core.errors import ContentError, UnstorableValueError
from airflow_provider_asyncapi.core.json_values import JsonValue, as_text
from airflow_provider_asyncapi.core.text import shorten

#: Largest number of levels of lists and objects. Airflow's API reads about 200, and may need two for each object.
MAX_DEPTH = 64
#: Range of numbers in msgpack. Postgres turns large floats into integers, and the float 2**64 is too large by one.
_LEAST_INTEGER, _LARGEST_INTEGER = -(2**63), 2**64 - 1
_LARGEST_FLOAT = 2.0**63
#: Airflow's serializer mistakes objects with these keys for objects that it has serialized, and deserializes them.
_RESERVED = ("__classname__", "__id__")
_RESERVED_TOGETHER = ("__type", "__var")
_LONGEST_STATUS = 200
_SURROGATE = re.compile("[\ud800-\udfff]")
_NAME = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)

#: Path of a value: the path of its parent, and its own name or index; None for the whole.
_Path = tuple[Any, str | int] | None


def to_storable(value: JsonValue, where: str, *, max_depth: int = MAX_DEPTH) -> JsonValue:
    """
    Return a value as Airflow can store it: a number beyond 64 bits becomes a string, an integer with all its digits.

    :param where: the field of the value, for messages.
    :param max_depth: largest number of levels of lists and objects.
    :raises UnstorableValueError: if Airflow can't store it; the message names the path in the value.
    """
    has_large_number = False
    for path, depth, each in _walk(value):
        if problem := _find_storage_problem(each, depth, max_depth):
            raise UnstorableValueError(
                f"{where}: {problem} at {_format_path(path)}, which Airflow can't store in an XCom; select another"
                " value, or fetch it into a file (destination, and output_type='file' to keep it as it is)"
            )
        has_large_number = has_large_number or _is_large_number(each)
    return _convert_large_numbers(value) if has_large_number else value


def has_more_values(value: JsonValue, limit: int) -> bool:
    """Return whether a value contains more values than a limit; lists and objects count as one each."""
    return next(islice(_walk(value), limit + 1, None), None) is not None


def to_storable_status(value: JsonValue) -> str | int | float | bool | None:
    """Return a status for display: a text cleaned and shortened, a number that Airflow can't store as text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value if isinstance(value, bool) else None
    if isinstance(value, str) or _is_large_number(value) or math.isnan(value):
        return shorten(as_text(value), _LONGEST_STATUS)
    return value


def check_json(value: JsonValue, where: str) -> None:
    """
    Check that every JSON parser accepts the JSON text of a value (RFC 8259, sections 6 and 8.2).

    :param where: the result, or its row, for messages.
    :raises ContentError: if the value contains NaN, an infinite number or an unpaired surrogate.
    """
    for path, _, each in _walk(value):
        if problem := _find_json_problem(each):
            raise ContentError(
                f"{where}: {problem} at {_format_path(path)} isn't JSON; output_type='file' keeps a document as it is"
            )


def _has_surrogate(text: str) -> bool:
    """Return whether a text contains an unpaired surrogate, which has no UTF-8."""
    return not text.isascii() and _SURROGATE.search(text) is not None


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


def _find_storage_problem(value: JsonValue, depth: int, max_depth: int) -> str | None:
    if isinstance(value, str):
        return _find_problem_in_text(value)
    if value is None or isinstance(value, int):
        return None
    if isinstance(value, float):
        return _find_json_problem(value)
    if not isinstance(value, Mapping | list | tuple):
        return f"a value of type {type(value).__name__}, which is neither text nor a number,"
    if depth >= max_depth:
        return f"more than {max_depth} levels of lists and objects"
    return (
        _find_problem_in_names(value, _find_problem_in_text) or _find_reserved_name(value)
        if isinstance(value, Mapping)
        else None
    )


def _find_json_problem(value: JsonValue) -> str | None:
    if isinstance(value, str) and _has_surrogate(value):
        return f"half a character in {_format_text(value)}"
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity, or a number that is too large for a double,"
    return _find_problem_in_names(value, _find_json_problem) if isinstance(value, Mapping) else None


def _find_problem_in_text(text: str) -> str | None:
    return f"a NUL character in {_format_text(text)}" if "\0" in text else _find_json_problem(text)


def _find_problem_in_names(value: Mapping[Any, JsonValue], flaw_of: Callable[[str], str | None]) -> str | None:
    return next((f"{flaw} (a name)" for name in value if (flaw := flaw_of(str(name)))), None)


def _find_reserved_name(value: Mapping[Any, JsonValue]) -> str | None:
    if all(name in value for name in _RESERVED_TOGETHER):
        return "an object with the names '__type' and '__var', which Airflow keeps for itself,"
    found = next((name for name in _RESERVED if name in value), None)
    return f"an object with the name {found!r}, which Airflow keeps for itself," if found else None


def _is_large_number(value: JsonValue) -> bool:
    if isinstance(value, float):
        return abs(value) >= _LARGEST_FLOAT
    return isinstance(value, int) and not _LEAST_INTEGER <= value <= _LARGEST_INTEGER


def _convert_large_numbers(value: JsonValue) -> JsonValue:
    if isinstance(value, Mapping):
        return {name: _convert_large_numbers(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_convert_large_numbers(item) for item in value]
    return as_text(value) if _is_large_number(value) else value


def _format_path(path: _Path) -> str:
    steps: list[str] = []
    while path is not None:
        path, step = path
        is_name = isinstance(step, str) and _NAME.fullmatch(step)
        steps.append(f".{step}" if is_name else f"[{step}]" if isinstance(step, int) else f"[{_format_text(step)}]")
    return shorten("$" + "".join(reversed(steps)), 120)


def _format_text(text: str) -> str:
    return shorten(ascii(text), 80)
