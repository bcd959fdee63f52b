"""Build requests and read responses as bytes on the wire, alike for both libraries."""

from __future__ import annotations

import ipaddress
import re
import zlib
from collections.abc import Iterable, Iterator

from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings, link_local
from airflow_provider_asyncapi.core.effects import Send
from airflow_provider_asyncapi.core.errors import (
    BodyTooLargeError,
    RefusedContentError,
    TransportError,
    UnsafeValueError,
)
from airflow_provider_asyncapi.core.http.compression import CODINGS, Inflater, inflater_of
from airflow_provider_asyncapi.core.http.hosts import is_link_local
from airflow_provider_asyncapi.core.http.messages import Headers, Request, Response, most_values
from airflow_provider_asyncapi.core.http.redaction import shown_url
from airflow_provider_asyncapi.core.http.urls import escape_unsendable
from airflow_provider_asyncapi.transports.limits import Limit

#: The content codings are decoded here and not by the libraries, whose limits and errors differ.
_HEADERS = {
    "user-agent": ("User-Agent", "airflow-provider-asyncapi"),
    "accept-encoding": ("Accept-Encoding", "gzip, deflate"),
}
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_WITHOUT_BODY = frozenset({"GET", "HEAD"})
#: Largest chunk of a body that is read at a time, in bytes.
CHUNK = 256 * 1024
#: Longest line of a response's head. aiohttp's own limit of 8190 is too short for the Location of some signed URLs.
LONGEST_LINE = 65536
#: Bytes by which an encoded body may exceed the limit of the decoded one, for its head and trailer.
_CODING_OVERHEAD = 64 * 1024

#: A name or an IPv4 address, or an IPv6 address in brackets; and a port (RFC 3986, section 3.2.2). No library resolves
#: an escaped name, nor one of more than 255 bytes (RFC 1035, section 2.3.4).
_HOST = re.compile(r"(?:[\w.~!$&'()*+,;=-]{1,255}|\[(?P<ipv6>[0-9A-Fa-f:.]+)(?:%25[\w.~-]+)?\])(?::\d{0,5})?", re.ASCII)
_URL = re.compile(r"(?P<scheme>https?)://(?P<host>[^/?#]*)(?P<rest>[^#]*)", re.IGNORECASE)
#: Status codes of interim responses (RFC 9110, section 15.2); 101 isn't among them, since no request asks for it.
INTERIM = frozenset(range(100, 200)) - {101}


def wire_url(request: Request) -> str:
    """
    Return the URL as it is sent: unchanged, except for characters that can't be sent.

    :raises UnsafeValueError: if it contains credentials, or its host is invalid.
    """
    parts = _URL.match(request.url)
    host = parts["host"] if parts else ""
    if "@" in host:
        raise UnsafeValueError(f"{request}: the URL holds a user name or a password; they belong into the connection")
    if parts is None or not _is_host(host):
        raise UnsafeValueError(f"{request}: {shown_url(host)!r} isn't a host; write it in ASCII (xn--…)")
    slash = "" if parts["rest"].startswith("/") else "/"
    return f"{parts['scheme'].lower()}://{host}{slash}{escape_unsendable(parts['rest'])}"


def _is_host(text: str) -> bool:
    """Return whether a text is a host with or without a port; the libraries don't check that."""
    match = _HOST.fullmatch(text)
    if match is None or match["ipv6"] is None:
        return match is not None
    try:
        ipaddress.IPv6Address(match["ipv6"])
    except ValueError:
        return False
    return True


def request_target(url: str) -> str:
    """Return the path and the query of a URL from :func:`wire_url` (RFC 9112, section 3.2.1)."""
    return "/" + url.partition("://")[2].partition("/")[2]


