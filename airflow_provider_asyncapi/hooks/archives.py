"""Unpacking: what an archive may do to its destination is nothing but put files into it."""

from __future__ import annotations

import hashlib
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_asyncapi.core.errors import ArchiveError, ResultTooLargeError
from airflow_provider_asyncapi.core.filenames import check_member, collision_key, shown_member
from airflow_provider_asyncapi.hooks.storage import Stored

_CHUNK = 1024 * 1024
_ENCRYPTED = 0x1
#: The ratio of a small archive says nothing: it is taken for one of so many bytes.
_SMALL = 1024
#: What zipfile and the modules that it unpacks with raise on bytes that are no archive.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
    OverflowError,
)


def unpack(
    archive: Stored, into: Path, *, max_bytes: int, max_members: int, max_ratio: float
) -> list[tuple[tuple[str, ...], Stored]]:
    """
    Unpack a zip archive into a folder.

    :param into: the folder; files get names of our own there.
    :param max_bytes: of all members together.
    :param max_members: how many there may be.
    :param max_ratio: how many times larger than the archive they may be.
    :return: the path of each member below the destination, and its file.
    :raises ArchiveError: naming the member that is refused or broken.
    :raises ResultTooLargeError: where there is too much.
    """
    room = min(max_bytes, max(archive.size, _SMALL) * max_ratio)
    unpacked = []
    with _opened(archive.path) as opened:
        members = [member for member in opened.infolist() if not member.is_dir()]
        if len(members) > max_members:
            raise ResultTooLargeError(
                f"max_members: the archive holds {len(members)} files, and {max_members} are allowed; nothing was kept"
            )
        for number, (path, member) in enumerate(zip(_checked_paths(members), members, strict=True)):
            stored = _extract(opened, member, into / f"member-{number}.part", room)
            room -= stored.size
            unpacked.append((path, stored))
    return unpacked


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    with _reading("the archive"):
        opened = zipfile.ZipFile(path)
    with opened:
        yield opened


@contextmanager
def _reading(what: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise ArchiveError(f"{what} is broken: {error}; nothing was kept") from error


def _checked_paths(members: list[zipfile.ZipInfo]) -> list[tuple[str, ...]]:
    """Check all names before anything is written."""
    seen: dict[str, str] = {}
    paths = []
    for member in members:
        # As it stands in the archive: zipfile's own has been cut at a NUL.
        name = member.orig_filename
        shown = shown_member(name)
        if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
            raise ArchiveError(f"the archive's member {shown} is a link or a device, which isn't unpacked")
        if member.flag_bits & _ENCRYPTED:
            raise ArchiveError(f"the archive's member {shown} is encrypted; fetch it whole with unpack=False")
        path = check_member(name)
        key = collision_key(path)
        if key in seen:
            raise ArchiveError(f"the archive's members {shown_member(seen[key])} and {shown} would be one file")
        seen[key] = name
        paths.append(path)
    for key, name in seen.items():
        folder = key
        while folder := folder.rpartition("/")[0]:
            if folder in seen:
                file = shown_member(seen[folder])
                raise ArchiveError(
                    f"the archive's member {file} would be a file and the folder of {shown_member(name)}"
                )
    return paths


def _extract(opened: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, room: float) -> Stored:
    digest, size = hashlib.sha256(), 0
    what = f"the archive's member {shown_member(member.orig_filename)}"
    with _reading(what):
        source = opened.open(member)
    with source, path.open("wb") as file:
        while True:
            with _reading(what):
                chunk = source.read(_CHUNK)
            if not chunk:
                break
            size += len(chunk)
            if size > room:
                raise ResultTooLargeError(
                    f"max_bytes, max_ratio: the archive unpacks to more than allowed, at {what}; nothing was kept"
                )
            digest.update(chunk)
            file.write(chunk)
    if size != member.file_size:
        raise ArchiveError(f"{what} is broken: it has {size} bytes and says {member.file_size}; nothing was kept")
    return Stored(path, size, digest.hexdigest())
