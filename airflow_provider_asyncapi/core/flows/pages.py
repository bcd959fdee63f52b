"""Fetch a result page by page, in order, with no more pages in memory than are fetched at a time."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

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
            partial(
                _page, fetching, f"page {number}", _variables(paging, number, index * (paging.size or 0)), index == 0
            )
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
    offset, body, was_full = 0, b"", False
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
        if is_numbered:
            # Only where the API fills pages as it was asked to is one that isn't full the last.
            if was_full and len(rows) < (paging.size or 0):
                return index + 1
            offset, body, was_full = offset + len(rows), response.body, len(rows) >= (paging.size or math.inf)
            continue
        pointer = _next_pointer(fetching, paging, name, variables, response)
        if pointer is None:
            return index + 1
        if as_text(pointer) in pointers:
            raise ResultError(f"{name}: names a next page that was there already, so the pages run in a circle")
        pointers.add(as_text(pointer))
    raise AssertionError  # pragma: no cover - the count has no end


def _variables(paging: Paging, number: int, offset: int) -> dict[str, JsonValue]:
    limit = {} if paging.size is None else {"limit": paging.size}
    return {"page": number, "offset": offset, **limit}


def _page(
    fetching: Fetching, name: str, variables: Mapping[str, JsonValue], is_first: bool, *, is_open: bool = False
) -> Flow[Page]:
    """
    Fetch one page.

    :param is_open: whether a 404 only means that there are no more pages.
    """
    step = fetching.plan.step
    request = step.request
    # The first page has no cursor, unless a variable gives it: null in JSON, nothing in a text.
    blank = "" if request.body is not None and isinstance(request.body.content, str) else None
    scope = {"cursor": blank, **fetching.scope, **variables}
    if _LINK in variables:
        request = dataclasses.replace(request, endpoint=f"{{{_LINK}}}", params={})
    elif scope["cursor"] in (None, ""):
        request = dataclasses.replace(
            request, params=_without_cursor(request.params), headers=_without_cursor(request.headers)
        )
    step = dataclasses.replace(step, request=request)
    also = frozenset({_NOT_FOUND}) if is_open and not is_first else frozenset[int]()
    try:
        asked = fetching.request(step, scope)
        response = yield from fetching.answer(step, asked, scope, limit=_MAX_PAGE, also=also)
        if response.status in also:
            return response, []
        return response, fetching.decoded(decoding.decode_rows, asked, response, scope)
    except NoDataError as error:
        if is_first:
            raise
        return error.response, []
    except AsyncApiError as error:
        raise type(error)(f"{name}: {error}") from error


def _without_cursor(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value != "{cursor}"}


def _next_pointer(
    fetching: Fetching, paging: Paging, name: str, variables: Mapping[str, JsonValue], response: Response
) -> JsonValue:
    try:
        return paging.next_pointer(response, {**fetching.scope, **variables})
    except AsyncApiError as error:
        raise type(error)(f"{name}: {fetching.api.redact(str(error))}") from error
