from __future__ import annotations

import hashlib
import random
import stat
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from airflow_provider_asyncapi.core.errors import ArchiveError, ResultTooLargeError
from tests.unit.results.archives import ENCRYPTED, archive
from tests.unit.results.transfers import MIB


def info(name, mode=0, **more):
    given = zipfile.ZipInfo(name)
    given.external_attr = mode << 16
    for key, value in more.items():
        setattr(given, key, value)
    return given


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_unpacked_with_their_digests(unpacked, compression):
    members = unpacked(archive(("a.csv", b"1,2"), ("sub/b.csv", b""), compression=compression))
    assert [(path, stored.size, stored.path.read_bytes()) for path, stored in members] == [
        (("a.csv",), 3, b"1,2"),
        (("sub", "b.csv"), 0, b""),
    ]
    assert members[0][1].sha256 == hashlib.sha256(b"1,2").hexdigest()


def test_files_have_names_of_our_own_until_they_are_placed(unpacked, tmp_path):
    unpacked(archive(("a.csv", b"1"), ("b/c.csv", b"2")))
    assert sorted(path.name for path in (tmp_path / "into").iterdir()) == ["member-0.part", "member-1.part"]


def test_folders_are_left_out_and_an_archive_may_be_empty(unpacked):
    assert unpacked(archive(("empty/", b""), ("../", b""))) == []
    assert unpacked(archive()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/etc/passwd", r"member '/etc/passwd' would leave the destination"),
        ("../x", "would leave"),
        ("a/../../x", "would leave"),
        ("C:\\x", "would leave"),
        ("..\\x", "would leave"),
        ("\\\\host\\share", "would leave"),
        ("a\rb", "can't be the name of a file"),
        ("report\u202evsc.exe", "member 'report\ufffdvsc.exe' can't be the name of a file"),
        ("a\u2067/b", "member 'a\ufffd/b' can't be the name of a file"),
        ("x" * 300, r"member '(x){200}… \(300 characters\)' can't be the name of a file"),
    ],
)
def test_a_member_may_not_leave_the_destination(unpacked, tmp_path, name, message):
    with pytest.raises(ArchiveError, match=message):
        unpacked(archive(("good", b"1"), (name, b"2")))
    assert list((tmp_path / "into").iterdir()) == []


def test_a_name_with_a_nul_is_refused_and_not_cut(unpacked):
    content = archive(("goodXbad", b"1")).replace(b"goodXbad", b"good\0bad")
    with pytest.raises(ArchiveError, match="can't be the name of a file"):
        unpacked(content)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_are_refused(unpacked, kind):
    with pytest.raises(ArchiveError, match="member 'x' is a link or a device, which isn't unpacked"):
        unpacked(archive((info("x", kind | 0o777), b"/etc/passwd")))


def test_plain_files_may_say_so(unpacked):
    assert len(unpacked(archive((info("x", stat.S_IFREG | 0o600), b"1")))) == 1


def test_what_is_encrypted_is_refused(unpacked):
    content = bytearray(archive(("x", b"1")))
    directory = content.index(b"PK\1\2")
    content[6] |= 1
    content[directory + 8] |= 1
    with pytest.raises(
        ArchiveError, match="member 'x' is encrypted; put archive_password into the connection's secrets"
    ):
        unpacked(bytes(content))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("other", ["a.csv", "A.csv", "./a.csv", ".//a.CSV"])
def test_two_members_may_not_be_one_file(unpacked, other):
    with pytest.raises(ArchiveError, match=r"members 'a\.csv' and '.*' would be one file"):
        unpacked(archive(("a.csv", b"1"), (other, b"2")))


def test_unicode_forms_of_a_name_are_one_file(unpacked):
    with pytest.raises(ArchiveError, match="would be one file"):
        unpacked(archive(("\u00fc", b"1"), ("u\u0308", b"2")))


