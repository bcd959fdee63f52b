"""Read zip archives."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from airflow_provider_asyncapi.core.errors import ArchiveError
from airflow_provider_asyncapi.core.http.filenames import MemberNames
from airflow_provider_asyncapi.results.archives import (
    ArchiveMember,
    ArchiveReader,
    check_count,
    check_entries,
    describe_member,
    explain_broken,
)

_ENCRYPTED = 0x1
_AES = 99
#: End of the central directory, its 64-bit form and that one's locator, and an entry (APPNOTE.TXT, section 4.3).
_END, _END64_LOCATOR = struct.Struct("<4s4H2LH"), struct.Struct("<4sLQL")
_END64, _ENTRY = struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4s24x3H12x")
_MAX_COMMENT = 65535


def is_zip(path: Path) -> bool:
    """Return whether a file is a zip archive."""
    return zipfile.is_zipfile(path)


def _read_zip_members(path: Path, max_members: int, password: bytes | None) -> Iterator[ArchiveMember]:
    """Check all members before the first is unpacked."""
    with explain_broken("the archive"):
        _check_directory(path, max_members)
        opened = zipfile.ZipFile(path)
    with opened:
        members = [member for member in opened.infolist() if not member.is_dir()]
        check_count(len(members), max_members)
        names = MemberNames(max_members)
        checked = []
        for member in members:
            # The name in the archive; zipfile's own attribute is cut at a NUL.
            name = member.orig_filename
            if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
                raise ArchiveError(f"{describe_member(name)} is a link or a device, which isn't unpacked")
            _check_encryption(member, password)
            _check_compression(member)
            checked.append(
                ArchiveMember(
                    describe_member(name),
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
    shown = describe_member(member.orig_filename)
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
    # zipfile decompresses only these methods in pieces: a kilobyte of bzip2 may become gigabytes in memory at once.
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        names: dict[int, str] = zipfile.compressor_names  # type: ignore[attr-defined]  # missing in typeshed
        name = names.get(member.compress_type, f"method {member.compress_type}")
        shown = describe_member(member.orig_filename)
        raise ArchiveError(
            f"{shown} is packed by {name}, which isn't undone here; fetch the archive whole with unpack=False"
        )


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
            check_entries(count - folders, folders, max_members)


ZIP = ArchiveReader(is_zip, _read_zip_members)
