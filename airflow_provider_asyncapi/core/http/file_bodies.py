"""
Bodies of requests that contain files: a file is read while the request is sent, so it may be larger than the memory.

This module knows no file system. A :class:`SourceFile` holds the functions that read its file, and only a driver calls
them.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol

from airflow_provider_asyncapi.core.errors import ConfigurationError, FileChangedError
from airflow_provider_asyncapi.core.http.redaction import redact_url

#: Bytes of a file that are read at a time.
CHUNK = 256 * 1024


class OpenedFile(Protocol):
    """A file that is being read; its methods raise :class:`~.errors.FileUnavailableError` if they can't."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, up to a number of them; no bytes at the end of the file."""

    def seek(self, position: int, /) -> object:
        """Continue at a position, in bytes from the beginning."""

    def find_version(self) -> tuple[int, str]:
        """Return the current size and version of the file."""

    def close(self) -> None:
        """Close the file."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """
    A file to send.

    :param path: its path or URL.
    :param size: its size in bytes.
    :param version: a text that changes with the file, such as an ETag or the time of the change.
    :param open: opens the file; called once for each time that it is sent.
    """

    path: str
    size: int
    version: str
    open: Callable[[], OpenedFile] = field(repr=False, compare=False)

    def __str__(self) -> str:
        return repr(redact_url(self.path))

    def read_chunks(self, size: int, start: int = 0, stop: int | None = None) -> Generator[bytes, None, None]:
        """
        Yield the content, or a part of it, in chunks.

        The last chunk is yielded after the file was found to be unchanged. So a body that contains a file which changes
        while it is sent never arrives completely, and the server can't take it for the body of the request.

        :param size: maximum size of a chunk.
        :param start: the first byte.
        :param stop: the byte before which the part ends; None for the end of the file.
        :raises FileChangedError: if the file has changed since its size was determined.
        :raises FileUnavailableError: if it can't be read.
        """
        with closing(self.open()) as opened:
            self._check_unchanged(opened)
            if start:
                opened.seek(start)
            left = (self.size if stop is None else stop) - start
            while left:
                chunk = opened.read(min(size, left))
                if not chunk:
                    raise FileChangedError(f"the file {self} became shorter while it was sent; it isn't sent")
                left -= len(chunk)
                if not left:
                    self._check_unchanged(opened)
                yield chunk

    def _check_unchanged(self, opened: OpenedFile) -> None:
        size, version = opened.find_version()
        if (size, version) != (self.size, self.version):
            change = "" if size == self.size else f" from {self.size} to {size} bytes"
            raise FileChangedError(
                f"the file {self} has changed{change} since the request was prepared; it isn't sent. Write a file under"
                " another name, and rename it when it is complete"
            )


@dataclass(frozen=True, slots=True)
class FileBody:
    """
    A body that contains files, or the piece of one that a request of a resumable upload sends.

    :param parts: the bytes and the files that the body consists of, in order.
    :param digests: the digests of what is sent, by algorithm, as far as they were computed.
    :param start: the first byte that is sent.
    :param stop: the byte before which the piece ends; None for the end of the body.
    """

    parts: tuple[bytes | SourceFile, ...]
    digests: Mapping[str, bytes] = field(default_factory=dict, compare=False)
    start: int = 0
    stop: int | None = None

    @property
    def size(self) -> int:
        """The number of bytes that are sent."""
        whole = sum(map(_size_of_part, self.parts))
        return (whole if self.stop is None else self.stop) - self.start

    @property
    def identity(self) -> bytes:
        """Bytes that differ if the body has changed: for each file, its path, size and version."""
        shown = (
            part if isinstance(part, bytes) else repr((part.path, part.size, part.version)).encode(errors="replace")
            for part in self.parts
        )
        return b"\0".join(shown)

    def read_chunks(self, size: int = CHUNK) -> Generator[bytes, None, None]:
        """
        Yield what is sent in chunks, which aren't empty.

        :param size: maximum size of a chunk.
        :raises FileChangedError: if a file has changed since its size was determined.
        :raises FileUnavailableError: if a file can't be read.
        """
        begin, last = self.start, self.start + self.size
        for part in self.parts:
            # Positions in this part.
            start, stop = max(0, begin), min(_size_of_part(part), last)
            begin, last = begin - _size_of_part(part), last - _size_of_part(part)
            if isinstance(part, bytes):
                yield from (part[at : min(at + size, stop)] for at in range(start, stop, size))
            elif start <= stop:
                # An empty file is opened, too, to find out whether it is still empty.
                yield from part.read_chunks(size, start, stop)

    def with_digests(self, algorithms: Iterable[str]) -> FileBody:
        """
        Read the files, and return the body with its digests.

        :param algorithms: the names of the algorithms, as :mod:`hashlib` has them.
        """
        hashes = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
        for chunk in self.read_chunks():
            for each in hashes.values():
                each.update(chunk)
        return dataclasses.replace(self, digests={name: each.digest() for name, each in hashes.items()})


def _size_of_part(part: bytes | SourceFile) -> int:
    return len(part) if isinstance(part, bytes) else part.size


#: What a request may have as its body.
RequestBody = bytes | FileBody | None


def size_of(body: RequestBody) -> int:
    """Return the size of a body in bytes."""
    return body.size if isinstance(body, FileBody) else len(body or b"")


def _start_of(body: RequestBody) -> int:
    return body.start if isinstance(body, FileBody) else 0


def identify(body: RequestBody) -> bytes:
    """Return bytes that are the same for equal bodies: the body itself, unless it contains files."""
    return body.identity if isinstance(body, FileBody) else body or b""


def find_literal_bytes(body: RequestBody) -> bytes:
    """Return the bytes of a body that come from the parameters of the task, and not from files."""
    if isinstance(body, FileBody):
        return b"\n".join(part for part in body.parts if isinstance(part, bytes))
    return body or b""


def describe_as_text(body: RequestBody) -> str:
    """Return a body as text, with the name and the size of each file in place of its content."""
    parts = body.parts if isinstance(body, FileBody) else (body or b"",)
    return "".join(
        part.decode("utf-8", "replace") if isinstance(part, bytes) else f"<{part}, {part.size} bytes>" for part in parts
    )


def digest(body: RequestBody, algorithm: str) -> bytes:
    """
    Return a digest of a body.

    :raises ConfigurationError: if the body contains files, and their content wasn't read for this digest.
    """
    if not isinstance(body, FileBody):
        return hashlib.new(algorithm, body or b"", usedforsecurity=False).digest()
    if algorithm not in body.digests:
        raise ConfigurationError(f"the {algorithm} digest of a body that contains files isn't known here")
    return body.digests[algorithm]


def _encode_base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


#: The variables of a request's own body: for each, the algorithm and the encoding of the digest.
_DIGEST_VARIABLES: Mapping[str, tuple[str, Callable[[bytes], str]]] = {
    "body_md5": ("md5", _encode_base64),
    "body_md5_hex": ("md5", bytes.hex),
    "body_sha256": ("sha256", bytes.hex),
    "body_sha256_base64": ("sha256", _encode_base64),
}
#: The variables of the bytes that a request sends: their number, and the positions of the first and the last of them in
#: the file.
_POSITION_VARIABLES: Mapping[str, Callable[[RequestBody], int]] = {
    "body_size": size_of,
    "body_start": _start_of,
    "body_last": lambda body: _start_of(body) + size_of(body) - 1,
}
#: The names of the variables that a request sets for its own headers and query parameters.
BODY_VARIABLES = frozenset({*_POSITION_VARIABLES, *_DIGEST_VARIABLES})


def find_algorithms(names: Iterable[str]) -> frozenset[str]:
    """Return the algorithms of the digests that variables need; other variables need none."""
    return frozenset(_DIGEST_VARIABLES[name][0] for name in names if name in _DIGEST_VARIABLES)


def describe_body(body: RequestBody, names: Iterable[str]) -> dict[str, str | int]:
    """
    Return the values of the variables of :data:`BODY_VARIABLES` that are named.

    :raises ConfigurationError: if a digest of a body that contains files isn't known.
    """
    values: dict[str, str | int] = {}
    for name in BODY_VARIABLES.intersection(names):
        if name in _POSITION_VARIABLES:
            values[name] = _POSITION_VARIABLES[name](body)
        else:
            algorithm, encode = _DIGEST_VARIABLES[name]
            values[name] = encode(digest(body, algorithm))
    return values