@pytest.mark.parametrize("names", [("a", "a/b"), ("x/a/b/c", "x/A"), ("a/b", "a")])
def test_a_file_may_not_be_a_folder_too(unpacked, names):
    with pytest.raises(ArchiveError, match=r"would be a file and the folder of"):
        unpacked(archive(*((name, b"1") for name in names)))


def test_a_bomb_of_folders_is_stopped_by_the_limit_of_members(unpacked):
    deep = ["/".join(str(number + level) for level in range(0, 1000, 10)) for number in range(10)]
    with pytest.raises(ResultTooLargeError, match="max_members: the archive's files are in more than 100 folders"):
        unpacked(archive(*((name, b"") for name in deep)))


def test_a_member_may_not_be_taken_for_what_this_provider_leaves(unpacked):
    """A later try would undo what such a record says."""
    for name in (".asyncapi-0123.json", "./.AsyncAPI-0123.part/0.former", "sub/.asyncapi-0123.json", "a/.ASYNCAPI-1/x"):
        with pytest.raises(ArchiveError, match="can't be the name of a file"):
            unpacked(archive((name, b"[]")))


def test_a_bomb_is_stopped_by_its_ratio(unpacked, tmp_path):
    with pytest.raises(ResultTooLargeError, match=r"max_bytes, max_ratio: .* \(at the archive's member 'bomb'\)"):
        unpacked(archive(("bomb", b"\0" * 20 * MIB)), max_ratio=100)
    assert sum(path.stat().st_size for path in (tmp_path / "into").iterdir()) < 4 * MIB


def test_an_archive_in_an_archive_stays_a_file_so_that_a_nested_bomb_does_not_go_off(unpacked):
    bomb = archive(("zeros", bytes(50 * MIB)))
    members = unpacked(archive(("inner.zip", bomb), compression=zipfile.ZIP_STORED), max_bytes=MIB)
    assert [(path, stored.path.read_bytes()) for path, stored in members] == [(("inner.zip",), bomb)]


def test_a_bomb_of_many_members_is_stopped_by_their_sum(unpacked):
    with pytest.raises(ResultTooLargeError, match="max_ratio"):
        unpacked(archive(*((str(number), b"\0" * MIB) for number in range(50))), max_ratio=100)


def test_small_archives_may_be_packed_well(unpacked):
    assert len(unpacked(archive(("x", b" " * 100_000)), max_ratio=100)) == 1
    assert len(unpacked(archive(("x", b" " * 100_000)), max_ratio=float("inf"))) == 1


def test_an_archive_is_stopped_by_its_bytes(unpacked):
    with pytest.raises(ResultTooLargeError, match="max_bytes"):
        unpacked(archive(("a", b"12"), ("b", b"34"), compression=zipfile.ZIP_STORED), max_bytes=3)


def test_an_archive_is_stopped_by_its_members(unpacked, tmp_path):
    with pytest.raises(ResultTooLargeError, match="max_members: the archive holds 3 files or more, and 2 are allowed"):
        unpacked(archive(*((str(number), b"") for number in range(3))), max_members=2)
    assert list((tmp_path / "into").iterdir()) == []


@pytest.mark.parametrize("kept", [0, 10, 50, -1, -30])
def test_a_truncated_archive_is_broken(unpacked, kept):
    with pytest.raises(ArchiveError, match=r"is broken: .*; nothing was kept"):
        unpacked(archive(("a.csv", b"1,2" * 100))[:kept])


@pytest.mark.parametrize("says", [1, 2999, 3001, 10**6])
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_size_that_lies_is_found_out(unpacked, compression, says):
    content = bytearray(archive(("a.csv", random.Random(1).randbytes(3000)), compression=compression))
    directory = content.rindex(b"PK\1\2")
    content[directory + 24 : directory + 28] = struct.pack("<I", says)
    with pytest.raises(ArchiveError, match=r"member 'a.csv' is broken"):
        unpacked(bytes(content))


