"""Unpacking: an archive can do nothing to its destination but add files."""

from __future__ import annotations

import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from airflow_provider_asyncapi.core.errors import ArchiveError, ResultTooLargeError
from airflow_provider_asyncapi.core.http.compression import GZIP_MAGIC, Inflater
from airflow_provider_asyncapi.core.http.filenames import MemberNames, format_member_name
from airflow_provider_asyncapi.results.destination import ByteBudget, CompleteFile, PartialFile

_CHUNK = 1024 * 1024
_ENCRYPTED = 0x1
_AES = 99
#: The ratio of a small archive is meaningless: a smaller archive counts as one of this number of bytes.
_MIN_PACKED_SIZE = 1024
#: The maximum size of the data between two members of a tar archive (headers, long names, attributes).
_MAX_HEADERS, _TAR_PIECE = 1024 * 1024, 256 * 1024
#: What zipfile, tarfile and the modules that they unpack with raise on bytes that are no archive.
_BROKEN_ARCHIVE_ERRORS = (
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
        return ByteBudget(min(self.max_bytes, max(packed, _MIN_PACKED_SIZE) * self.max_ratio))


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
    password: bytes | None = None,
    reader: ArchiveReader | None = None,
) -> UnpackedFiles:
    """
    Unpack an archive into a folder.

    :param into: the folder; files get names of our own there.
    :param limits: the limits of the content of the archive.
    :param password: the password of encrypted members, if there is one.
    :param reader: the reader of the archive; None to choose one of a zip or a tar archive.
    :return: the path of each member below the destination, and its file.
    :raises ArchiveError: naming the member that is refused or broken.
    :raises ResultTooLargeError: if a limit is exceeded.
    """
    reader = reader or (ZIP if is_zip(archive.path) else TAR)
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


def is_zip(path: Path) -> bool:
    """Return whether a file is a zip archive."""
    return zipfile.is_zipfile(path)


def is_tar(path: Path) -> bool:
    """Return whether a file is a tar archive, packed by gzip or not; an empty one is, too."""
    try:
        with _open_unzipped(path) as file, tarfile.open(fileobj=_HeaderLimitedReader(file), mode="r|"):
            return True
    except (*_BROKEN_ARCHIVE_ERRORS, ArchiveError):
        return False


class GunzippingPartialFile(PartialFile):
    """
    A file that is decompressed while it is written, if it is a gzip file.

    :param path: its path.
    :param limits: the limits of what it unpacks to.
    """

    def __init__(self, path: Path, budget: ByteBudget, limits: ArchiveLimits) -> None:
        super().__init__(path, budget)
        self._limits = limits
        self._reset()

    def _reset(self) -> None:
        self._packed_size, self._beginning, self._is_uncompressed = 0, b"", False
        self._inflater: Inflater | None = None

    def expect(self, size: int | None) -> None:
        """Ignore the size: it is that of the packed file."""

    def restart(self) -> None:
        """Truncate the file: the transfer begins again."""
        super().restart()
        self._reset()

    def write(self, chunk: bytes) -> None:
        """
        Write the next packed bytes.

        :raises ArchiveError: if they are broken.
        :raises ResultTooLargeError: if they unpack to more than the limits.
        """
        if self._inflater is None and not self._is_uncompressed:
            self._beginning += chunk
            if len(self._beginning) < len(GZIP_MAGIC):
                return
            chunk, self._beginning = self._beginning, b""
            self._is_uncompressed = not chunk.startswith(GZIP_MAGIC)
            self._inflater = None if self._is_uncompressed else Inflater()
        if self._inflater is None:
            super().write(chunk)
            return
        self._packed_size += len(chunk)
        try:
            for piece in self._inflater.feed(chunk):
                super().write(piece)
                if self.size > max(self._packed_size, _MIN_PACKED_SIZE) * self._limits.max_ratio:
                    raise ResultTooLargeError("max_ratio: the gzip file unpacks to more than allowed; nothing was kept")
        except zlib.error as error:
            raise ArchiveError(f"the gzip file is broken: {error}; nothing was kept") from error

    def finish(self) -> CompleteFile:
        """
        Close the file, and return it as a complete one.

        :raises ArchiveError: if it ends too early.
        """
        if self._inflater is not None and self._inflater.is_open:
            raise ArchiveError("the gzip file is broken: it ends too early; nothing was kept")
        super().write(self._beginning)
        return super().finish()


