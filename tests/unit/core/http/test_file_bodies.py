"""Bodies that contain files: read in chunks, found to be unchanged, and described without being read."""

from __future__ import annotations

import base64
import dataclasses
import hashlib

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError, FileChangedError, FileUnavailableError
from airflow_provider_asyncapi.core.http.file_bodies import (
    BODY_VARIABLES,
    FileBody,
    describe_as_text,
    describe_body,
    digest,
    find_algorithms,
    find_literal_bytes,
    identify,
    size_of,
)
from airflow_provider_asyncapi.core.http.messages import Request
from tests.unit.fake_files import MemoryFiles

MD5, SHA256 = hashlib.md5(b"abcdef", usedforsecurity=False), hashlib.sha256(b"abcdef")


def test_a_body_is_read_part_by_part_in_chunks():
    files = MemoryFiles(a_csv=b"12345", b_csv=b"")
    body = FileBody((b"<<<<", files.inspect("a.csv"), b"", files.inspect("b.csv"), b">"))
    assert list(body.read_chunks(3)) == [b"<<<", b"<", b"123", b"45", b">"]
    assert (body.size, files.opened, files.open_files) == (10, ["a.csv", "b.csv"], 0)


def test_a_file_is_read_from_its_beginning_each_time_and_closed_if_nobody_reads_on():
    files = MemoryFiles(a_csv=b"12345")
    body = FileBody((files.inspect("a.csv"),))
    chunks = body.read_chunks(3)
    assert (next(chunks), files.open_files) == (b"123", 1)
    chunks.close()
    assert files.open_files == 0
    assert b"".join(body.read_chunks(3)) == b"12345"


def test_the_last_chunk_of_a_file_that_has_changed_is_never_read():
    files = MemoryFiles(a_csv=b"123456")
    chunks = FileBody((files.inspect("a.csv"),)).read_chunks(3)
    assert next(chunks) == b"123"
    files.contents["a.csv"] = b"123xyz"
    with pytest.raises(FileChangedError, match=r"the file 'a.csv' has changed since"):
        next(chunks)
    assert files.open_files == 0


def test_a_file_that_has_grown_is_not_begun():
    files = MemoryFiles(a_csv=b"123")
    body = FileBody((files.inspect("a.csv"),))
    files.contents["a.csv"] = b"12345"
    with pytest.raises(FileChangedError, match=r"has changed from 3 to 5 bytes .* rename it when it is complete"):
        next(body.read_chunks())


def test_a_file_that_becomes_shorter_ends_the_body():
    files = MemoryFiles(a_csv=b"123456")
    files.on_read = lambda path: files.contents.update({path: b""})
    with pytest.raises(FileChangedError, match=r"'a.csv' became shorter while it was sent"):
        next(FileBody((files.inspect("a.csv"),)).read_chunks(3))


def test_a_file_that_is_gone_ends_the_body():
    files = MemoryFiles(a_csv=b"1")
    body = FileBody((files.inspect("a.csv"),))
    files.contents.clear()
    with pytest.raises(FileUnavailableError, match=r"'a\.csv' isn't there"):
        next(body.read_chunks())


def test_an_empty_file_is_an_empty_body():
    assert list(FileBody((MemoryFiles(a_csv=b"").inspect("a.csv"),)).read_chunks()) == []


def test_a_body_is_another_one_after_a_file_has_changed():
    files = MemoryFiles(a_csv=b"123")
    before = FileBody((b"x", files.inspect("a.csv")))
    assert identify(before) == identify(FileBody((b"x", files.inspect("a.csv"))))
    assert before == FileBody((b"x", files.inspect("a.csv")))
    files.contents["a.csv"] = b"124"
    assert identify(before) != identify(FileBody((b"x", files.inspect("a.csv"))))
    assert files.opened == []


def test_bytes_and_no_body_are_described_too():
    assert (size_of(None), size_of(b"abc")) == (0, 3)
    assert (identify(None), identify(b"abc")) == (b"", b"abc")
    assert (find_literal_bytes(None), find_literal_bytes(b"abc")) == (b"", b"abc")


def test_the_bytes_that_come_from_parameters_are_told_from_files():
    body = FileBody((b"a", MemoryFiles(a_csv=b"secret").inspect("a.csv"), b"b"))
    assert find_literal_bytes(body) == b"a\nb"


def test_a_body_is_shown_with_the_names_of_its_files():
    body = FileBody((b"a", MemoryFiles(a_csv=b"secret").inspect("a.csv"), b"b"))
    assert describe_as_text(body) == "a<'a.csv', 6 bytes>b"
    assert (describe_as_text(None), describe_as_text("ü".encode())) == ("", "ü")


def test_a_request_shows_neither_a_file_nor_a_signature_of_its_url():
    file = MemoryFiles(**{"https://h/x?sig=1": b""}).inspect("https://h/x?sig=1")
    assert "sig" not in str(file)
    assert "sig" not in repr(Request("PUT", "https://h/", body=FileBody((file,))))


def test_variables_of_the_body_are_its_size_and_digests():
    files = MemoryFiles(a_csv=b"bcd")
    body = FileBody((b"a", files.inspect("a.csv"), b"ef")).with_digests(find_algorithms(BODY_VARIABLES))
    expected = {
        "body_size": 6,
        "body_start": 0,
        "body_last": 5,
        "body_md5": base64.b64encode(MD5.digest()).decode(),
        "body_md5_hex": MD5.hexdigest(),
        "body_sha256": SHA256.hexdigest(),
        "body_sha256_base64": base64.b64encode(SHA256.digest()).decode(),
    }
    assert describe_body(body, BODY_VARIABLES) == describe_body(b"abcdef", BODY_VARIABLES) == expected
    assert describe_body(body, {"body_size", "other"}) == {"body_size": 6}
    assert find_algorithms({"body_size", "other"}) == frozenset()


def test_a_piece_of_a_body_is_read_and_described_alone():
    files = MemoryFiles(a_csv=b"123456")
    whole = FileBody((b"ab", files.inspect("a.csv"), b"yz"))
    for start in range(11):
        for stop in (*range(start, 11), None):
            piece = dataclasses.replace(whole, start=start, stop=stop)
            expected = b"ab123456yz"[start:stop]
            assert (b"".join(piece.read_chunks(3)), piece.size) == (expected, len(expected))
    piece = dataclasses.replace(whole, start=3, stop=9).with_digests({"md5"})
    assert digest(piece, "md5") == hashlib.md5(b"23456y", usedforsecurity=False).digest()
    named = {"body_size", "body_start", "body_last"}
    assert describe_body(piece, named) == {"body_size": 6, "body_start": 3, "body_last": 8}


def test_the_last_chunk_of_a_piece_is_never_read_from_a_file_that_has_changed():
    files = MemoryFiles(a_csv=b"123456")
    chunks = FileBody((files.inspect("a.csv"),), start=1, stop=4).read_chunks(2)
    assert next(chunks) == b"23"
    files.contents["a.csv"] = b"xxxxxx"
    with pytest.raises(FileChangedError):
        next(chunks)


def test_a_digest_that_was_not_computed_is_an_error():
    body = FileBody((MemoryFiles(a_csv=b"1").inspect("a.csv"),)).with_digests({"md5"})
    assert digest(body, "md5") == hashlib.md5(b"1", usedforsecurity=False).digest()
    with pytest.raises(ConfigurationError, match="the sha256 digest of a body that contains files isn't known here"):
        digest(body, "sha256")
