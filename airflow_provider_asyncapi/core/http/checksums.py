"""
Checksums from the headers of a response, or from elsewhere in the API.

==================  ========================================  ==============================================
stated in           as                                        of
==================  ========================================  ==============================================
``Repr-Digest``     RFC 9530: ``sha-256=:<base64>:``          the representation, content coding included
``Content-Digest``  RFC 9530                        the content; the same for a whole response
``Digest``          RFC 3230: ``sha-256=<base64>``            the representation
``Content-MD5``     RFC 2616, 14.15: ``<base64>``             the content
``x-goog-hash``     ``md5=<base64>`` (Google Cloud Storage)   the object, where it is sent as it is stored
``ETag``            ``"<hex>"`` (Amazon S3)                   the object, uploaded at once, and not under KMS
elsewhere           ``sha256:<hex>``, or the bare digest      the file
==================  ========================================  ==============================================
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.http.messages import Headers
from airflow_provider_asyncapi.core.text import shorten

if TYPE_CHECKING:
    from hashlib import _Hash

#: From the strongest to the weakest; only the strongest one in a response is compared.
_ALGORITHMS = ("sha512", "sha256", "sha1", "md5")
_NAMES = {"sha-512": "sha512", "sha-256": "sha256", "sha-1": "sha1", "sha": "sha1"} | {
    each: each for each in _ALGORITHMS
}
_BY_LENGTH = {64: "sha512", 32: "sha256", 20: "sha1", 16: "md5"}
_CHECKSUM = re.compile(r"(?:(?P<name>[A-Za-z][\w-]*)\s*[:=]\s*)?(?P<digest>[0-9A-Za-z+/]+={0,2})", re.ASCII)
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")
_S3_ETAG = re.compile(r'"([0-9a-f]{32})"')


@dataclass(slots=True)
class Checksum:
    """
    An expected digest, and the hash of the bytes so far.

    :param algorithm: as :mod:`hashlib` calls it.
    :param expected: the expected digest.
    :param where: the header or parameter with the digest, for messages.
    """

    algorithm: str
    expected: bytes
    where: str
    _hash: _Hash = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Discard all bytes."""
        self._hash = hashlib.new(self.algorithm, usedforsecurity=False)

    def update(self, data: bytes) -> None:
        """Add the next bytes."""
        self._hash.update(data)

    def describe_mismatch(self) -> str | None:
        """Return a description of the mismatch after all bytes were added; None if the checksums are equal."""
        found = self._hash.digest()
        if found == self.expected:
            return None
        return (
            f"{self.where} states {self.algorithm} {self.expected.hex()}, and the {self.algorithm} of what came is"
            f" {found.hex()}"
        )


def find_header_checksum(headers: Headers) -> Checksum | None:
    """Return the strongest checksum in the headers of a complete response; None if there is none."""
    stated: dict[str, Checksum] = {}
    for name in ("repr-digest", "content-digest", "digest"):
        for key, text in _split_members(headers.get(name, "")):
            # Structured fields wrap bytes in colons (RFC 8941, section 3.3.5).
            _add_checksum(stated, key, text.strip(":"), name)
    _add_checksum(stated, "md5", headers.get("content-md5", ""), "content-md5")
    if headers.get("x-goog-stored-content-encoding", "identity") == headers.get("content-encoding", "identity"):
        for key, text in _split_members(headers.get("x-goog-hash", "")):
            _add_checksum(stated, key, text, "x-goog-hash")
    if etag := _read_s3_etag(headers):
        stated.setdefault("md5", Checksum("md5", etag, "ETag"))
    return next((stated[each] for each in _ALGORITHMS if each in stated), None)


def parse_checksum(text: str, where: str) -> Checksum:
    """
    Parse a checksum in the forms of APIs: ``sha256:<hex>``, ``sha-256=<base64>``, a bare digest.

    :param where: the parameter with the checksum, for messages.
    :raises ConfigurationError: if it is anything else.
    """
    match = _CHECKSUM.fullmatch(text.strip())
    name, digest = (match["name"], _decode_digest(match["digest"])) if match else (None, b"")
    if name is not None and name.lower() not in _NAMES:
        raise ConfigurationError(f"{where}: {shorten(name, 20)!r} isn't one of {', '.join(_ALGORITHMS)}")
    algorithm = _BY_LENGTH.get(len(digest)) if name is None else _NAMES[name.lower()]
    if algorithm is None or len(digest) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise ConfigurationError(f"{where}: {shorten(text, 150)!r} can't be a checksum; it is like sha256:0a1b…")
    return Checksum(algorithm, digest, where)


def _split_members(header: str) -> list[tuple[str, str]]:
    pairs = (member.partition("=") for member in header.split(","))
    return [(name.strip().lower(), value.partition(";")[0].strip()) for name, _, value in pairs]


def _add_checksum(stated: dict[str, Checksum], name: str, text: str, where: str) -> None:
    """Add a checksum, unless it is invalid or its algorithm is unknown."""
    algorithm = _NAMES.get(name)
    if algorithm is None or algorithm in stated:
        return
    digest = _decode_base64(text)
    if len(digest) == hashlib.new(algorithm, usedforsecurity=False).digest_size:
        stated[algorithm] = Checksum(algorithm, digest, where)


def _read_s3_etag(headers: Headers) -> bytes | None:
    """
    Return the MD5 in an ETag of Amazon S3; None if the ETag isn't an MD5.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html: of objects that were uploaded at once (no part
    count behind a hyphen), and are encrypted with keys of S3's own, if at all.
    """
    match = _S3_ETAG.fullmatch(headers.get("etag", "").strip())
    # Other stores with S3's protocol have ETags that only look like an MD5.
    is_s3 = "x-amz-request-id" in headers and headers.get("server", "").strip() == "AmazonS3"
    is_plain = headers.get("x-amz-server-side-encryption", "AES256") == "AES256"
    if match is None or not is_s3 or not is_plain:
        return None
    return None if "x-amz-server-side-encryption-customer-algorithm" in headers else bytes.fromhex(match[1])


def _decode_digest(text: str) -> bytes:
    return bytes.fromhex(text) if _HEX.fullmatch(text) and len(text) // 2 in _BY_LENGTH else _decode_base64(text)


def _decode_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""
