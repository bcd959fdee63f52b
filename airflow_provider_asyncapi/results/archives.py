"""Unpacking: an archive can do nothing to its destination but add files."""

from __future__ import annotations

import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from airflow_provider_asyncapi.core.errors import ArchiveError, ResultTooLargeError
from airflow_provider_asyncapi.core.http.filenames import format_member_name
from airflow_provider_asyncapi.results.destination import ByteBudget, CompleteFile, PartialFile

_CHUNK = 1024 * 1024
#: The ratio of a small archive is meaningless: a smaller archive counts as one of this number of bytes.
MIN_PACKED_SIZE = 1024
#: What zipfile, tarfile and the modules that they unpack with raise on bytes that are no archive.
BROKEN_ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
    OverflowError,
)


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """
    The limits of an archive.

    :param max_bytes: bytes of all members together.
    :param max_members: the number of files.
    :param max_ratio: bytes of the members for each byte of the archive.
    """

    max_bytes: float
    max_members: int
    max_ratio: float

    def budget_for(self, packed: int) -> ByteBudget:
        """Return the budget for the members of an archive of this size."""
        return ByteBudget(min(self.max_bytes, max(packed, MIN_PACKED_SIZE) * self.max_ratio))


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """
    One file of an archive, checked.

    :param shown: its name for messages.
    :param path: its place below the destination.
    :param size: bytes, as the archive states them.
    :param open: opens it.
    """

    shown: str
    path: tuple[str, ...]
    size: int
    open: Callable[[], IO[bytes]]


@dataclass(frozen=True, slots=True)
class ArchiveReader:
    """
    Reads one kind of archive.

    :param accepts: returns whether a file is an archive of this kind.
    :param members: yields the members of an archive, given its path, the largest number of members, and the password.
        Each is checked before it is yielded.
    """

    accepts: Callable[[Path], bool]
    members: Callable[[Path, int, bytes | None], Iterator[ArchiveMember]]


UnpackedFiles = list[tuple[tuple[str, ...], CompleteFile]]


def unpack(
    archive: CompleteFile,
    into: Path,
    limits: ArchiveLimits,
    reader: ArchiveReader,
    password: bytes | None = None,
) -> UnpackedFiles:
    """
    Unpack an archive into a folder.

    :param into: the folder; files get names of our own there.
    :param limits: the limits of the content of the archive.
    :param reader: the reader of the archive.
    :param password: the password of encrypted members, if there is one.
    :return: the path of each member below the destination, and its file.
    :raises ArchiveError: naming the member that is refused or broken.
    :raises ResultTooLargeError: if a limit is exceeded.
    """
    budget = limits.budget_for(archive.size)
    unpacked: UnpackedFiles = []
    for member in reader.members(archive.path, limits.max_members, password):
        file = PartialFile(into / f"member-{len(unpacked)}.part", budget)
        try:
            _extract(member, file)
        finally:
            file.close()
        unpacked.append((member.path, file.finish()))
    return unpacked


def _extract(member: ArchiveMember, file: PartialFile) -> None:
    with explain_broken(member.shown):
        source = member.open()
    with source:
        while True:
            with explain_broken(member.shown):
                chunk = source.read(_CHUNK)
            if not chunk:
                break
            try:
                file.write(chunk)
            except ResultTooLargeError as error:
                raise ResultTooLargeError(f"{error} (at {member.shown})") from None
    if file.size != member.size:
        raise ArchiveError(
            f"{member.shown} is broken: it has {file.size} bytes, but states {member.size}; nothing was kept"
        )


@contextmanager
def explain_broken(what: str) -> Iterator[None]:
    """
    Raise an error about an archive in place of an error of the libraries.

    :param what: what is broken, for the message.
    """
    try:
        yield
    except BROKEN_ARCHIVE_ERRORS as error:
        raise ArchiveError(f"{what} is broken: {error}; nothing was kept") from error


def describe_member(name: str) -> str:
    """Return a member's name for messages."""
    return f"the archive's member {format_member_name(name)}"


def check_count(count: int, max_members: int) -> None:
    """Check the number of files in an archive."""
    if count > max_members:
        raise ResultTooLargeError(
            f"max_members: the archive holds {count} files or more, and {max_members} are allowed; nothing was kept"
        )


def check_entries(files: int, folders: int, max_members: int) -> None:
    """Count an archive's entries; folders count too, at some point: each takes memory, or time, like a file."""
    check_count(max(files, (files + folders) // 10), max_members)