def test_a_wrong_checksum_is_found_out(unpacked):
    content = archive(("a.csv", b"1,2,3"), compression=zipfile.ZIP_STORED).replace(b"1,2,3", b"1,2,4")
    with pytest.raises(ArchiveError, match=r"member 'a\.csv' is broken: Bad CRC-32"):
        unpacked(content)


def test_a_compression_that_nobody_knows_is_an_error(unpacked):
    content = bytearray(archive(("a", b"1")))
    directory = content.index(b"PK\1\2")
    content[8:10] = content[directory + 10 : directory + 12] = struct.pack("<H", 77)
    with pytest.raises(ArchiveError, match="member 'a' is packed by method 77, which isn't undone here"):
        unpacked(bytes(content))


@pytest.mark.parametrize(("compression", "name"), [(zipfile.ZIP_BZIP2, "bzip2"), (zipfile.ZIP_LZMA, "lzma")])
def test_a_compression_that_can_only_be_undone_at_once_is_refused(unpacked, compression, name):
    """Of bzip2 850 bytes unpack to a gigabyte, and zipfile would have it all in memory before it could be counted."""
    with pytest.raises(ArchiveError, match=f"member 'a' is packed by {name}, .* unpack=False"):
        unpacked(archive(("a", bytes(MIB)), compression=compression))


def test_no_damage_leads_to_another_error(unpacked):
    whole = archive(("a.csv", b"1,2,3" * 50), ("b/ü.csv", b"4"))
    dice = random.Random(7)
    for _ in range(500):
        content = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            content[dice.randrange(len(content))] = dice.randrange(256)
        try:
            unpacked(bytes(content))
        except (ArchiveError, ResultTooLargeError):
            continue


def test_a_disk_that_is_full_is_no_broken_archive(unpacked, monkeypatch):
    def no_space(*_):
        raise OSError(28, "No space left on device")

    real = Path.open
    monkeypatch.setattr(Path, "open", lambda self, mode="r": no_space() if mode == "wb" else real(self, mode))
    with pytest.raises(OSError, match="No space"):
        unpacked(archive(("a", b"1")))


def test_an_encrypted_member_needs_the_password(unpacked):
    content = bytes.fromhex(ENCRYPTED)
    assert unpacked(content, password=b"hunter22")[0][1].path.read_bytes() == b"a,b\n1,2\n"
    with pytest.raises(ArchiveError, match=r"member 'a\.csv' is broken: Bad password"):
        unpacked(content, password=b"wrong")
    with pytest.raises(ArchiveError, match="put archive_password into the connection's secrets"):
        unpacked(content)


def test_aes_is_said_to_be_too_much(unpacked):
    content = bytearray(archive(("x", b"1")))
    directory = content.index(b"PK\1\2")
    content[directory + 8] |= 1
    content[directory + 10 : directory + 12] = struct.pack("<H", 99)
    with pytest.raises(ArchiveError, match="member 'x' is encrypted by AES, which isn't undone here"):
        unpacked(bytes(content), password=b"x")


@pytest.mark.parametrize("name", ["x", "x/"])
def test_a_directory_of_too_many_is_not_read_into_memory(unpacked, name):
    content = archive(("a", b"1"))
    at = content.index(b"PK\1\2")
    entry = archive((name, b""))
    entry = entry[entry.index(b"PK\1\2") : entry.index(b"PK\5\6")]
    count = 200_000
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, len(entry) * count, at, 0)
    content = b"".join((content[:at], entry * count, end))
    tracemalloc.start()
    try:
        with pytest.raises(ResultTooLargeError, match=r"max_members: the archive holds \d+ files or more, and 100 are"):
            unpacked(content)
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


def test_a_large_archive_has_a_directory_of_its_own_kind(unpacked):
    content = archive(*((str(number), b"") for number in range(65_600)))
    assert b"PK\6\6" in content
    with pytest.raises(ResultTooLargeError, match="max_members"):
        unpacked(content, max_members=65_599)
