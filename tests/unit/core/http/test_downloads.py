from __future__ import annotations

import gzip
import hashlib
from base64 import b64encode
from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import TransportError
from airflow_provider_asyncapi.core.http.checksums import parse_checksum
from airflow_provider_asyncapi.core.http.downloads import Download
from airflow_provider_asyncapi.core.http.messages import MAX_BODY, Headers, Request, Response
from tests.unit.fake_files import MemoryDraft

URL = "https://api.example.com/files/1?sig=abc"
REQUEST = Request("GET", URL)
ETAG: dict[str, Any] = {"etag": '"v1"'}


def head(status: int = 200, **headers: str) -> Response:
    return Response(status, Headers((name.replace("_", "-"), value) for name, value in headers.items()), url=URL)


def part(first: int, last: int, total: int | str, **headers: str) -> Response:
    return head(206, content_range=f"bytes {first}-{last}/{total}", **{**ETAG, **headers})


@pytest.fixture
def draft():
    return MemoryDraft()


@pytest.fixture
def broken(draft):
    """A download that broke after `abc` of ten bytes."""
    download = Download(draft)
    download.begin(head(content_length="10", **ETAG))
    download.write(b"abc")
    return download


def asked(download: Download) -> dict[str, str]:
    return dict(download.prepare_request(REQUEST).headers)


def test_a_body_goes_into_the_draft(draft):
    download = Download(draft)
    assert download.prepare_request(REQUEST) is REQUEST
    download.begin(head(content_length="6"))
    download.write(b"abc")
    download.write(b"def")
    download.finish()
    assert (draft.content, draft.restarts, draft.expected) == (b"abcdef", 1, [6])
    assert download.head == b"abcdef"
    assert download.prepare_request(REQUEST) is REQUEST


def test_a_large_body_is_not_kept_for_rules(draft):
    download = Download(draft)
    download.begin(head())
    download.write(b"x" * MAX_BODY)
    assert len(download.head) == MAX_BODY
    download.write(b"x")
    download.write(b"x")
    assert download.head == b""


def test_a_broken_transfer_goes_on_where_it_broke(broken, draft):
    assert asked(broken) == {"Range": "bytes=3-", "If-Range": '"v1"'}
    assert broken.kept_bytes == 3
    broken.begin(part(3, 9, 10))
    broken.write(b"defghij")
    broken.finish()
    assert (draft.content, draft.restarts) == (b"abcdefghij", 1)


def test_a_part_may_end_before_the_file_does(broken, draft):
    broken.begin(part(3, 4, 10))
    broken.write(b"de")
    with pytest.raises(TransportError, match=r"^https://api.example.com/files/1\?… answered 200, but only 5 of 10"):
        broken.finish()
    assert asked(broken)["Range"] == "bytes=5-"
    broken.begin(part(5, 9, "*"))
    broken.write(b"fghij")
    broken.finish()
    assert draft.content == b"abcdefghij"


def test_a_part_that_is_longer_than_it_says_is_thrown_away(broken):
    broken.begin(part(3, 4, "*"))
    broken.write(b"defghijk")
    with pytest.raises(TransportError, match="answered 200, with more than the 5 bytes that it should have"):
        broken.finish()
    assert broken.prepare_request(REQUEST) is REQUEST


@pytest.mark.parametrize("length", ["-5", "many", "1e3", "5, 6", "\u0665", ""])
def test_a_length_that_is_no_number_is_an_error(draft, length):
    with pytest.raises(TransportError, match="answered 200, with a Content-Length that is no number"):
        Download(draft).begin(head(content_length=length))


def test_a_length_may_be_stated_twice(draft):
    download = Download(draft)
    download.begin(head(content_length="3, 3"))
    download.write(b"abc")
    download.finish()
    assert draft.content == b"abc"


def test_a_server_that_ignores_the_range_begins_again(broken, draft):
    broken.begin(head(content_length="2"))
    broken.write(b"AB")
    broken.finish()
    assert (draft.content, draft.restarts, draft.expected) == (b"AB", 2, [10, 2])


@pytest.mark.parametrize(
    "answer",
    [
        part(2, 9, 10),
        part(4, 9, 10),
        part(3, 2, 10),
        part(3, 9, 11),
        part(3, 10, 10),
        part(3, 9, 10, etag='"v2"'),
        part(3, 9, 10, last_modified="Sun, 22 Nov 2026 05:00:00 GMT"),
        part(3, 9, 10, content_encoding="gzip"),
        head(206, content_range="items 3-9/10"),
        head(206),
    ],
    ids=[
        "before",
        "behind",
        "backwards",
        "other size",
        "too far",
        "other etag",
        "other date",
        "coded",
        "no bytes",
        "no range",
    ],
)
def test_a_part_that_does_not_fit_is_thrown_away_and_the_whole_asked_for(broken, draft, answer):
    with pytest.raises(TransportError, match="answered 206, with another part of the body than was asked for"):
        broken.begin(answer)
    assert broken.prepare_request(REQUEST) is REQUEST
    broken.begin(head(content_length="10", **ETAG))
    broken.write(b"0123")
    assert broken.prepare_request(REQUEST) is REQUEST
    assert draft.content == b"0123"


