"""Unpacking: what an archive may do to its destination is nothing but put files into it."""

from __future__ import annotations

import hashlib
import stat
import zipfile
import zlib
from pathlib import Path

from airflow_provider_asyncapi.core.errors import ArchiveError, ResultTooLargeError
from airflow_provider_asyncapi.core.filenames import check_member, collision_key
from airflow_provider_asyncapi.hooks.storage import Stored

_CHUNK = 1024 * 1024
_ENCRYPTED = 0x1


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
    limit = min(max_bytes, int(max(archive.size, 1024) * max_ratio))
    try:
        with zipfile.ZipFile(archive.path) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            if len(members) > max_members:
                raise ResultTooLargeError(f"max_members: the archive holds {len(members)} files, {max_members} are allowed")
            paths = _checked_paths(members)
            written = 0
            unpacked = []
            for number, member in enumerate(members):
                stored = _extract(opened, member, into / f"member-{number}.part", limit - written)
                written += stored.size
                unpacked.append((paths[number], stored))
            return unpacked
    except zipfile.BadZipFile as error:
        raise ArchiveError(f"the archive is broken: {error}; nothing was kept") from error


def _checked_paths(members: list[zipfile.ZipInfo]) -> list[tuple[str, ...]]:
    """Check all names before anything is written."""
    seen: dict[str, str] = {}
    paths = []
    for member in members:
        name = member.orig_filename
        if stat.S_ISLNK(member.external_attr >> 16) or not _is_file(member):
            raise ArchiveError(f"the archive's member {name!r} is a link or a device, which isn't unpacked")
        if member.flag_bits & _ENCRYPTED:
            raise ArchiveError(f"the archive's member {name!r} is encrypted; fetch it whole with unpack=False")
        path = check_member(name)
        key = collision_key(path)
        if key in seen:
            raise ArchiveError(f"the archive's members {seen[key]!r} and {name!r} would be one file")
        seen[key] = name
        paths.append(path)
    for key, name in seen.items():
        parents = key.split("/")[:-1]
        if clash := next((seen[p] for n in range(len(parents)) if (p := "/".join(parents[: n + 1])) in seen), None):
            raise ArchiveError(f"the archive's member {clash!r} would be a file and the folder of {name!r}")
    return paths


def _is_file(member: zipfile.ZipInfo) -> bool:
    kind = stat.S_IFMT(member.external_attr >> 16)
    return kind in (0, stat.S_IFREG)


def _extract(opened: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, limit: int) -> Stored:
    digest, size = hashlib.sha256(), 0
    try:
        with opened.open(member) as source, path.open("wb") as file:
            while chunk := source.read(_CHUNK):
                size += len(chunk)
                if size > limit:
                    raise ResultTooLargeError(
                        f"max_bytes, max_ratio: the archive unpacks to more than allowed, at member {member.filename!r};"
                        " nothing was kept"
                    )
                digest.update(chunk)
                file.write(chunk)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ArchiveError(f"the archive's member {member.filename!r} is broken: {error}; nothing was kept") from error
    return Stored(path, size, digest.hexdigest())
