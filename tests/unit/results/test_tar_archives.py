"""Tar archives are unpacked, with the same limits as zip archives."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import tarfile
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.errors import ArchiveError, ResultTooLargeError
from airflow_provider_asyncapi.results.tar_archives import TAR
from airflow_provider_asyncapi.results.zip_archives import ZIP
from tests.unit.results.archives import archive
from tests.unit.results.transfers import MIB


def tarred(*members, packed=True):
    """Make a tar archive of (name or info, content) pairs."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz" if packed else "w:") as opened:
        for name, content in members:
            entry = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            entry.size = len(content)
            opened.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def tar_info(name, kind, target=""):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


@pytest.mark.parametrize("packed", [True, False])
def test_a_tar_archive_is_unpacked(unpacked, packed):
    large = random.Random(1).randbytes(3 * MIB)
    folder = tar_info("sub", tarfile.DIRTYPE)
    members = unpacked(tarred(("a.csv", b"1,2"), (folder, b""), ("sub/b", large), ("c" * 200, b""), packed=packed))
    assert [(path, stored.path.read_bytes()) for path, stored in members] == [
        (("a.csv",), b"1,2"),
        (("sub", "b"), large),
        (("c" * 200,), b""),
    ]
    assert members[0][1].sha256 == hashlib.sha256(b"1,2").hexdigest()


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (tar_info("x", tarfile.SYMTYPE, "/etc/passwd"), "member 'x' is a link, a device or a sparse file"),
        (tar_info("x", tarfile.LNKTYPE, "a"), "is a link, a device"),
        (tar_info("x", tarfile.CHRTYPE), "is a link, a device"),
        (tar_info("x", tarfile.BLKTYPE), "is a link, a device"),
        (tar_info("x", tarfile.FIFOTYPE), "is a link, a device"),
        ("../x", r"member '\.\./x' would leave the destination"),
        ("/x", "would leave"),
        ("C:\\x", "would leave"),
        ("report\u202evsc.exe", "member 'report\ufffdvsc.exe' can't be the name of a file"),
        ("a\x1b/b", "member 'a\ufffd/b' can't be the name of a file"),
        ("A", "members 'a' and 'A' would be one file"),
        ("a/b", "member 'a' would be a file and the folder of 'a/b'"),
    ],
)
def test_a_tar_member_is_refused(unpacked, member, message):
    with pytest.raises(ArchiveError, match=message):
        unpacked(tarred(("a", b"1"), (member, b"")))


def test_a_tar_archive_has_limits(unpacked):
    bomb = tarred(("bomb", b"\0" * 20 * MIB))
    with pytest.raises(ResultTooLargeError, match=r"max_ratio.*member 'bomb'"):
        unpacked(bomb, max_ratio=100)
    with pytest.raises(ResultTooLargeError, match="max_bytes"):
        unpacked(tarred(("a", b"123")), max_bytes=2)
    with pytest.raises(ResultTooLargeError, match="max_members: the archive holds 3 files or more, and 2 are allowed"):
        unpacked(tarred(("a", b""), ("b", b""), ("c", b"")), max_members=2)


def test_folders_of_a_tar_archive_are_counted_as_those_of_a_zip_archive(unpacked):
    folders = [(tar_info(f"f{number}", tarfile.DIRTYPE), b"") for number in range(1100)]
    with pytest.raises(ResultTooLargeError, match=r"max_members: the archive holds \d+ files or more, and 100 are"):
        unpacked(tarred(*folders))
    assert unpacked(tarred(*folders[:900])) == []


def test_headers_that_fill_the_memory_are_refused(unpacked):
    entry = tarfile.TarInfo("x")
    entry.pax_headers = {"comment": "x" * 8 * MIB}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as opened:
        opened.addfile(entry)
    with pytest.raises(ArchiveError, match="headers take more than 1048576 bytes"):
        unpacked(buffer.getvalue())


@pytest.mark.parametrize("kept", [20, 200, -1, -300])
def test_a_truncated_tar_archive_is_broken(unpacked, kept):
    with pytest.raises(ArchiveError, match=r"is broken: .*; nothing was kept"):
        unpacked(tarred(("a.csv", random.Random(1).randbytes(1000)))[:kept])


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_no_archive_leads_to_another_error_or_another_place(unpacked, data):
    names = st.text(alphabet="aA./\\:\u00df ", min_size=1, max_size=6)
    members = data.draw(st.lists(st.tuples(names, st.binary(max_size=50)), max_size=4))
    kinds: list[Any] = [archive, tarred]
    kind = data.draw(st.sampled_from(kinds))
    content = bytearray(kind(*members))
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=3)):
        content[at] = byte
    try:
        found = unpacked(bytes(content))
    except (ArchiveError, ResultTooLargeError):
        return
    paths = ["/".join(path).casefold() for path, _ in found]
    assert len(set(paths)) == len(paths)
    assert all(segment not in ("", ".", "..") for path, _ in found for segment in path)


@pytest.mark.parametrize(
    ("content", "is_zip", "is_tar"),
    [
        (archive(("a", b"1")), True, False),
        (tarred(("a", b"1")), False, True),
        (tarred(("a", b"1"), packed=False), False, True),
        (gzip.compress(b"abc"), False, False),
        (b"<html>", False, False),
        (b"", False, False),
    ],
)
def test_archives_are_told_apart(tmp_path, content, is_zip, is_tar):
    path = tmp_path / "x"
    path.write_bytes(content)
    assert (ZIP.accepts(path), TAR.accepts(path)) == (is_zip, is_tar)