def wire_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return all headers that the caller sets, each once."""
    fields = dict(_HEADERS)
    fields |= {name.lower(): (name, value) for name, value in headers}
    return dict(fields.values())


def wire_head(
    method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes | None, *, to_proxy: bool = False
) -> bytes:
    """
    Return the head of a request as it is sent (RFC 9112, section 3).

    :param url: the URL from :func:`wire_url`.
    :param to_proxy: whether the request is sent to a proxy, so that its first line needs the whole URL.
    :raises UnsafeValueError: if a header contains a line break, so that it would begin another header.
    """
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    fields = [("Host", host.removesuffix(_DEFAULT_PORTS[scheme])), *headers]
    if body or method not in _WITHOUT_BODY:
        fields.append(("Content-Length", str(len(body or b""))))
    lines = [f"{name}: {value}" for name, value in wire_headers(fields).items()]
    if any("\r" in line or "\n" in line for line in lines):
        raise UnsafeValueError(f"{method} {shown_url(url)}: a header holds a line break")
    return "\r\n".join((f"{method} {url if to_proxy else slash + path} HTTP/1.1", *lines, "", "")).encode()


def check_peer(settings: ConnectionSettings, request: Request, address: str) -> None:
    """
    Check the address that a name led to, before anything is sent there.

    :raises UnsafeValueError: if clouds give out credentials there, and the connection doesn't name the host.
    """
    if is_link_local(address) and not settings.names(request.url):
        raise link_local(request, address)


class Receiver:
    """
    Build a response from its chunks.

    :param send: the effect.
    :param status: the status code.
    :param fields: the header fields as bytes.
    :param limit: the time limit of the exchange.
    """

    def __init__(
        self,
        send: Send,
        status: int,
        fields: Iterable[tuple[bytes, bytes]],
        limit: Limit,
    ) -> None:
        headers = Headers((_header_text(name), _header_text(value)) for name, value in fields)
        self._limit = limit
        self._response = Response(status, headers, url=send.request.url)
        self._send = send
        self._sink = send.sink if self._response.ok else None
        self._body = bytearray()
        self._received = 0
        coding = self._response.content_coding
        if coding and coding not in CODINGS and self._response.ok:
            raise RefusedContentError(
                f"{send.request} answered {status} with the content coding {coding!r}, which wasn't asked for and can't"
                " be undone: ask for none, with headers={'Accept-Encoding': 'identity'}"
            )
        self._inflater = inflater_of(coding)
        if self._sink is not None:
            self._sink.begin(self._response)
            limit.expect_data()

    @property
    def is_streamed(self) -> bool:
        """Whether the body goes to a sink."""
        return self._sink is not None

    def feed(self, chunk: bytes) -> None:
        """
        Process the next chunk.

        :raises BodyTooLargeError: if the body is larger than allowed.
        :raises TransportError: if its content coding is broken, or it takes too long.
        """
        if self._sink is not None:
            self._sink.write(chunk)
            self._response.streamed += len(chunk)
            # The time that the sink takes doesn't count.
            self._limit.expect_data()
            return
        self._limit.check()
        self._received += len(chunk)
        # A body that decodes to little or nothing could go on for ever.
        if self._received > self._send.limit + _CODING_OVERHEAD:
            raise self._too_large()
        for piece in (chunk,) if self._inflater is None else self._decoded(self._inflater, chunk):
            self._body += piece
            if len(self._body) > self._send.limit:
                raise self._too_large()

    def finish(self) -> Response:
        """
        Return the response, whose body is complete.

        :raises TransportError: if its content coding ends too early.
        """
        if self._sink is not None:
            self._sink.finish()
        elif self._inflater is not None and self._inflater.is_open:
            raise self._broken("ends too early")
        self._response.body = bytes(self._body)
        self._response.max_values = most_values(self._send.limit)
        return self._response

    def _decoded(self, inflater: Inflater, chunk: bytes) -> Iterator[bytes]:
        try:
            yield from inflater.feed(chunk)
        except zlib.error as error:
            raise self._broken(f"is broken ({error})") from error

    def _too_large(self) -> BodyTooLargeError:
        return BodyTooLargeError(
            f"{self._send.request} answered {self._response.status} with a body of more than {self._send.limit} bytes,"
            " which isn't read"
        )

    def _broken(self, how: str) -> TransportError:
        coding = self._response.content_coding
        return TransportError(f"{self._send.request} answered {self._response.status}, but its {coding} coding {how}")


def _header_text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
