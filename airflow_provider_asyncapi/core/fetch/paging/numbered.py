"""Pages with numbers or offsets: counted beforehand, or fetched until one is empty or a 404."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_asyncapi.core import templates
from airflow_provider_asyncapi.core.errors import ConfigurationError, ResultError
from airflow_provider_asyncapi.core.fetch.paging.base import Page, PageWalk, Paging
from airflow_provider_asyncapi.core.json_values import JsonValue, as_number, as_text
from airflow_provider_asyncapi.core.templates import Variables
from airflow_provider_asyncapi.core.text import shorten


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbered(Paging):
    """
    Pages whose requests differ by a number or an offset.

    :param pages: the number of pages, as a number or a template; None if it isn't known beforehand.
    :param last_page: the number of the last page, as a number or a template; None if it isn't known beforehand.
    """

    name = "numbered"
    summary = (
        "Pages by `{page}` (from `first_page`, in steps of `page_step`) or by `{offset}` (rows before the page)."
        " `pages` or `last_page` is their number; without both, they are fetched until one is empty or a 404."
    )
    parameters = ("pages", "last_page")
    text_parameters = ("pages", "last_page")
    variables = ("page", "offset")
    may_end_with_404 = True

    pages: int | str | None = None
    last_page: int | str | None = None

    @classmethod
    def parse_own_parameters(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters as they are: a template is rendered later."""
        return {"pages": given.get("pages"), "last_page": given.get("last_page")}

    def check_request_variables(self, names: set[str]) -> None:
        """Check that the request names the page, and that an offset can be computed."""
        # Not super(): a dataclass with slots is another class than the one that it would look for.
        Paging.check_request_variables(self, names)
        is_counted = self.pages is not None or self.last_page is not None
        if is_counted and "offset" in names and self.page_size is None:
            raise ConfigurationError("page_size: is missing; if the pages are counted, {offset} is computed from it")

    def count_pages(self, variables: Variables) -> int | None:
        """Return the number of pages, if a parameter states it."""
        if self.pages is not None:
            count = _render_count("pages", self.pages, variables)
        elif self.last_page is not None:
            count = max(
                (_render_count("last_page", self.last_page, variables) - self.first_page) // self.page_step + 1, 0
            )
        else:
            return None
        if count > self.max_pages:
            raise ConfigurationError(f"pages: {count} pages are more than max_pages ({self.max_pages})")
        return count

    def start_walk(self, index: int) -> PageWalk:
        """Fetch one page after the other."""
        return _NumberedWalk(self, index)


class _NumberedWalk(PageWalk):
    def __init__(self, paging: Numbered, index: int) -> None:
        self._paging = paging
        self._index = index
        self._offset, self._body, self._was_full = 0, b"", False
        self.position = paging.make_position(index)

    def is_past_end(self, page: Page) -> bool:
        return not page.rows

    def advance(self, page: Page, variables: Variables) -> bool:
        if page.response.body == self._body:
            raise ResultError(
                "is the same as the page before, so the API ignores its number, or repeats its last page; set pages or"
                " last_page"
            )
        # A page that isn't full is the last one only if the API fills pages as it was asked to.
        if self._was_full and len(page.rows) < (self._paging.page_size or 0):
            return False
        self._body = page.response.body
        self._was_full = len(page.rows) >= (self._paging.page_size or math.inf)
        self._offset += len(page.rows)
        self._index += 1
        self.position = self._paging.make_position(self._index, self._offset)
        return True


def _render_count(name: str, given: JsonValue, variables: Variables) -> int:
    value = templates.render_json(given, variables) if isinstance(given, str) else given
    number = as_number(templates.single_value(value))
    if number is None or number < 0 or number != int(number):
        known = ", ".join(f"{{{key}}}" for key in sorted(variables))
        raise ConfigurationError(
            f"{name}: {shorten(as_text(value), 80)!r} can't be a number of pages; known variables: {known}"
        )
    return int(number)
