"""The URL and the headers of a request as they are sent, alike for all HTTP libraries."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from airflow_provider_asyncapi.core.errors import UnsafeValueError
from airflow_provider_asyncapi.core.http.file_bodies import RequestBody, size_of
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.http.redaction import redact_url
from airflow_provider_asyncapi.core.http.urls import escape_unsendable

#: The content codings are decoded by this provider and not by the libraries, whose limits and errors differ.
_HEADERS = {
    "user-agent": ("User-Agent", "airflow-provider-asyncapi"),
    "accept-encoding": ("Accept-Encoding", "gzip, deflate"),
}
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_WITHOUT_BODY = frozenset({"GET", "HEAD"})

#: A name or an IPv4 address, or an IPv6 address in brackets; and a port (RFC 3986, section 3.2.2). No library resolves
#: an escaped name, nor one of more than 255 bytes (RFC 1035, section 2.3.4).
_HOST = re.compile(r"(?:[\w.~!$&'()*+,;=-]{1,255}|\[(?P<ipv6>[0-9A-Fa-f:.]+)(?:%25[\w.~-]+)?\])(?::\d{0,5})?", re.ASCII)
_URL = re.compile(r"(?P<scheme>https?)://(?P<host>[^/?#]*)(?P<rest>[^#]*)", re.IGNORECASE)


def encode_url(request: Request) -> str:
    """
    Return the URL as it is sent: unchanged, except for characters that can't be sent.

    :raises UnsafeValueError: if it contains credentials, or its host is invalid.
    """
    parts = _URL.match(request.url)
    host = parts["host"] if parts else ""
    if "@" in host:
        raise UnsafeValueError(f"{request}: the URL holds a user name or a password; they belong into the connection")
    if parts is None or not _is_host(host):
        raise UnsafeValueError(f"{request}: {redact_url(host)!r} isn't a host; write it in ASCII (xn--…)")
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
    """Return the path and the query of a URL from :func:`encode_url` (RFC 9112, section 3.2.1)."""
    return "/" + url.partition("://")[2].partition("/")[2]


def add_default_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return all headers that the caller sets, each once."""
    fields = dict(_HEADERS)
    fields |= {name.lower(): (name, value) for name, value in headers}
    return dict(fields.values())


def build_headers(method: str, url: str, headers: Iterable[tuple[str, str]], body: RequestBody) -> dict[str, str]:
    """
    Return all header fields of a request, including the host and the length of the body.

    :param url: the URL from :func:`encode_url`.
    :raises UnsafeValueError: if a header contains a line break, so that it would begin another header.
    """
    scheme, _, rest = url.partition("://")
    fields = [("Host", rest.partition("/")[0].removesuffix(_DEFAULT_PORTS[scheme])), *headers]
    if body or method not in _WITHOUT_BODY:
        fields.append(("Content-Length", str(size_of(body))))
    complete = add_default_headers(fields)
    if any("\r" in text or "\n" in text for field in complete.items() for text in field):
        raise UnsafeValueError(f"{method} {redact_url(url)}: a header holds a line break")
    return complete
