"""Read tar archives, packed by gzip or not."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, BinaryIO

from airflow_provider_asyncapi.core.errors import ArchiveError
from airflow_provider_asyncapi.core.http.compression import GZIP_MAGIC
from airflow_provider_asyncapi.core.http.filenames import MemberNames
from airflow_provider_asyncapi.results.archives import (
    BROKEN_ARCHIVE_ERRORS,
    ArchiveMember,
    ArchiveReader,
    check_count,
    check_entries,
    describe_member,
    explain_broken,
)

#: The maximum size of the data between two members of a tar archive (headers, long names, attributes).
_MAX_HEADERS, _TAR_PIECE = 1024 * 1024, 256 * 1024


def is_tar(path: Path) -> bool:
    """Return whether a file is a tar archive, packed by gzip or not; an empty one is, too."""
    try:
        with _open_unzipped(path) as file, tarfile.open(fileobj=_HeaderLimitedReader(file), mode="r|"):
            return True
    except (*BROKEN_ARCHIVE_ERRORS, ArchiveError):
        return False


class _HeaderLimitedReader(io.RawIOBase):
    """
    The bytes of a tar archive, of which headers get a limited number: tarfile reads headers into memory.

    :param source: the archive.
    """

    def __init__(self, source: BinaryIO | gzip.GzipFile) -> None:
        self._source = source
        self._left: int | None = _MAX_HEADERS

    def begin_headers(self) -> None:
        """Limit the bytes that are read from here on: they are headers."""
        self._left = _MAX_HEADERS

    def begin_content(self) -> None:
        """Lift the limit: a member's content comes next, which isn't read into memory."""
        self._left = None

    def read(self, size: int = -1, /) -> bytes:
        if self._left is not None:
            self._left -= size
            if self._left < 0:
                raise ArchiveError(f"the archive's headers take more than {_MAX_HEADERS} bytes; nothing was kept")
        return self._source.read(size)


def _open_unzipped(path: Path) -> BinaryIO | gzip.GzipFile:
    with path.open("rb") as file:
        is_gzip = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    return gzip.open(path) if is_gzip else path.open("rb")


def _read_tar_members(path: Path, max_members: int, _password: bytes | None) -> Iterator[ArchiveMember]:
    """Yield the members in their order, each checked before it is unpacked: a tar archive has no directory."""
    names, count, folders = MemberNames(max_members), 0, 0
    with _open_unzipped(path) as source:
        reader = _HeaderLimitedReader(source)
        with explain_broken("the archive"):
            opened = tarfile.open(fileobj=reader, mode="r|", bufsize=_TAR_PIECE)  # noqa: SIM115 - closed below
        with opened:
            while True:
                reader.begin_headers()
                with explain_broken("the archive"):
                    member = opened.next()
                # tarfile would keep all members in memory, but none is used again.
                opened.members = []  # type: ignore[attr-defined]  # missing in typeshed
                if member is None:
                    return
                if member.isdir():
                    folders += 1
                    check_entries(count, folders, max_members)
                    continue
                if not member.isreg() or member.issparse():
                    raise ArchiveError(
                        f"{describe_member(member.name)} is a link, a device or a sparse file, which isn't unpacked"
                    )
                count += 1
                check_count(count, max_members)
                reader.begin_content()
                yield ArchiveMember(
                    describe_member(member.name), names.add(member.name), member.size, _make_tar_opener(opened, member)
                )


def _make_tar_opener(opened: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], IO[bytes]]:
    def open_member() -> IO[bytes]:
        file = opened.extractfile(member)
        if file is None:
            raise tarfile.ReadError("it has no content")
        return file

    return open_member


TAR = ArchiveReader(is_tar, _read_tar_members)
