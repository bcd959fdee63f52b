"""Refuse escapes of lone surrogates in JSON that is read piece by piece."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from airflow_provider_asyncapi.core.errors import ContentError

#: One escape, two if they are a pair; the group is set if it is a code unit of its own.
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u([0-9a-fA-F]{4})|.)", re.DOTALL)
#: An escape that the next piece may continue; before it an even number of backslashes.
_UNFINISHED = re.compile(
    rb"(?<!\\)(?:\\\\)*(\\(?:u(?:[0-9a-fA-F]{0,3}|[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u[0-9a-fA-F]{0,3})?)?))?)\Z"
)
_MAX_UNFINISHED = 11


def refuse_half_characters(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """
    Yield the pieces of a JSON text, and raise an exception if it escapes a lone surrogate.

    :raises ContentError: naming the escape. A parser may silently replace it by a question mark.
    """
    pending = b""
    for piece in pieces:
        text = pending + piece
        unfinished = _UNFINISHED.search(text) if b"\\" in text[-_MAX_UNFINISHED:] else None
        end = len(text) if unfinished is None else unfinished.start(1)
        _check_escapes(text[:end])
        pending = text[end:]
        yield text[:end]
    _check_escapes(pending)
    if pending:
        yield pending


def _check_escapes(text: bytes) -> None:
    if b"\\ud" not in text and b"\\uD" not in text:
        return
    for escape in _ESCAPE.finditer(text):
        unit = escape[1]
        if unit is not None and unit[:1] in b"dD" and unit[1:2] in b"89abcdefABCDEF":
            raise ContentError(
                f"half a character ({escape[0].decode()}) isn't JSON; output_type='file' keeps a document as it is"
            )
