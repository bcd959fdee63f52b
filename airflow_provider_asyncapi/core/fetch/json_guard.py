"""
A guard before a JSON parser: refuses what parsers can't handle, in a body that comes piece by piece.

ijson ends the process with a segmentation fault on an integer of more digits than Python reads (4,300), and takes
memory that grows with the square of the nesting (97 KiB of brackets: 6 GiB). So both are refused before it sees them,
whichever of its backends is installed. Each piece is looked at as a whole, by functions that are written in C.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from airflow_provider_asyncapi.core.errors import ContentError

#: Digits of a number; Python's own limit (``sys.set_int_max_str_digits``).
_MAX_DIGITS = 4300
#: How deep arrays and objects may be nested, in each piece; over all pieces twice as deep at most.
_MAX_DEPTH = 256
_DIGITS = b"0123456789"
_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
#: Arrays and objects are treated alike.
_ALIKE = bytes.maketrans(b"{}", b"[]")


def guard_json(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """
    Yield the pieces of a JSON text in UTF-8 as they are, as long as a parser can take them.

    :raises ContentError: if a number is too long, or the nesting is too deep.
    """
    guard = _Guard()
    for piece in pieces:
        guard.check(piece)
        yield piece


class _Guard:
    """Keeps the state of a JSON text between its pieces."""

    def __init__(self) -> None:
        self._is_in_string = False
        #: A backslash whose other half comes next.
        self._escape = b""
        #: The digits that the text ends with so far.
        self._number = b""
        self._depth = 0

    def check(self, piece: bytes) -> None:
        """
        Check the next piece.

        :raises ContentError: if a number is too long, or the nesting is too deep.
        """
        outside = self._remove_strings(piece)
        self._check_numbers(outside)
        self._check_depth(outside)

    def _remove_strings(self, piece: bytes) -> bytes:
        text = self._escape + piece
        if b"\\" in text:
            text = _ESCAPE.sub(b"", text)
        self._escape = b"\\" * text.endswith(b"\\")
        parts = text.split(b'"')
        outside = b"".join(parts[self._is_in_string :: 2])
        self._is_in_string ^= len(parts) % 2 == 0
        return outside

    def _check_numbers(self, outside: bytes) -> None:
        text = self._number + outside
        # A number that is too long contains one of these positions.
        for place in range(0, len(text), _MAX_DIGITS):
            before, after = text[max(0, place - _MAX_DIGITS) : place], text[place : place + _MAX_DIGITS + 1]
            digits = len(before) - len(before.rstrip(_DIGITS)) + len(after) - len(after.lstrip(_DIGITS))
            if digits > _MAX_DIGITS:
                raise ContentError(f"expected JSON, but a number in it has more than {_MAX_DIGITS} digits")
        self._number = text[len(text.rstrip(_DIGITS)) :]

    def _check_depth(self, outside: bytes) -> None:
        brackets = outside.translate(_ALIKE, _NO_BRACKETS)
        # Each iteration removes the innermost pairs.
        for _ in range(_MAX_DEPTH):
            left = brackets.replace(b"[]", b"")
            if len(left) == len(brackets):
                break
            brackets = left
        self._depth += brackets.count(b"[") - brackets.count(b"]")
        if b"[]" in brackets or self._depth > _MAX_DEPTH:
            raise ContentError(f"expected JSON that is nested at most {_MAX_DEPTH} deep")