def _extract(member: ArchiveMember, file: PartialFile) -> None:
    with _explain_broken(member.shown):
        source = member.open()
    with source:
        while True:
            with _explain_broken(member.shown):
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
def _explain_broken(what: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN_ARCHIVE_ERRORS as error:
        raise ArchiveError(f"{what} is broken: {error}; nothing was kept") from error


def _describe_member(name: str) -> str:
    return f"the archive's member {format_member_name(name)}"


def _read_zip_members(path: Path, max_members: int, password: bytes | None) -> Iterator[ArchiveMember]:
    """Check all members before the first is unpacked."""
    with _explain_broken("the archive"):
        _check_directory(path, max_members)
        opened = zipfile.ZipFile(path)
    with opened:
        members = [member for member in opened.infolist() if not member.is_dir()]
        _check_count(len(members), max_members)
        names = MemberNames(max_members)
        checked = []
        for member in members:
            # The name in the archive; zipfile's own attribute is cut at a NUL.
            name = member.orig_filename
            if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
                raise ArchiveError(f"{_describe_member(name)} is a link or a device, which isn't unpacked")
            _check_encryption(member, password)
            _check_compression(member)
            checked.append(
                ArchiveMember(
                    _describe_member(name),
                    names.add(name),
                    member.file_size,
                    _make_zip_opener(opened, member, password),
                )
            )
        yield from checked


def _make_zip_opener(
    opened: zipfile.ZipFile, member: zipfile.ZipInfo, password: bytes | None
) -> Callable[[], IO[bytes]]:
    return lambda: opened.open(member, pwd=password)


def _check_encryption(member: zipfile.ZipInfo, password: bytes | None) -> None:
    if not member.flag_bits & _ENCRYPTED:
        return
    shown = _describe_member(member.orig_filename)
    if member.compress_type == _AES:
        raise ArchiveError(
            f"{shown} is encrypted by AES, which isn't undone here; fetch the archive whole with unpack=False"
        )
    if password is None:
        raise ArchiveError(
            f"{shown} is encrypted; put archive_password into the connection's secrets, or fetch"
            " the archive whole with unpack=False"
        )


def _check_compression(member: zipfile.ZipInfo) -> None:
    # Of these alone zipfile undoes a piece at a time: a kilobyte of bzip2 may become gigabytes in memory at once.
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        names: dict[int, str] = zipfile.compressor_names  # type: ignore[attr-defined]  # missing in typeshed
        name = names.get(member.compress_type, f"method {member.compress_type}")
        shown = _describe_member(member.orig_filename)
        raise ArchiveError(
            f"{shown} is packed by {name}, which isn't undone here; fetch the archive whole with unpack=False"
        )


def _check_count(count: int, max_members: int) -> None:
    if count > max_members:
        raise ResultTooLargeError(
            f"max_members: the archive holds {count} files or more, and {max_members} are allowed; nothing was kept"
        )


def _check_entries(files: int, folders: int, max_members: int) -> None:
    """Count an archive's entries; folders count too, at some point: each takes memory, or time, like a file."""
    _check_count(max(files, (files + folders) // 10), max_members)


#: End of the central directory, its 64-bit form and that one's locator, and an entry (APPNOTE.TXT, section 4.3).
_END, _END64_LOCATOR = struct.Struct("<4s4H2LH"), struct.Struct("<4sLQL")
_END64, _ENTRY = struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4s24x3H12x")
_MAX_COMMENT = 65535


def _check_directory(path: Path, max_members: int) -> None:
    """
    Count the entries of a zip archive's directory without keeping them: zipfile reads all at once into memory.

    If the directory can't be read here, zipfile raises the error.
    """
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        tail_at = max(0, size - _MAX_COMMENT - _END.size)
        file.seek(tail_at)
        tail = file.read()
        end_at = tail.rfind(b"PK\5\6")
        if end_at < 0 or len(tail) - end_at < _END.size:
            return
        directory_size = _END.unpack_from(tail, end_at)[5]
        directory_end = tail_at + end_at
        if end_at >= _END64_LOCATOR.size:
            magic, *_ = _END64_LOCATOR.unpack_from(tail, end_at - _END64_LOCATOR.size)
            if magic == b"PK\6\7":
                directory_end -= _END64_LOCATOR.size + _END64.size
                file.seek(max(directory_end, 0))
                record = file.read(_END64.size)
                if len(record) == _END64.size and record.startswith(b"PK\6\6"):
                    directory_size = _END64.unpack(record)[8]
        file.seek(max(directory_end - directory_size, 0))
        count = folders = 0
        while file.tell() < directory_end:
            entry = file.read(_ENTRY.size)
            if len(entry) < _ENTRY.size or not entry.startswith(b"PK\1\2"):
                return
            _, name_size, *more = _ENTRY.unpack(entry)
            name = file.read(name_size)
            file.seek(sum(more), io.SEEK_CUR)
            count += 1
            folders += name.endswith(b"/")
            _check_entries(count - folders, folders, max_members)


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
        with _explain_broken("the archive"):
            opened = tarfile.open(fileobj=reader, mode="r|", bufsize=_TAR_PIECE)  # noqa: SIM115 - closed below
        with opened:
            while True:
                reader.begin_headers()
                with _explain_broken("the archive"):
                    member = opened.next()
                # tarfile would keep all members in memory, but none is used again.
                opened.members = []  # type: ignore[attr-defined]  # missing in typeshed
                if member is None:
                    return
                if member.isdir():
                    folders += 1
                    _check_entries(count, folders, max_members)
                    continue
                if not member.isreg() or member.issparse():
                    raise ArchiveError(
                        f"{_describe_member(member.name)} is a link, a device or a sparse file, which isn't unpacked"
                    )
                count += 1
                _check_count(count, max_members)
                reader.begin_content()
                yield ArchiveMember(
                    _describe_member(member.name), names.add(member.name), member.size, _make_tar_opener(opened, member)
                )


def _make_tar_opener(opened: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], IO[bytes]]:
    def open_member() -> IO[bytes]:
        file = opened.extractfile(member)
        if file is None:
            raise tarfile.ReadError("it has no content")
        return file

    return open_member


ZIP, TAR = ArchiveReader(is_zip, _read_zip_members), ArchiveReader(is_tar, _read_tar_members)
