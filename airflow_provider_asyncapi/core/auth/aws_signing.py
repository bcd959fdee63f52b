"""
Sign requests as the APIs of AWS expect it (Signature Version 4).

The documentation is https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html. The
signature covers the request in a canonical form, which the server makes from what it has received. So the query is
also sent in this form, and nothing in it depends on how a server decodes it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from airflow_provider_asyncapi.core.http.file_bodies import FileBody, digest
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.http.urls import escape_unsendable

_ALGORITHM = "AWS4-HMAC-SHA256"
#: The services that sign the path once escaped and with all its segments, and expect the hash of the body in a header.
_S3 = frozenset({"s3", "s3-object-lambda", "s3-outposts"})
_EMPTY_HASH = hashlib.sha256(b"").hexdigest()
#: In place of the hash of the body: S3 accepts it, so that a file needn't be read twice.
_UNSIGNED = "UNSIGNED-PAYLOAD"
#: The headers that are signed, in addition to all that begin with ``x-amz-``. Others may be changed by a proxy.
_SIGNED_HEADERS = frozenset({"content-md5", "content-type", "host", "range"})
_URL = re.compile(r"(?P<scheme>https?)://(?P<host>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?", re.IGNORECASE)
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
#: The key of the last signing key in the memory of a connection.
_SIGNING_KEY = "signing_key"


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """
    The credentials of a user, a role or a service of AWS.

    :param session_token: the third part of temporary credentials; None for the keys of a user.
    """

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AwsSigner:
    """
    Signs requests to one service in one region.

    :param region: the region, such as ``eu-west-1``.
    :param service: the name of the service in signatures, such as ``execute-api``.
    """

    region: str
    service: str

    @property
    def hashes_files(self) -> bool:
        """Whether the hash of a body that contains files is signed."""
        return self.service not in _S3

    def sign(self, request: Request, keys: AwsKeys, now: float, memory: dict[str, Any]) -> Request:
        """
        Return a request with its signature.

        :param now: seconds since the epoch.
        :param memory: keeps the signing key, which is the same for a day.
        :raises ConfigurationError: if the body contains files, and their hash isn't known.
        """
        time = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{time[:8]}/{self.region}/{self.service}/aws4_request"
        body_hash = self._hash_body(request)
        added = [("X-Amz-Date", time)]
        if keys.session_token:
            added.append(("X-Amz-Security-Token", keys.session_token))
        if self.service in _S3:
            added.append(("X-Amz-Content-Sha256", body_hash))
        host, path, query, url = _split_url(request.url, escapes_path=self.service in _S3)
        request = dataclasses.replace(request.with_headers(added), url=url)
        headers = _find_signed_headers(host, request.headers)
        names = ";".join(name for name, _ in headers)
        canonical = "\n".join(
            (
                request.method,
                path if self.service in _S3 else quote(_normalize_path(path), safe="/-_.~"),
                query,
                *(f"{name}:{value}" for name, value in headers),
                "",
                names,
                body_hash,
            )
        )
        signed = "\n".join((_ALGORITHM, time, scope, hashlib.sha256(canonical.encode()).hexdigest()))
        signature = hmac.digest(self._find_signing_key(keys, time[:8], memory), signed.encode(), "sha256").hex()
        return request.with_headers(
            [
                (
                    "Authorization",
                    f"{_ALGORITHM} Credential={keys.access_key}/{scope}, SignedHeaders={names}, Signature={signature}",
                )
            ]
        )

    def _hash_body(self, request: Request) -> str:
        if not request.body:
            return _EMPTY_HASH
        if isinstance(request.body, FileBody) and not self.hashes_files:
            return _UNSIGNED
        return digest(request.body, "sha256").hex()

    def _find_signing_key(self, keys: AwsKeys, date: str, memory: dict[str, Any]) -> bytes:
        known: tuple[tuple[str, str] | None, bytes] = memory.get(_SIGNING_KEY, (None, b""))
        belongs_to, key = known
        if belongs_to != (keys.secret_key, date):
            key = f"AWS4{keys.secret_key}".encode()
            for part in (date, self.region, self.service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            memory[_SIGNING_KEY] = (keys.secret_key, date), key
        return key


def _split_url(url: str, *, escapes_path: bool) -> tuple[str, str, str, str]:
    """
    Return the header Host, the path, the canonical query, and the URL with the query in canonical form.

    The parameters are sorted for the signature only.

    :param escapes_path: whether the path is sent in canonical form, too: S3 signs it with ``=`` and ``:`` escaped.
    """
    parts = _URL.match(escape_unsendable(url))
    assert parts is not None, url  # noqa: S101 - a request has an absolute URL
    scheme, host, path = parts["scheme"].lower(), parts["host"], parts["path"] or "/"
    if escapes_path:
        path = "/".join(quote(unquote_to_bytes(segment), safe="-_.~") for segment in path.split("/"))
    pairs = []
    sent = []
    for given in (parts["query"] or "")[1:].split("&"):
        if given:
            name, separator, value = given.partition("=")
            pairs.append((_encode(name), _encode(value)))
            sent.append(f"{pairs[-1][0]}{separator}{pairs[-1][1]}")
    query = "&".join(f"{name}={value}" for name, value in sorted(pairs))
    whole = f"{scheme}://{host}{path}{'?' if sent else ''}{'&'.join(sent)}"
    return host.removesuffix(_DEFAULT_PORTS[scheme]), path, query, whole


def _encode(text: str) -> str:
    """Return a part of a query with all other characters than the unreserved ones of RFC 3986 escaped."""
    return quote(unquote_to_bytes(text.replace("+", " ")), safe="-_.~")


def _normalize_path(path: str) -> str:
    """Return a path without its ``.`` and ``..`` and without empty segments, as all services but S3 sign it."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == ".." and kept:
            kept.pop()
        elif segment not in ("", ".", ".."):
            kept.append(segment)
    slash = "/" if kept and path.endswith(("/", "/.", "/..")) else ""
    return f"/{'/'.join(kept)}{slash}"


def _find_signed_headers(host: str, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers that are signed, sorted by name, with their canonical values."""
    found = {"host": host}
    for name, value in headers:
        lower = name.lower()
        if lower in _SIGNED_HEADERS or lower.startswith("x-amz-"):
            found[lower] = " ".join(value.split())
    return sorted(found.items())
