from __future__ import annotations

import gzip
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.errors import UnsafeContentError
from airflow_provider_asyncapi.core.http.compression import (
    MAX_EMPTY_INPUT,
    PIECE,
    Inflater,
    gunzip,
    make_inflater,
    parse_content_codings,
)


def inflated(inflater: Inflater, packed: bytes, size: int) -> bytes:
    pieces = [piece for at in range(0, len(packed), size) for piece in inflater.feed(packed[at : at + size])]
    assert all(len(piece) <= PIECE for piece in pieces)
    return b"".join(pieces)


def bare(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(content) + packer.flush()


@pytest.mark.parametrize("named", ["", "identity", "UTF-8", "aws-chunked", "none", "binary", "8bit", "text/csv", ","])
def test_what_is_no_content_coding_leaves_a_body_as_it_is(named):
    assert parse_content_codings(named) == ""
    assert make_inflater(parse_content_codings(named)) is None


@pytest.mark.parametrize(
    ("named", "codings"),
    [
        ("GZIP", "gzip"),
        ("aws-chunked,gzip", "gzip"),
        (" deflate , identity", "deflate"),
        ("br", "br"),
        ("gzip, gzip", "gzip, gzip"),
        ("x-compress", "x-compress"),
    ],
)
def test_registered_content_codings_are_told_apart(named, codings):
    assert parse_content_codings(named) == codings


@given(st.binary(max_size=2000), st.integers(1, 50))
def test_what_was_packed_is_undone_however_it_is_cut(content, size):
    assert inflated(Inflater(), gzip.compress(content), size) == content
    assert inflated(Inflater(is_gzip=False), zlib.compress(content), size) == content


def test_bare_deflate_is_undone_too():
    assert inflated(Inflater(is_gzip=False), bare(b"abc" * 100), 7) == b"abc" * 100


def test_several_members_are_one_file_and_zeros_are_padding():
    inflater = Inflater()
    assert inflated(inflater, gzip.compress(b"abc") + gzip.compress(b"def") + bytes(20), 5) == b"abcdef"
    assert not inflater.is_open


def empty_members() -> bytes:
    return gzip.compress(b"") * (MAX_EMPTY_INPUT // len(gzip.compress(b"")) + 1)


def empty_blocks() -> bytes:
    """Make one member of stored blocks that hold nothing (RFC 1951, section 3.2.4)."""
    return gzip.compress(b"")[:10] + b"\x00\x00\x00\xff\xff" * (MAX_EMPTY_INPUT // 5 + 1)


@pytest.mark.parametrize(
    "packed", [empty_members(), empty_blocks(), gzip.compress(b"abc") + bytes(MAX_EMPTY_INPUT + 8192)]
)
@pytest.mark.parametrize("size", [4000, 65536])
def test_what_unpacks_to_nothing_without_end_is_refused(packed, size):
    with pytest.raises(zlib.error, match="bytes unpack to nothing"):
        inflated(Inflater(), packed, size)


def test_an_empty_member_among_others_does_no_harm():
    assert inflated(Inflater(), (gzip.compress(b"") * 1000 + gzip.compress(b"x")) * 80, 65536) == b"x" * 80


def test_what_was_packed_well_comes_in_pieces():
    pieces = list(Inflater().feed(gzip.compress(bytes(3 * PIECE))))
    assert {len(piece) for piece in pieces} == {PIECE}
    assert sum(map(len, pieces)) == 3 * PIECE


def test_no_empty_piece_is_handed_on():
    assert list(Inflater().feed(gzip.compress(b"") * 10)) == []


def test_zlib_is_never_given_much_at_a_time(monkeypatch):
    """At the end of each member it copies the rest: with many members that would be quadratic."""
    copied: list[int] = []
    make = zlib.decompressobj

    class Watched:
        def __init__(self, *bits: Any) -> None:
            self._inflater = make(*bits)

        def __getattr__(self, name: str) -> Any:
            value = getattr(self._inflater, name)
            if name == "unused_data":
                copied.append(len(value))
            return value

    monkeypatch.setattr(zlib, "decompressobj", Watched)
    list(Inflater().feed(gzip.compress(b"") * 10_000))
    assert len(copied) >= 10_000
    assert max(copied) <= 4096


def test_what_has_not_ended_is_open():
    inflater = Inflater()
    inflated(inflater, gzip.compress(b"abc")[:-1], 100)
    assert inflater.is_open


@pytest.mark.parametrize(("coding", "undone"), [("gzip", True), ("x-gzip", True), ("deflate", True), ("", False)])
def test_codings_are_told_apart(coding, undone):
    assert (make_inflater(coding) is not None) is undone


def test_a_body_that_is_gzip_is_undone_and_another_is_not():
    assert gunzip(gzip.compress(b"abc"), 3) == b"abc"
    assert gunzip(b"abc", 1) == b"abc"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (gzip.compress(b"abcd"), "unpacks to more than 3 bytes"),
        (gzip.compress(b"abc")[:-1], "ends too early"),
        (b"\x1f\x8b" + b"\xff" * 20, "is broken"),
    ],
)
def test_gzip_that_is_broken_or_too_large_is_refused(body, message):
    with pytest.raises(UnsafeContentError, match=message):
        gunzip(body, 3)