def test_a_part_that_nobody_asked_for_is_no_file(draft):
    with pytest.raises(TransportError, match="another part"):
        Download(draft).begin(part(0, 4, 10))


def test_a_range_that_is_refused_is_not_asked_for_again(broken):
    assert not broken.refuses_range(head(404))
    assert broken.refuses_range(head(416))
    assert broken.prepare_request(REQUEST) is REQUEST
    assert not broken.refuses_range(head(416))


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({"etag": '"v1"'}, '"v1"'),
        ({"etag": 'W/"v1"'}, None),
        ({"etag": "v1"}, None),
        ({"etag": '"v1"', "accept_ranges": "none"}, None),
        ({}, None),
        ({"last_modified": "Sun, 22 Nov 2026 05:00:00 GMT", "date": "Sun, 22 Nov 2026 05:00:02 GMT"}, "Sun, 22"),
        # In the second in which it was sent it may have changed again.
        ({"last_modified": "Sun, 22 Nov 2026 05:00:00 GMT", "date": "Sun, 22 Nov 2026 05:00:00 GMT"}, None),
        ({"last_modified": "Sun, 22 Nov 2026 05:00:00 GMT"}, None),
        ({"last_modified": "yesterday", "date": "today"}, None),
    ],
)
def test_only_what_can_be_told_apart_goes_on(draft, headers, validator):
    download = Download(draft)
    download.begin(head(**headers))
    download.write(b"abc")
    assert asked(download).get("If-Range", "none").startswith(validator or "none")


def test_only_a_get_goes_on(broken):
    request = Request("POST", URL)
    assert broken.prepare_request(request) is request


def test_what_is_packed_goes_on_where_it_broke_too(draft):
    packed = gzip.compress(b"a,b\n" * 1000)
    download = Download(draft)
    download.begin(head(content_encoding="gzip", content_length=str(len(packed)), **ETAG))
    download.write(packed[:20])
    assert asked(download)["Range"] == "bytes=20-"
    download.begin(part(20, len(packed) - 1, len(packed), content_encoding="gzip"))
    download.write(packed[20:])
    download.finish()
    assert (draft.content, draft.expected) == (b"a,b\n" * 1000, [None])


@pytest.mark.parametrize(
    ("packed", "problem"),
    [(gzip.compress(b"abc")[:-4], "ends too early"), (b"\x1f\x8b\x08" + b"\xff" * 30, "is broken")],
)
def test_a_broken_content_coding_begins_again(draft, packed, problem):
    download = Download(draft)
    download.begin(head(content_encoding="gzip", **ETAG))

    def transfer():
        download.write(packed)
        download.finish()

    with pytest.raises(TransportError, match=f"answered 200, but its content coding {problem}"):
        transfer()
    assert download.prepare_request(REQUEST) is REQUEST


def test_an_answer_that_isnt_ok_may_be_the_file(draft):
    download = Download(draft)
    response = head(404)
    response.body = b"none"
    download.replace_content(response)
    assert draft.content == b"none"


def test_a_length_that_a_transfer_coding_overrules_is_none(draft):
    Download(draft).begin(head(content_length="5", transfer_encoding="chunked"))
    assert draft.expected == [None]


# Checksums


SHA = hashlib.sha256(b"abc")


@pytest.mark.parametrize("content", [b"abc", b"xyz"])
def test_a_checksum_of_the_headers_is_compared(draft, content):
    download = Download(draft)
    download.begin(head(repr_digest=f"sha-256=:{b64encode(SHA.digest()).decode()}:", **ETAG))
    download.write(content)
    if content == b"abc":
        download.finish()
        return
    with pytest.raises(TransportError, match=f"but repr-digest states sha256 {SHA.hexdigest()}, and the sha256 of"):
        download.finish()
    assert download.prepare_request(REQUEST) is REQUEST


def test_a_checksum_of_the_headers_is_of_the_packed_file_and_a_stated_one_of_the_unpacked(draft):
    packed = gzip.compress(b"abc")
    download = Download(draft, parse_checksum(f"sha256:{SHA.hexdigest()}", "checksum"))
    for _ in range(2):
        download.begin(head(content_encoding="gzip", content_md5=b64encode(hashlib.md5(packed).digest()).decode()))
        download.write(packed)
        download.finish()
    assert draft.content == b"abc"


def test_checksums_of_the_headers_can_be_left_uncompared(draft):
    download = Download(draft, trusts_headers=False)
    download.begin(head(content_md5=b64encode(hashlib.md5(b"xyz").digest()).decode()))
    download.write(b"abc")
    download.finish()
    assert draft.content == b"abc"


def test_a_stated_checksum_is_compared(draft):
    download = Download(draft, parse_checksum(SHA.hexdigest(), "checksum"))
    download.begin(head())
    download.write(b"xyz")
    with pytest.raises(TransportError, match="but checksum states sha256"):
        download.finish()


def test_a_checksum_is_made_of_all_parts(draft):
    download = Download(draft, parse_checksum(hashlib.md5(b"abcdef").hexdigest(), "checksum"))
    download.begin(
        head(content_length="6", digest=f"md5={b64encode(hashlib.md5(b'abcdef').digest()).decode()}", **ETAG)
    )
    download.write(b"abc")
    download.begin(part(3, 5, 6))
    download.write(b"def")
    download.finish()
    assert draft.content == b"abcdef"
