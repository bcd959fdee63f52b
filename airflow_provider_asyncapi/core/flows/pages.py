"""Fetch a result page by page, in order, with no more pages in memory than are fetched at a time."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

from airflow_provider_asyncapi.core import decoding
from airflow_provider_asyncapi.core.effects import MAX_BODY, Flow, Gather
from airflow_provider_asyncapi.core.errors import AsyncApiError, ResultError
from airflow_provider_asyncapi.core.flows.fetch import Fetching, NoDataError
from airflow_provider_asyncapi.core.messages import Response
from airflow_provider_asyncapi.core.paging import Paging, Style
from airflow_provider_asyncapi.core.values import JsonValue, as_text

#: Takes each page's rows and answer.
Collect: TypeAlias = Callable[[list[JsonValue], Response], object]
Page: TypeAlias = tuple[Response, list[JsonValue]]

#: One page in memory; a result that is larger is a file.
_MAX_PAGE = 64 * MAX_BODY
_NOT_FOUND = 404
#: How a request for a link that the API has given names it.
_LINK = "next_page"


def fetch_pages(fetching: Fetching, paging: Paging, collect: Collect) -> Flow[int]:
    """
    Fetch all pages.

    :param collect: is given the pages in order.
    :return: how many pages there were.
    :raises AsyncApiError: naming the page that can't be had.
    """
    numbers = paging.numbers(fetching.scope)
    if numbers is None:
        return (yield from _in_a_row(fetching, paging, collect))
    size = fetching.plan.concurrency
    for start in range(0, len(numbers), size):
        batch = [
            partial(_page, fetching, f"page {number}", _variables(paging, number, index * (paging.size or 0)), index == 0)
            for index, number in enumerate(numbers[start : start + size], start)
        ]
        pages: list[Page] = yield Gather(batch, size)
        for response, rows in pages:
            collect(rows, response)
    return len(numbers)


def _in_a_row(fetching: Fetching, paging: Paging, collect: Collect) -> Flow[int]:
    """Fetch pages of which each says, or shows by being there, whether there is another."""
    is_numbered = paging.style is Style.NUMBERED
    pointer: JsonValue = None
    pointers: set[str] = set()
    offset, body, is_full = 0, b"", False
    for index in itertools.count():
        number = paging.first + index * paging.step
        name = f"page {number}"
        variables = _variables(paging, number, offset)
        if pointer is not None:
            variables |= {_LINK if paging.style is Style.NEXT_LINK else "cursor": pointer}
        response, rows = yield from _page(fetching, name, variables, index == 0, is_open=is_numbered)
        if is_numbered and not rows:
            return index
        if index == paging.limit:
            raise ResultError(f"there are more than {paging.limit} pages (max_pages)")
        if is_numbered and response.body == body:
            raise ResultError(
                f"{name}: is the same as the page before, so the API takes no notice of its number, or repeats its last"
                " page; give pages or last_page"
            )
        collect(rows, response)
        offset, body = offset + len(rows), response.body
        # Only an API that has once filled a page to the size asked for means something by a page that isn't full.
        is_full = len(rows) >= paging.size if paging.size and (index == 0 or is_full) else False
        ...
    raise AssertionError
