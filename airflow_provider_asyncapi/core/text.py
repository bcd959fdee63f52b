"""Texts for messages, databases, terminals and XML."""

from __future__ import annotations

import re

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
#: What a terminal acts on, or what changes the order in which a text is read (https://trojansource.codes): the control
#: characters but tab and line feed, line and paragraph separators, bidirectional marks and overrides.
_UNDISPLAYABLE = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
#: xml.sax has the same, and costs each DAG file more to import than all else here.
_XML_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_XML_ESCAPES_WITH_QUOTES = _XML_ESCAPES | str.maketrans({'"': "&quot;", "'": "&apos;"})


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


def format_number(number: float) -> str:
    """Return a number for a message: three significant digits, or all digits before the point; no exponent."""
    rounded = float(f"{number:.3g}")
    return f"{number:.0f}" if abs(rounded) >= 1000 else f"{rounded:g}"  # noqa: PLR2004 - from here .3g has exponents
