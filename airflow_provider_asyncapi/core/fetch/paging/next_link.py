"""Pages of which each holds the URL of the next."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from airflow_provider_asyncapi.core.errors import UnsafeValueError
from airflow_provider_asyncapi.core.fetch.paging.base import PagePosition, PointerPaging
from airflow_provider_asyncapi.core.http import urls
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.json_values import JsonValue, as_text
from airflow_provider_asyncapi.core.templates import Variables
from airflow_provider_asyncapi.core.text import shorten

#: A quoted text that isn't closed takes the rest, since otherwise each quote in it would be a start to look from.
_QUOTED = r"\"(?:[^\"\\]|\\.)*+(?:\"|\\?\Z)"
_LINK = re.compile(rf"<([^<>]*)>((?:[^,<\"]|{_QUOTED})*+)")
_LINK_PARAMETER = re.compile(rf";\s*([^\s=;\"]+)\s*(?:=\s*({_QUOTED}|[^\s;\"]*))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class NextLink(PointerPaging):
    """Pages by link."""

    name = "next link"
    summary = "`next_page`: the selector of the next page's URL, or `header:Link` (RFC 8288)."
    parameters = ("next_page",)

    def next_pointer(self, response: Response, variables: Variables) -> JsonValue:
        """
        Return the URL of the next page.

        :raises UnsafeValueError: if it isn't one.
        """
        found = self.find_pointer(response, variables)
        if found is None:
            return None
        selector, value = found
        link = as_text(value)
        if re.fullmatch(r"header:\s*link", selector, re.IGNORECASE):
            link = find_next_link(link) or ""
            if not link:
                return None
        return resolve_link(response, link, "next_page")

    def make_pointer_position(self, index: int, pointer: JsonValue) -> PagePosition:
        """Return the position of the page with this URL."""
        return self.make_position(index, link=as_text(pointer))

    def has_more_after_inline(self, variables: Variables, endpoint_variable: str | None) -> bool:
        """Return whether the URL of the second page was captured from the same response as the first page."""
        return endpoint_variable is not None and variables.get(endpoint_variable) not in (None, "", [])


def resolve_link(response: Response, link: str, parameter: str) -> str:
    """
    Return the URL of a link in a page.

    :param parameter: the parameter whose selector has found it, for messages.
    :raises UnsafeValueError: if it isn't one.
    """
    try:
        url = urls.resolve(response.url, link)
        urlsplit(url)
    except ValueError as error:
        why = f": it {error}" if isinstance(error, urls.AmbiguousUrlError) else ""
        raise UnsafeValueError(f"{parameter}: {shorten(link, 80)!r} is no URL{why}") from None
    return url


def find_next_link(header: str) -> str | None:
    """Return the URL of ``rel="next"`` in a ``Link`` header (RFC 8288, section 3)."""
    for url, parameters in _LINK.findall(header):
        for name, value in _LINK_PARAMETER.findall(parameters):
            if name.lower() == "rel" and "next" in value.strip('"').lower().split():
                return str(url)
    return None
