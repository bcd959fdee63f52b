"""Decompress gzip and deflate in pieces of limited size, whatever the compression ratio."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from airflow_provider_asyncapi.core.errors import UnsafeContentError

#: Maximum size of a decompressed piece, in bytes.
PIECE = 256 * 1024
#: Maximum number of bytes in a row that decompress to nothing. A server can send empty members or blocks without end.
MAX_EMPTY_INPUT = 1024 * 1024
#: Bytes that are passed to zlib at a time: at the end of each member it copies the rest of them.
_SLICE = 4096
GZIP_MAGIC = b"\x1f\x8b"
#: Content codings (RFC 9110, section 8.4.1) that :class:`Inflater` undoes.
CODINGS = frozenset({"gzip", "x-gzip", "deflate"})
#: The other registered ones (https://www.iana.org/assignments/http-parameters), and some that stores use without.
_OTHER_CODINGS = frozenset(
    {"aes128gcm", "br", "compress", "x-compress", "dcb", "dcz", "exi", "pack200-gzip", "zstd"}
    | {"bzip2", "x-bzip2", "lz4", "lzma", "sdch", "snappy", "xz"}
)


class Inflater:
    """
    Decompresses gzip (RFC 1952, of several members too) and deflate (RFC 1950, and 1951 as some servers understand it).

    :param is_gzip: whether the data is gzip; otherwise it is deflate.
    """

    def __init__(self, *, is_gzip: bool = True) -> None:
        self._is_gzip = is_gzip
        self._inflater = zlib.decompressobj()
        self._empty_input = 0
        self.is_open = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """
        Yield the decompressed data of the next bytes, in pieces that are never large and never empty.

        :raises zlib.error: if the data is broken, or too much of it unpacks to nothing.
        """
        for start in range(0, len(data), _SLICE):
            part = data[start : start + _SLICE]
            self._empty_input += len(part)
            for piece in filter(None, self._unpack(part)):
                self._empty_input = 0
                yield piece
            if self._empty_input > MAX_EMPTY_INPUT:
                raise zlib.error(f"more than {MAX_EMPTY_INPUT} bytes unpack to nothing")

    def _unpack(self, data: bytes) -> Iterator[bytes]:
        while data:
            if not self.is_open:
                # Zeros after the end are padding.
                data = data.lstrip(b"\0") if self._inflater.eof else data
                if not data:
                    return
                self._start_stream(data)
            yield (piece := self._inflater.decompress(data, PIECE))
            # A full piece may mean that there is more, even when all input is taken.
            while not self._inflater.eof and (len(piece) == PIECE or self._inflater.unconsumed_tail):
                yield (piece := self._inflater.decompress(self._inflater.unconsumed_tail, PIECE))
            self.is_open = not self._inflater.eof
            data = self._inflater.unused_data

    def _start_stream(self, data: bytes) -> None:
        # The head of a zlib stream names the method 8 in its lower bits; without it the stream is a bare one.
        bits = 31 if self._is_gzip else 15 if data[0] & 0x0F == zlib.DEFLATED else -15
        self._inflater = zlib.decompressobj(bits)
        self.is_open = True


def parse_content_codings(header: str) -> str:
    """
    Return the codings that a ``Content-Encoding`` names, lower case and joined by a comma; empty if there are none.

    A value that isn't a content coding doesn't affect how the body is packed: servers name a charset (``UTF-8``), a
    MIME encoding (``binary``), ``none``, or with ``aws-chunked`` how an object of Amazon S3 was uploaded.
    """
    named = (each.strip().lower() for each in header.split(","))
    return ", ".join(each for each in named if each in CODINGS or each in _OTHER_CODINGS)


def make_inflater(coding: str) -> Inflater | None:
    """Return the decompressor of a content coding; None if the body isn't compressed."""
    return Inflater(is_gzip=coding != "deflate") if coding in CODINGS else None


def gunzip(body: bytes, limit: int) -> bytes:
    """
    Return the decompressed body if it is gzip; any other body unchanged.

    :param limit: maximum decompressed size, in bytes.
    :raises UnsafeContentError: if the body is broken, or larger.
    """
    if not body.startswith(GZIP_MAGIC):
        return body
    inflater, unpacked = Inflater(), bytearray()
    try:
        for piece in inflater.feed(body):
            unpacked += piece
            if len(unpacked) > limit:
                raise UnsafeContentError(f"the body is gzip that unpacks to more than {limit} bytes, which isn't read")
    except zlib.error as error:
        raise UnsafeContentError(f"the body begins as gzip, and is broken: {error}") from None
    if inflater.is_open:
        raise UnsafeContentError("the body begins as gzip, and ends too early")
    return bytes(unpacked)
