"""Compare, convert and display the values that APIs send."""

from __future__ import annotations

import json
import marshal
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

#: What a JSON document holds. `Any` stays at this edge: authors and APIs decide what is inside.
JsonValue: TypeAlias = Any
#: A selector as an author writes it: a text, a mapping with `selector` and `first`, or several of which the first that
#: finds something counts.
SelectorParam: TypeAlias = str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]]

#: The last one that writes equal values alike; later ones also tell which objects are the same.
_MARSHAL_VERSION = 2
#: A number above these is a moment since the epoch, in seconds or in milliseconds.
_EPOCH_SECONDS, _EPOCH_MILLISECONDS = 1e9, 1e11


def is_scalar(value: Any) -> bool:
    """Return whether a value is a string, a number or a boolean, as a status or an identifier in JSON is."""
    return isinstance(value, str | int | float)


def to_comparable(value: JsonValue, *, ignore_case: bool = False) -> str:
    """
    Return the form in which values compare: ``200`` equals ``"200"``, ``True`` equals ``"true"``.

    Containers compare by their JSON text with sorted keys.
    """
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        value = int(value)
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text.casefold() if ignore_case else text


def as_list(value: JsonValue) -> list[JsonValue]:
    """Return a list of a value that may be one, several or none (``None``)."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def is_blank(value: JsonValue) -> bool:
    """Return whether a value is an empty text, or consists of white space."""
    return isinstance(value, str) and not value.strip()


def as_number(value: JsonValue) -> float | None:
    """Read a number, also from a string; ``None`` if there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def as_moment(number: float) -> float | None:
    """
    Return the moment that a number stands for, in seconds since the epoch; None for a number of seconds.

    APIs mix up the two, and also send moments in milliseconds; a duration of 30 years is implausible.
    """
    if number > _EPOCH_MILLISECONDS:
        return number / 1000
    return number if number > _EPOCH_SECONDS else None


def parse_iso_time(text: str) -> float | None:
    """Return an ISO 8601 date or time as seconds since the epoch, in UTC if it has no zone; None if it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def as_text(value: JsonValue) -> str:
    """
    Return a value as text for a URL, a header or a body: a string as it is, any other value as JSON.

    What JSON has no form for (a date that a DAG author gives) is written as ``str`` does.
    """
    # Mostly it is a text, and whether something is a mapping takes long to find out.
    if isinstance(value, str) or not (value is None or isinstance(value, int | float | list | tuple | Mapping)):
        return str(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def freeze(value: Any) -> bytes | None:
    """Return plain data as bytes, the same for equal data; None for what isn't plain, such as a date."""
    try:
        return marshal.dumps(value, _MARSHAL_VERSION)
    except ValueError:
        return None


def thaw(plain: bytes) -> Any:
    """Return what :func:`freeze` was given."""
    return marshal.loads(plain)  # noqa: S302 - our own bytes
