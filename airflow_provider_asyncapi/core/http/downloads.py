"""The download of one file: resume it after an interruption, and check that it is complete and intact."""

from __future__ import annotations

import re
import zlib
from http import HTTPStatus
from typing import Protocol

from airflow_provider_asyncapi.core.errors import TransportError
from airflow_provider_asyncapi.core.http.checksums import Checksum, find_header_checksum
from airflow_provider_asyncapi.core.http.compression import Inflater, make_inflater
from airflow_provider_asyncapi.core.http.dates import parse_http_date
from airflow_provider_asyncapi.core.http.messages import MAX_BODY, Request, Response
from airflow_provider_asyncapi.core.http.redaction import redact_url

#: RFC 9110, section 14.4.
_CONTENT_RANGE = re.compile(r"bytes\s+(\d+)-(\d+)/(\d+|\*)", re.IGNORECASE)


class DownloadTarget(Protocol):
    """A file that a download is written to."""

    def expect(self, size: int | None, /) -> object:
        """Set the expected size of the whole file in bytes, before the first write."""

    def write(self, data: bytes, /) -> object:
        """Add the next bytes."""

    def restart(self) -> object:
        """Discard what was written: the transfer begins again."""


class Download:
    """
    Writes the bodies of one or more responses into a file: a :class:`~.effects.Sink`.

    An interrupted transfer is resumed (``Range``, RFC 9110, section 14) if the response had a validator that identifies
    the same representation (``If-Range``, section 13.1.5). Any other transfer begins again.

    :param target: the file, which gets the body without content codings.
    :param checksum: the checksum of the file if the API states it elsewhere than in a header.
    :param trusts_headers: whether the checksums that the response's headers state are compared.
    """

    def __init__(
        self, target: DownloadTarget, checksum: Checksum | None = None, *, trusts_headers: bool = True
    ) -> None:
        self._target = target
        self._trusts_headers = trusts_headers
        self._given_checksum = checksum
        #: The first response of a transfer that may be resumed; None if it is complete, or can't be resumed.
        self._head: Response | None = None
        self._can_resume = True
        self._received = 0
        self._total: int | None = None
        #: The largest number of received bytes after the current response.
        self._expected_end: int | None = None
        self._inflater: Inflater | None = None
        self._header_checksum: Checksum | None = None
        #: The beginning of the body while the body is small, for rules: a response that reports an error is never
        #: large.
        self.head, self._is_large = b"", False
        #: The largest number of bytes that were kept after an interruption: while it grows, retries make progress.
        self.kept_bytes = 0

    def prepare_request(self, request: Request) -> Request:
        """Return the request for the missing part of the file, or for all of it if the transfer can't be resumed."""
        validator = None if self._head is None else _find_validator(self._head)
        if not self._can_resume or validator is None or not self._received or request.method != "GET":
            return request
        self.kept_bytes = max(self.kept_bytes, self._received)
        return request.with_headers([("Range", f"bytes={self._received}-"), ("If-Range", validator)])

    def refuses_range(self, response: Response) -> bool:
        """Return whether a response refuses the range; later requests are for the whole file then."""
        if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and self._can_resume:
            self._can_resume = False
            return True
        return False

    def begin(self, head: Response) -> None:
        """
        Begin with the head of a response.

        :raises TransportError: if it is for another part of the body than requested, or its length is invalid.
        """
        if head.status == HTTPStatus.PARTIAL_CONTENT:
            self._check_continuation(head)
            return
        self._target.restart()
        self._received, self._head, self.head, self._is_large = 0, head, b"", False
        self._total = self._expected_end = self._parse_content_length(head)
        self._inflater = make_inflater(head.content_coding)
        self._header_checksum = find_header_checksum(head.headers) if self._trusts_headers else None
        if self._given_checksum is not None:
            self._given_checksum.restart()
        self._target.expect(None if self._inflater else self._total)

    def write(self, chunk: bytes) -> None:
        """
        Write the next bytes.

        :raises TransportError: if the content coding is broken.
        """
        self._received += len(chunk)
        if self._header_checksum is not None:
            self._header_checksum.update(chunk)
        if self._inflater is None:
            self._write_decoded(chunk)
            return
        try:
            for piece in self._inflater.feed(chunk):
                self._write_decoded(piece)
        except zlib.error as error:
            raise self._discard_transfer("but its content coding is broken") from error

    def finish(self) -> None:
        """
        Check that the file is complete and intact.

        :raises TransportError: if it isn't.
        """
        if self._total is not None and self._received < self._total:
            raise TransportError(f"{self._describe_response()}, but only {self._received} of {self._total} bytes came")
        if self._expected_end is not None and self._received > self._expected_end:
            raise self._discard_transfer(f"with more than the {self._expected_end} bytes that it should have")
        if self._inflater is not None and self._inflater.is_open:
            raise self._discard_transfer("but its content coding ends too early")
        for checksum in (self._header_checksum, self._given_checksum):
            if checksum is not None and (problem := checksum.describe_mismatch()):
                raise self._discard_transfer(f"but {problem} (checksum=False compares none)")
        self._head = None

    def replace_content(self, response: Response) -> None:
        """Replace the file with the body of a response, whatever its status code."""
        self._target.restart()
        self._target.write(response.body)

    def _check_continuation(self, head: Response) -> None:
        """Check that a partial response continues the received part of the same representation."""
        match = _CONTENT_RANGE.fullmatch(head.headers.get("content-range", "").strip())
        if self._head is None or match is None or not self._is_continuation(self._head, head, match):
            self._can_resume = False
            raise self._discard_transfer("with another part of the body than was asked for", head)
        self._total = self._total if match[3] == "*" else int(match[3])
        self._expected_end = int(match[2]) + 1

    def _is_continuation(self, kept: Response, head: Response, match: re.Match[str]) -> bool:
        first, last, total = int(match[1]), int(match[2]), match[3]
        same_size = total == "*" or (last < int(total) and self._total in (None, int(total)))
        same_coding = head.content_coding == kept.content_coding
        changed = any(
            name in head.headers and head.headers[name] != kept.headers.get(name) for name in ("etag", "last-modified")
        )
        return first == self._received and first <= last and same_size and same_coding and not changed

    def _parse_content_length(self, head: Response) -> int | None:
        """Return the Content-Length of a response; a repeated equal number counts once (RFC 9112, section 6.3)."""
        stated = head.headers.get("content-length")
        if stated is None or head.headers.get("transfer-encoding"):
            return None
        number, *others = {each.strip() for each in stated.split(",")}
        if others or not (number.isascii() and number.isdecimal()):
            raise self._discard_transfer("with a Content-Length that is no number", head)
        return int(number)

    def _write_decoded(self, data: bytes) -> None:
        self._target.write(data)
        self._is_large = self._is_large or len(self.head) + len(data) > MAX_BODY
        self.head = b"" if self._is_large else self.head + data
        if self._given_checksum is not None:
            self._given_checksum.update(data)

    def _discard_transfer(self, how: str, head: Response | None = None) -> TransportError:
        """Discard the transfer, and return the error about its broken body."""
        shown = self._describe_response(head)
        self._head = None
        return TransportError(f"{shown}, {how}")

    def _describe_response(self, head: Response | None = None) -> str:
        response = head or self._head
        return f"{redact_url(response.url)} answered {response.status}" if response else "the transfer"


def _find_validator(head: Response) -> str | None:
    """
    Return the validator of a representation: a strong ETag, or a date that is old enough to be strong.

    RFC 9110, section 8.8.2.2: a date is strong if the response is at least a second younger.
    """
    if head.headers.get("accept-ranges", "").strip().lower() == "none":
        return None
    etag = head.headers.get("etag", "").strip()
    if etag:
        return etag if etag.startswith('"') else None
    modified, sent = (parse_http_date(head.headers.get(name, "")) for name in ("last-modified", "date"))
    if modified is None or sent is None or sent - modified < 1:
        return None
    return head.headers["last-modified"].strip()
