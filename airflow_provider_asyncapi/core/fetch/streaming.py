"""The rows of a body that is larger than memory: read piece by piece, one row at a time."""

from __future__ import annotations

import dataclasses
import io
import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.errors import ContentError, MissingValueError
from airflow_provider_asyncapi.core.fetch.formats import ROW_FORMATS, Format, ndjson_rows, tabular
from airflow_provider_asyncapi.core.fetch.json_guard import guard_json
from airflow_provider_asyncapi.core.fetch.surrogates import refuse_half_characters
from airflow_provider_asyncapi.core.http import documents
from airflow_provider_asyncapi.core.http.compression import GZIP_MAGIC, Inflater
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.selectors.jsonpath import ItemPath
from airflow_provider_asyncapi.core.selectors.selection import Selection
from airflow_provider_asyncapi.core.templates import Variables

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Gives a body from its beginning, in pieces; may be called again.
Read = Callable[[], Iterable[bytes]]

#: A line that is longer isn't a row of anything.
_LONGEST_LINE = 64 * 1024 * 1024
_PIECE = 64 * 1024
#: How much of a body is looked at to tell what it is.
_BEGINNING = 1024


def stream_rows(
    read: Read, head: Response, chosen: Format, path: Selection | None, variables: Variables
) -> Iterator[JsonValue] | None:
    """
    Read rows one by one: the lines of NDJSON and CSV, the items of an array in a JSON document.

    :param read: gives the body.
    :param head: the answer without its body.
    :param chosen: how the body is read; where that says nothing, the path and the content type do.
    :param path: what to keep: all rows, or something of each.
    :return: the rows; None where the body can only be read as a whole.
    :raises ContentError: at once or while reading, where the body isn't what was promised.
    :raises MissingValueError: where the path leads nowhere.
    """
    items = ItemPath(()) if path is None else _item_path(path, variables)
    if items is None:
        return None
    begins = b"".join(itertools.islice(_unpacked(read()), 1))[:_BEGINNING]
    whole = dataclasses.replace(head, body=begins)
    kind = chosen.name or tabular(head) or ("json" if path else chosen.kind_of(whole))
    content_type = head.declared_type
    if kind == "json":
        charset = documents.json_charset_of(begins, content_type)
        rows = _json_items(lambda: _utf8(read, charset), items.prefix, str(path))
    elif kind in ROW_FORMATS and not items.prefix:
        lines = _lines(_text(read, documents.charset_of(begins, content_type)))
        rows = ndjson_rows(lines) if kind == "ndjson" else chosen.table.rows(lines, kind)
    else:
        return None
    return None if rows is None else _selected(rows, items, str(path))


def _selected(rows: Iterator[JsonValue], items: ItemPath, shown: str) -> Iterator[JsonValue]:
    """
    Yield what the path finds in each row.

    :raises MissingValueError: if there are rows, and the path finds nothing in any of them.
    """
    has_rows = has_found = False
    for row in rows:
        found = items.select(row)
        has_rows, has_found = True, has_found or bool(found)
        yield from found
    if has_rows and not has_found and items.rest is not None and not items.is_filter:
        raise MissingValueError(f"result_path: {shown} found nothing")


def _item_path(path: Selection, variables: Variables) -> ItemPath | None:
    return path.selectors[0].item_path(variables) if len(path.selectors) == 1 else None


def _json_items(
    read: Callable[[], io.BufferedIOBase], prefix: tuple[str, ...], shown: str
) -> Iterator[JsonValue] | None:
    """Give the items of the array that the prefix leads to; None where it leads to something else."""
    import ijson

    where = ".".join(prefix)
    try:
        found = next((event for name, event, _ in ijson.parse(read()) if name == where), None)
    except (ijson.JSONError, ArithmeticError) as error:
        raise _no_json(error) from None
    if found is None:
        raise MissingValueError(f"result_path: {shown} found nothing")
    if found == "null":
        return iter(())
    return _items(read(), f"{where}.item".removeprefix(".")) if found == "start_array" else None


def _items(body: io.BufferedIOBase, prefix: str) -> Iterator[JsonValue]:
    import ijson

    try:
        for item in ijson.items(body, prefix):
            yield _without_decimals(item)
    except (ijson.JSONError, ArithmeticError) as error:
        raise _no_json(error) from None


def _no_json(error: Exception) -> ContentError:
    return ContentError(f"expected JSON, but it is broken: {' '.join(str(error).split())[:200]}")


def _without_decimals(value: JsonValue) -> JsonValue:
    """Give numbers as the json module reads them: ijson's are decimals, for else it refuses large integers."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list):
        return [_without_decimals(each) for each in value]
    if isinstance(value, dict):
        return {name: _without_decimals(each) for name, each in value.items()}
    return value


class _Raw(io.RawIOBase):
    """Pieces of bytes as a file."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = piece
        taken = self._left[: len(view)]
        view[: len(taken)] = taken
        self._left = self._left[len(taken) :]
        return len(taken)


def _unpacked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Undo gzip where the body is a file of it, whatever its content type says."""
    pieces = iter(pieces)
    first = next(pieces, b"")
    if not first.startswith(GZIP_MAGIC):
        yield first
        yield from pieces
        return
    inflater = Inflater()
    try:
        for piece in itertools.chain([first], pieces):
            yield from inflater.feed(piece)
    except zlib.error as error:
        raise ContentError(f"the body begins as gzip, and is broken: {error}") from None
    if inflater.is_open:
        raise ContentError("the body begins as gzip, and ends too early")


def _file(read: Read) -> io.BufferedReader:
    return io.BufferedReader(_Raw(_unpacked(read())), _PIECE)


def _text(read: Read, charset: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(_file(read), charset, newline="")


def _utf8(read: Read, charset: str) -> io.BufferedReader:
    """Give a JSON text as ijson wants it: in UTF-8, without a byte order mark."""
    if charset in ("utf-8", "ascii"):
        pieces = _unpacked(read())
    else:
        text = _text(read, charset)
        pieces = (piece.encode() for piece in _decoding(lambda: text.read(_PIECE), charset))
    return io.BufferedReader(_Raw(guard_json(refuse_half_characters(pieces))), _PIECE)


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    for line in _decoding(lambda: text.readline(_LONGEST_LINE), text.encoding):
        if len(line) == _LONGEST_LINE:
            raise ContentError(f"a line of the body has {_LONGEST_LINE} characters or more")
        yield line


def _decoding(take: Callable[[], str], charset: str) -> Iterator[str]:
    """Take text until it ends."""
    while True:
        try:
            taken = take()
        except UnicodeError as error:
            raise ContentError(f"the body isn't valid {charset}: {error}") from None
        if not taken:
            return
        yield taken
