from __future__ import annotations

import contextlib
import hashlib
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.http.checksums import find_header_checksum, parse_checksum
from airflow_provider_asyncapi.core.http.messages import Headers

CONTENT = b"content"
DIGESTS = {name: hashlib.new(name, CONTENT).digest() for name in ("md5", "sha1", "sha256", "sha512")}
BASE64 = {name: b64encode(digest).decode() for name, digest in DIGESTS.items()}
S3 = {"x-amz-request-id": "1", "server": "AmazonS3", "etag": f'"{DIGESTS["md5"].hex()}"'}


@pytest.mark.parametrize(
    ("headers", "algorithm", "where"),
    [
        ({"repr-digest": f"sha-256=:{BASE64['sha256']}:"}, "sha256", "repr-digest"),
        ({"repr-digest": f"md5=:{BASE64['md5']}:, sha-512=:{BASE64['sha512']}:;x=1"}, "sha512", "repr-digest"),
        ({"content-digest": f"sha-512=:{BASE64['sha512']}:"}, "sha512", "content-digest"),
        ({"digest": f"SHA-256={BASE64['sha256']},unixsum=30637"}, "sha256", "digest"),
        ({"digest": f"SHA={BASE64['sha1']}"}, "sha1", "digest"),
        ({"digest": f"sha-256={BASE64['sha256']}", "content-md5": BASE64["md5"]}, "sha256", "digest"),
        ({"content-md5": BASE64["md5"]}, "md5", "content-md5"),
        ({"x-goog-hash": f"crc32c=n03x6A==,md5={BASE64['md5']}"}, "md5", "x-goog-hash"),
        (S3, "md5", "ETag"),
        ({**S3, "x-amz-server-side-encryption": "AES256"}, "md5", "ETag"),
    ],
)
def test_what_the_headers_state_is_compared(headers, algorithm, where):
    checksum = find_header_checksum(Headers(headers.items()))
    assert checksum is not None
    assert (checksum.algorithm, checksum.where) == (algorithm, where)
    checksum.update(CONTENT[:3])
    assert checksum.describe_mismatch()
    checksum.update(CONTENT[3:])
    assert checksum.describe_mismatch() is None
    checksum.restart()
    checksum.update(CONTENT)
    assert checksum.describe_mismatch() is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"etag": S3["etag"]},
        {**S3, "etag": f"W/{S3['etag']}"},
        {**S3, "etag": f'"{DIGESTS["md5"].hex()}-3"'},
        {**S3, "x-amz-server-side-encryption": "aws:kms"},
        {**S3, "server": "MinIO"},
        {"x-amz-request-id": "1", "etag": S3["etag"]},
        {**S3, "x-amz-server-side-encryption-customer-algorithm": "AES256"},
        {"content-md5": "no base64"},
        {"content-md5": BASE64["sha1"]},
        {"digest": "sha-256=abc"},
        {"digest": "crc32=1"},
        {"x-goog-hash": f"md5={BASE64['md5']}", "x-goog-stored-content-encoding": "gzip"},
    ],
)
def test_what_is_no_checksum_is_not_compared(headers):
    assert find_header_checksum(Headers(headers.items())) is None


@pytest.mark.parametrize("name", DIGESTS)
@pytest.mark.parametrize(
    "write",
    [
        lambda name, digest: digest.hex(),
        lambda name, digest: digest.hex().upper(),
        lambda name, digest: b64encode(digest).decode(),
        lambda name, digest: f"{name}:{digest.hex()}",
        lambda name, digest: f" {name.upper()} : {b64encode(digest).decode()} ",
        lambda name, digest: f"{name}={digest.hex()}",
        lambda name, digest: f"{name.replace('sha', 'sha-')}={b64encode(digest).decode()}",
    ],
)
def test_a_stated_checksum_is_read_as_apis_write_it(name, write):
    checksum = parse_checksum(write(name, DIGESTS[name]), "checksum")
    assert (checksum.algorithm, checksum.expected) == (name, DIGESTS[name])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abc", "checksum: 'abc' can't be a checksum; it is like sha256:0a1b…"),
        ("", "can't be a checksum"),
        ("sha256:abc", "can't be a checksum"),
        (f"md5:{DIGESTS['sha1'].hex()}", "can't be a checksum"),
        ("crc32:0000", "checksum: 'crc32' isn't one of sha512, sha256, sha1, md5"),
    ],
)
def test_what_can_not_be_a_checksum_is_an_error(text, message):
    with pytest.raises(ConfigurationError, match=message):
        parse_checksum(text, "checksum")


@given(st.dictionaries(st.sampled_from(["digest", "repr-digest", "content-md5", "etag", "x-goog-hash"]), st.text()))
def test_no_header_is_more_than_ignored(headers):
    find_header_checksum(Headers([*headers.items(), ("x-amz-request-id", "1")]))


@given(st.text())
def test_no_text_is_more_than_refused(text):
    with contextlib.suppress(ConfigurationError):
        parse_checksum(text, "checksum")
