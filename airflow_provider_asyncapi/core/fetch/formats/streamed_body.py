"""A body that is larger than memory, read piece by piece: as lines of text, or as a JSON text for a parser."""

from __future__ import annotations

import io
import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.errors import ContentError
from airflow_provider_asyncapi.core.fetch.json_guard import guard_json
from airflow_provider_asyncapi.core.fetch.surrogates import refuse_half_characters
from airflow_provider_asyncapi.core.http import documents
from airflow_provider_asyncapi.core.http.compression import GZIP_MAGIC, Inflater

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Returns a body from its beginning, in pieces; can be called again.
ReadPieces = Callable[[], Iterable[bytes]]

#: A line that is longer isn't a row of anything.
_MAX_LINE_LENGTH = 64 * 1024 * 1024
_PIECE = 64 * 1024
#: Bytes of a body that are enough to recognize its format and its charset.
_BEGINNING = 1024


class StreamedBody:
    """
    A body that can be read from its beginning more than once.

    :param read: returns the body in pieces.
    :param content_type: the declared content type, with its parameters.
    """

    def __init__(self, read: ReadPieces, content_type: str) -> None:
        self._read = read
        self._content_type = content_type
        #: The first bytes, unpacked if the body is a gzip file.
        self.beginning = b"".join(itertools.islice(_unpack(read()), 1))[:_BEGINNING]

    def read_lines(self) -> Iterator[str]:
        """
        Yield the lines of the text with their ends.

        :raises ContentError: if the text can't be decoded, or a line is too long.
        """
        text = self._open_text(documents.find_charset(self.beginning, self._content_type))
        for line in _decode_pieces(lambda: text.readline(_MAX_LINE_LENGTH), text.encoding):
            if len(line) == _MAX_LINE_LENGTH:
                raise ContentError(f"a line of the body has {_MAX_LINE_LENGTH} characters or more")
            yield line

    def open_json(self) -> io.BufferedReader:
        """Open a JSON text as ijson wants it: in UTF-8, without a byte order mark."""
        charset = documents.find_json_charset(self.beginning, self._content_type)
        if charset in ("utf-8", "ascii"):
            pieces = _unpack(self._read())
        else:
            text = self._open_text(charset)
            pieces = (piece.encode() for piece in _decode_pieces(lambda: text.read(_PIECE), charset))
        return io.BufferedReader(_PiecesFile(guard_json(refuse_half_characters(pieces))), _PIECE)

    def _open_text(self, charset: str) -> io.TextIOWrapper:
        file = io.BufferedReader(_PiecesFile(_unpack(self._read())), _PIECE)
        return io.TextIOWrapper(file, charset, newline="")


class _PiecesFile(io.RawIOBase):
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


def _unpack(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress a body that is a gzip file, independently of its content type."""
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


def _decode_pieces(take: Callable[[], str], charset: str) -> Iterator[str]:
    """Yield pieces of text until there are no more."""
    while True:
        try:
            taken = take()
        except UnicodeError as error:
            raise ContentError(f"the body isn't valid {charset}: {error}") from None
        if not taken:
            return
        yield taken
