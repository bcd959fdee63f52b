"""Compare, display and shorten the values that APIs send."""

from __future__ import annotations

import json
import marshal
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

#: What a JSON document holds. `Any` stays at this edge: authors and APIs decide what is inside.
JsonValue: TypeAlias = Any
#: A selector as an author writes it: a text, a mapping with `selector` and `first`, or several of which the first that
#: finds something counts.
SelectorParam: TypeAlias = str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]]

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
#: What a terminal acts on, or what changes the order in which a text is read (https://trojansource.codes): the control
#: characters but tab and line feed, line and paragraph separators, bidirectional marks and overrides.
_UNDISPLAYABLE = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
#: The last one that writes equal values alike; later ones also tell which objects are the same.
_MARSHAL_VERSION = 2
#: A number above these is a moment since the epoch, in seconds or in milliseconds.
_EPOCH_SECONDS, _EPOCH_MILLISECONDS = 1e9, 1e11
#: xml.sax has the same, and costs each DAG file more to import than all else here.
_XML_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_XML_ESCAPES_WITH_QUOTES = _XML_ESCAPES | str.maketrans({'"': "&quot;", "'": "&apos;"})


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


def shorten(text: str, limit: int = 300, *, length: int | None = None) -> str:
    """
    Return a text for a message: white space folded, shortened, and without unprintable characters.

    :param length: the number of characters of the whole text, of which this is the beginning.
    """
    folded = " ".join(text.split())
    shown = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in folded[:limit]
    )
    if len(folded) <= limit and length is None:
        return shown
    return f"{shown}… ({len(text) if length is None else length} characters)"


def clean_text(text: str) -> str:
    """Replace characters that UTF-8 or a database can't represent: unpaired surrogates and NUL."""
    return text if text.isascii() and "\0" not in text else _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def make_displayable(text: str) -> str:
    """Replace characters that can't be stored (:func:`clean_text`) or displayed, such as escape sequences."""
    return text if text.isprintable() else _UNDISPLAYABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def escape_xml(text: str, *, quotes: bool = True) -> str:
    """Escape a text for XML: for an element, and with quotes escaped also for an attribute."""
    return text.translate(_XML_ESCAPES_WITH_QUOTES if quotes else _XML_ESCAPES)


def freeze(value: Any) -> bytes | None:
    """Return plain data as bytes, the same for equal data; None for what isn't plain, such as a date."""
    try:
        return marshal.dumps(value, _MARSHAL_VERSION)
    except ValueError:
        return None


def thaw(plain: bytes) -> Any:
    """Return what :func:`freeze` was given."""
    return marshal.loads(plain)  # noqa: S302 - our own bytes
