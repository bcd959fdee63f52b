"""The head of a request as bytes."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_asyncapi.core.http.file_bodies import RequestBody
from airflow_provider_asyncapi.transports.request_format import build_headers, request_target


def encode_head(
    method: str, url: str, headers: Iterable[tuple[str, str]], body: RequestBody, *, to_proxy: bool = False
) -> bytes:
    """
    Return the head of a request as it is sent (RFC 9112, section 3).

    :param url: the URL from :func:`~.request_format.encode_url`.
    :param to_proxy: whether the request is sent to a proxy, so that its first line needs the whole URL.
    :raises UnsafeValueError: if a header contains a line break, so that it would begin another header.
    """
    lines = [f"{name}: {value}" for name, value in build_headers(method, url, headers, body).items()]
    target = url if to_proxy else request_target(url)
    return "\r\n".join((f"{method} {target} HTTP/1.1", *lines, "", "")).encode()
