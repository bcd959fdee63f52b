"""An HTTP request and an HTTP response, as values."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, overload
from urllib.parse import urlsplit

from airflow_provider_asyncapi.core.errors import ConfigurationError, ResponseError, UnsafeValueError
from airflow_provider_asyncapi.core.http import documents, xml_documents
from airflow_provider_asyncapi.core.http.compression import parse_content_codings
from airflow_provider_asyncapi.core.http.file_bodies import RequestBody
from airflow_provider_asyncapi.core.http.redaction import redact_url
from airflow_provider_asyncapi.core.json_values import JsonValue, freeze

if TYPE_CHECKING:
    from lxml import etree

    from airflow_provider_asyncapi.core.http.delays import Delay

T = TypeVar("T")
D = TypeVar("D")

DEFAULT_PORTS = {"http": 80, "https": 443}
#: RFC 9110, section 5.6.2.
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: ASCII only (RFC 9110, section 5.5): beyond it each HTTP library has an encoding of its own.
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
#: Headers of the length of the body (RFC 9112, section 6): with wrong values the server would read another body.
_FRAMING = frozenset({"content-length", "transfer-encoding"})
#: Largest body that is read into memory by default, in bytes. No status document is this large, and a larger one would
#: only fill the memory of the triggerer.
MAX_BODY = 1024 * 1024
#: Bytes of the size limit of a body for each value that selectors may search: 32,768 values in a status document.
_BYTES_PER_VALUE = 32


def max_json_values(limit: int) -> int:
    """
    Return the maximum number of JSON values in a body for selectors that search all of them.

    :param limit: size limit of the body, in bytes.
    """
    return limit // _BYTES_PER_VALUE


def parse_media_type(content_type: str) -> str:
    """Return the media type of a Content-Type without its parameters, lower case; empty if there is none."""
    return content_type.partition(";")[0].strip().lower()


class Headers(Mapping[str, str]):
    """
    Header fields: names in any case, repeated fields joined by a comma (RFC 9110, section 5.3).

    :param fields: (name, value) pairs in the order received.
    """

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields: dict[str, str] = {}
        for name, value in fields:
            key = name.lower()
            self._fields[key] = f"{self._fields[key]}, {value}" if key in self._fields else value

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    @overload
    def get(self, name: str, /) -> str | None: ...

    @overload
    def get(self, name: str, /, default: str | D) -> str | D: ...

    def get(self, name: str, /, default: Any = None) -> Any:
        """Return the value of a field; each poll looks for some that most responses don't have."""
        return self._fields.get(name.lower(), default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


def validate_header(name: Any, value: str, where: str) -> tuple[str, str]:
    """
    Return a header field in the form in which it is sent.

    :param where: the parameter with the header, for messages; they don't contain the value, which may be a secret.
    :raises ConfigurationError: if HTTP doesn't allow the name or the value.
    """
    if not isinstance(name, str) or not HEADER_NAME.fullmatch(name):
        raise ConfigurationError(f"{where}: {name!r} can't be the name of a header")
    if name.lower() in _FRAMING:
        raise ConfigurationError(f"{where}: the header {name!r} is set by the HTTP client from the body; take it out")
    stripped = value.strip()
    if not _HEADER_VALUE.fullmatch(stripped):
        raise ConfigurationError(
            f"{where}: the header {name!r} holds a line break, or another character that isn't printable ASCII;"
            " take it out, or encode it as the API says"
        )
    return name, stripped


def parse_origin(url: str) -> tuple[str, str, int | None]:
    """
    Return scheme, host and port of a URL (RFC 6454).

    :raises UnsafeValueError: if it isn't one.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UnsafeValueError(f"{redact_url(url)!r} isn't the address of a server") from None
    return parts.scheme, parts.hostname or "", port or DEFAULT_PORTS.get(parts.scheme)


@dataclass(frozen=True, slots=True)
class Request:
    """
    One request, ready to send.

    :param method: upper case.
    :param url: absolute, percent-encoded.
    :param headers: (name, value) pairs.
    :param body: the bytes, or what they are read from while they are sent; None for no body.
    :param default_headers: the headers that are sent unless the task or the connection has one of the same name.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = dataclasses.field(default=(), repr=False)
    body: RequestBody = dataclasses.field(default=None, repr=False)
    default_headers: tuple[tuple[str, str], ...] = dataclasses.field(default=(), repr=False)

    def __repr__(self) -> str:
        return f"<Request {self}>"

    def __str__(self) -> str:
        return f"{self.method} {redact_url(self.url)}"

    def has_header(self, name: str) -> bool:
        """Return whether a header of this name, in any case, is set."""
        return any(key.lower() == name.lower() for key, _ in self.headers)

    def with_headers(self, headers: Iterable[tuple[str, str]]) -> Request:
        """Return the request with these headers, each replacing one of the same name."""
        added = tuple(headers)
        names = {name.lower() for name, _ in added}
        kept = tuple(pair for pair in self.headers if pair[0].lower() not in names)
        return dataclasses.replace(self, headers=kept + added)

    def with_missing_headers(self, headers: Iterable[tuple[str, str]]) -> Request:
        """Return the request with these headers added, except names that it already has."""
        added = tuple((name, value) for name, value in headers if not self.has_header(name))
        return dataclasses.replace(self, headers=self.headers + added)

    def with_default_headers(self) -> Request:
        """Return the request as it is sent, with its default headers unless it has others of the same names."""
        return dataclasses.replace(self.with_missing_headers(self.default_headers), default_headers=())


@dataclass(eq=False, repr=False)
class Response:
    """
    A response with its whole body. After a streamed download the body is empty, and the bytes in the sink are counted.

    :param status: the status code.
    :param headers: the header fields.
    :param body: the decoded bytes (content codings undone).
    :param url: the URL of the response.
    :param method: the method of the request; a redirect may have changed it.
    :param charset: the charset of the text if the DAG author sets it; it overrides the one that the response declares.
    :param streamed_bytes: number of bytes that went to a sink instead of the body, before decompression.
    :param delay: the delay of the request; None if it was on time.
    :param answered_at: the time at which its head was received, on the steady clock of the driver; 0 if it isn't known.
    :param max_values: maximum number of values in its JSON for selectors that search all of them; None for no limit.
        Other limits of searching and parsing follow from it.
    """

    status: int
    headers: Headers = dataclasses.field(default_factory=Headers)
    body: bytes = b""
    _: dataclasses.KW_ONLY
    url: str = ""
    streamed_bytes: int = 0
    delay: Delay | None = None
    answered_at: float = dataclasses.field(default=0.0, compare=False)
    charset: str | None = None
    method: str = "GET"
    max_values: int | None = None

    def __repr__(self) -> str:
        return f"<Response {self.status} {redact_url(self.url)}>"

    def is_redirected(self, request: Request) -> bool:
        """Return whether this is the response to another request, after a redirect."""
        return self.url not in ("", request.url)

    @property
    def ok(self) -> bool:
        """Whether the status code is 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004 - the class of success codes

    @property
    def content_type(self) -> str:
        """The media type without parameters, lower case; empty if there is none."""
        return parse_media_type(self.headers.get("content-type", ""))

    @property
    def declared_type(self) -> str:
        """The content type with its parameters, and the charset that the DAG author sets; empty if there is none."""
        declared = self.headers.get("content-type", "")
        return declared if self.charset is None else f"{self.content_type}; charset={self.charset}"

    def with_charset(self, charset: str | None) -> Response:
        """Return the same response with another charset; None changes nothing."""
        return self if charset in (None, self.charset) else dataclasses.replace(self, charset=charset)

    @property
    def content_coding(self) -> str:
        """The content codings of the body (``Content-Encoding``), lower case; empty if there are none."""
        named = self.headers.get("content-encoding")
        return parse_content_codings(named) if named else ""

    @property
    def fingerprint(self) -> bytes | None:
        """Bytes that are the same for another response with the same content; None if it can't be compared."""
        return self.body

    @cached_property
    def json(self) -> JsonValue:
        """
        The body read as JSON.

        :raises ContentError: if it isn't.
        """
        return self._parse_once("json", lambda: documents.parse_json(self.body, self.declared_type, self.max_values))

    @cached_property
    def xml(self) -> etree._Element:
        """
        The root element of the body read as XML.

        :raises ContentError: if it isn't XML.
        :raises UnsafeContentError: if it needs entities, or is nested too deeply.
        """
        return self._parse_once("xml", lambda: xml_documents.parse_xml(self.body, self.declared_type, self.charset))

    def _parse_once(self, kind: str, parse: Callable[[], T]) -> T:
        """Parse the body; after an error, raise the same error again instead of parsing it for each selector."""
        errors: dict[str, ResponseError] = self.__dict__.setdefault("_errors", {})
        if kind in errors:
            # A copy, since raising an error adds a traceback to it.
            raise copy(errors[kind])
        try:
            return parse()
        except ResponseError as error:
            errors[kind] = copy(error)
            raise

    @cached_property
    def text(self) -> str:
        """The body as text, in its declared charset, undecodable bytes replaced."""
        return documents.decode_text(self.body, self.declared_type, errors="replace")


class ResponsePart(Response):
    """
    A part of a JSON response, with the interface of a response.

    Thousands are made and compared, and the text of few is read, so it is made on demand.

    :param whole: the response that contains the part.
    :param value: the value of the part; None if there is none.
    """

    def __init__(self, whole: Response, value: JsonValue) -> None:
        self.status, self.headers, self.url, self.delay = whole.status, whole.headers, whole.url, whole.delay
        self.max_values = whole.max_values
        self.json = value

    @cached_property
    def text(self) -> str:
        """The value as JSON text."""
        return "" if self.json is None else json.dumps(self.json, ensure_ascii=False)

    @cached_property
    def body(self) -> bytes:  # type: ignore[override]  # as writable as the whole's
        """The same as UTF-8."""
        return self.text.encode("utf-8", "replace")

    @cached_property
    def fingerprint(self) -> bytes | None:
        """Bytes that are the same for another part of the same value; None if it is nested too deeply."""
        return freeze(self.json)
