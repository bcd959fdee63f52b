"""
How a result in pages is walked through.

=============  =====================================================================  =================================
style          given                                                                  the request names
=============  =====================================================================  =================================
numbered       ``pages`` or ``last_page``; neither: until an empty or a 404 page       ``{page}``, or ``{offset}``
next link      ``next_page``: selector of a URL, or ``header:Link`` (RFC 8288)         nothing: the API gives the URL
cursor         ``cursor``: selector of the next cursor                                 ``{cursor}``
=============  =====================================================================  =================================

``page_size`` may be given with each, and is named ``{limit}``. ``total_rows`` finds the number of all
rows in each page.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_asyncapi.core import templates
from airflow_provider_asyncapi.core.errors import ConfigurationError, UnsafeValueError
from airflow_provider_asyncapi.core.http import urls
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.json_values import JsonValue, as_number, as_text, shorten
from airflow_provider_asyncapi.core.selectors.selection import Selection
from airflow_provider_asyncapi.core.templates import Variables

PAGING_PARAMETERS = (
    "first_page",
    "page_step",
    "pages",
    "last_page",
    "next_page",
    "cursor",
    "page_size",
    "max_pages",
    "total_rows",
)
#: The variables that only the requests of pages have.
PAGE_VARIABLES = frozenset({"page", "offset", "limit", "cursor"})
#: One that isn't closed takes the rest, for otherwise each quote in it would be a start to look from.
_QUOTED = r"\"(?:[^\"\\]|\\.)*+(?:\"|\\?\Z)"
_LINK = re.compile(rf"<([^<>]*)>((?:[^,<\"]|{_QUOTED})*+)")
_LINK_PARAMETER = re.compile(rf";\s*([^\s=;\"]+)\s*(?:=\s*({_QUOTED}|[^\s;\"]*))?")


class Style(enum.StrEnum):
    """What leads from one page to the next."""

    NUMBERED = "numbered"
    NEXT_LINK = "next link"
    CURSOR = "cursor"


@dataclass(frozen=True, slots=True)
class Paging:
    """
    How the pages of a result are found.

    :param style: what leads from one page to the next.
    :param first: the number of the first page.
    :param step: from one number to the next.
    :param count: how many pages there are, as a number or a template; None where it isn't known beforehand.
    :param last: the number of the last page, likewise.
    :param pointer: where a page names the next one, as a link or a cursor.
    :param size: how many rows a page should have.
    :param limit: how many pages are too many.
    :param total_rows: where a page states how many rows all pages have.
    """

    style: Style
    first: int = 1
    step: int = 1
    count: int | str | None = None
    last: int | str | None = None
    pointer: Selection | None = None
    size: int | None = None
    limit: int = 10_000
    total_rows: Selection | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any], names: set[str] | None) -> Paging:
        """
        Read the paging parameters.

        :param given: a mapping with keys of :data:`PAGING_PARAMETERS`.
        :param names: the variables that the page request names; None where that isn't known yet.
        :raises ConfigurationError: where they contradict each other, or the request names no page.
        """
        ways = [name for name in ("pages", "last_page", "next_page", "cursor") if given.get(name) is not None]
        if len(ways) > 1:
            raise ConfigurationError(f"{' and '.join(ways)}: are different ways of paging; give one")
        pointer = ways[0] if ways and ways[0] in ("next_page", "cursor") else None
        style = {None: Style.NUMBERED, "next_page": Style.NEXT_LINK, "cursor": Style.CURSOR}[pointer]
        size = _integer(given, "page_size", None, least=1)
        if names is not None:
            _check_names(style, names, is_counted=pointer is None and bool(ways), has_size=size is not None)
        return cls(
            style,
            first=_integer(given, "first_page", 1, least=0),
            step=_integer(given, "page_step", 1, least=1),
            count=given.get("pages"),
            last=given.get("last_page"),
            pointer=Selection.parse(given[pointer], pointer) if pointer else None,
            size=size,
            limit=_integer(given, "max_pages", 10_000, least=1),
            total_rows=Selection.parse_optional(given.get("total_rows"), "total_rows"),
        )

    def numbers(self, variables: Variables) -> list[int] | None:
        """
        Give the numbers of all pages, where they are known beforehand.

        :raises ConfigurationError: where what should be a count is no whole number, or is too large.
        """
        if self.count is not None:
            count = _count("pages", self.count, variables)
        elif self.last is not None:
            count = (_count("last_page", self.last, variables) - self.first) // self.step + 1
        else:
            return None
        if count > self.limit:
            raise ConfigurationError(f"pages: {count} pages are more than max_pages ({self.limit})")
        return [self.first + index * self.step for index in range(count)]

    def next_pointer(self, response: Response, variables: Variables) -> JsonValue:
        """
        Give the next page's link or cursor as a page names it; None on the last page.

        :raises ContentError: where the page can't be read.
        :raises UnsafeValueError: on a link that isn't one.
        """
        found = self.pointer.find(response, variables) if self.pointer else None
        if found is None:
            return None
        selector, value = found
        if self.style is Style.NEXT_LINK and re.fullmatch(r"header:\s*link", selector.text, re.IGNORECASE):
            value = next_link(as_text(value))
        if value in (None, "", False, [], {}):
            return None
        if self.style is Style.CURSOR:
            return value
        try:
            url = urls.resolve(response.url, as_text(value))
            urlsplit(url)
        except ValueError as error:
            why = f": it {error}" if isinstance(error, urls.AmbiguousUrlError) else ""
            raise UnsafeValueError(f"next_page: {shorten(as_text(value), 80)!r} is no URL{why}") from None
        return url


def next_link(header: str) -> str | None:
    """Find the URL of ``rel="next"`` in a ``Link`` header (RFC 8288, section 3)."""
    for url, parameters in _LINK.findall(header):
        for name, value in _LINK_PARAMETER.findall(parameters):
            if name.lower() == "rel" and "next" in value.strip('"').lower().split():
                return str(url)
    return None


def _check_names(style: Style, names: set[str], *, is_counted: bool, has_size: bool) -> None:
    """Check that the request names what tells one page from the next."""
    needed = {Style.NUMBERED: ("page", "offset"), Style.CURSOR: ("cursor",)}.get(style, ())
    if needed and not names.intersection(needed):
        shown = " or ".join(f"{{{name}}}" for name in needed)
        raise ConfigurationError(
            f"output_type='pages': the request has to name {shown} (in endpoint, query_params or body) for {style}"
            " pages; or give next_page, the selector of the next page's link"
        )
    if is_counted and "offset" in names and not has_size:
        raise ConfigurationError("page_size: is missing; where the pages are counted, {offset} is made of it")


def _count(name: str, given: JsonValue, variables: Variables) -> int:
    value = templates.render_json(given, variables) if isinstance(given, str) else given
    number = as_number(value)
    if number is None or number < 0 or number != int(number):
        known = ", ".join(f"{{{key}}}" for key in sorted(variables))
        raise ConfigurationError(
            f"{name}: {shorten(as_text(value), 80)!r} can't be a number of pages; known variables: {known}"
        )
    return int(number)


def _integer(given: Mapping[str, Any], name: str, default: Any, *, least: int) -> Any:
    value = given.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigurationError(f"{name}: has to be a whole number of at least {least}, not {value!r}")
    return value
