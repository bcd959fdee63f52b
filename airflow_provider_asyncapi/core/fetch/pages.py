"""Fetch a result page by page, in order, with no more pages in memory than are fetched at a time."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from airflow_provider_asyncapi.core import templates
from airflow_provider_asyncapi.core.effects import MAX_BODY, Flow, Log, RunConcurrently
from airflow_provider_asyncapi.core.errors import AsyncApiError, ResultError
from airflow_provider_asyncapi.core.fetch import decoding
from airflow_provider_asyncapi.core.fetch.flow import Fetching, NoDataError
from airflow_provider_asyncapi.core.fetch.paging import Paging, Style
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.json_values import JsonValue, as_number, as_text

#: Takes each page's rows and answer.
Collect: TypeAlias = Callable[[list[JsonValue], Response], object]

#: One page in memory; a result that is larger is a file.
_MAX_PAGE = 64 * MAX_BODY
_NOT_FOUND = 404
#: How a request for a link that the API has given names it.
_LINK = "next_page"


@dataclass(frozen=True, slots=True)
class Page:
    """
    One page.

    :param name: for messages.
    :param response: the answer.
    :param rows: what is selected of it.
    :param is_no_data: whether a rule says that it has no rows.
    """

    name: str
    response: Response
    rows: list[JsonValue]
    is_no_data: bool = False


def fetch_pages(fetching: Fetching, paging: Paging, collect: Collect, *, inline: JsonValue = None) -> Flow[int]:
    """
    Fetch all pages.

    :param collect: is given the pages in order.
    :param inline: the rows of the first page, where the job's answers held them already.
    :return: how many pages there were.
    :raises AsyncApiError: naming the page that can't be had, or contradicts those before.
    """
    ledger = _Ledger(fetching, paging, collect)
    if inline is not None:
        name = f"page {paging.first}"
        ledger.enter(Page(name, decoding.json_response(inline), decoding.rows_of(inline)), is_read=False)
    numbers = paging.numbers(fetching.scope)
    if numbers is None:
        yield from _in_a_row(fetching, paging, ledger)
    else:
        flows = (
            partial(_page, fetching, paging, number, index * (paging.size or 0), is_first=index == 0)
            for index, number in enumerate(numbers)
            if index >= ledger.pages
        )
        yield RunConcurrently(flows, fetching.plan.concurrency, partial(ledger.enter, may_be_empty=False))
    ledger.close()
    # A selector that is misspelt looks the same as a result of one page.
    alone = f"; it names no next one at {paging.pointer}" if paging.pointer and ledger.pages == 1 else ""
    yield Log(logging.INFO, f"Fetched {ledger.pages} page{'s' * (ledger.pages != 1)} with {ledger.rows} rows{alone}")
    return ledger.pages


@dataclass(slots=True)
class _Ledger:
    """Hands the pages on, and holds each to what those before have said."""

    fetching: Fetching
    paging: Paging
    collect: Collect
    pages: int = 0
    rows: int = 0
    total_rows: float | None = None
    empty: Page | None = None

    def enter(self, page: Page, *, may_be_empty: bool = True, is_read: bool = True) -> None:
        """
        Take the next page.

        :param may_be_empty: whether pages with rows may come after one without; where the API has said how many pages
            there are, such a one has lost its rows.
        :param is_read: whether its answer is the page's own.
        """
        if is_read:
            self._compare_total(page)
        if page.rows and self.empty is not None:
            raise ResultError(f"{self.empty.name}: is empty, and {page.name} after it has {len(page.rows)} rows")
        if not page.rows and not page.is_no_data and not may_be_empty:
            self.empty = self.empty or page
        self.pages += 1
        self.rows += len(page.rows)
        self.collect(page.rows, page.response)

    def close(self) -> None:
        """Compare the number of rows with what the pages say."""
        if self.total_rows is not None and self.rows != self.total_rows:
            raise ResultError(
                f"total_rows: the pages say that there are {self.total_rows:g} rows, and have {self.rows}"
            )

    def _compare_total(self, page: Page) -> None:
        if self.paging.total_rows is None or page.is_no_data:
            return
        try:
            total = as_number(self.paging.total_rows.value(page.response, self.fetching.scope))
        except AsyncApiError as error:
            raise error.with_message(f"{page.name}: total_rows: {self.fetching.api.redact(str(error))}") from None
        if total is not None and self.total_rows not in (None, total):
            raise ResultError(
                f"{page.name}: says that there are {total:g} rows, and the pages before said {self.total_rows:g}: the"
                " result has changed meanwhile"
            )
        self.total_rows = self.total_rows if total is None else total


def _in_a_row(fetching: Fetching, paging: Paging, ledger: _Ledger) -> Flow[None]:
    """Fetch pages of which each says, or shows by being there, whether there is another."""
    is_numbered = paging.style is Style.NUMBERED
    pointer: JsonValue = None
    pointers: set[str] = set()
    offset, body, was_full = 0, b"", False
    if ledger.pages and _has_no_second(fetching, paging):
        return
    for index in itertools.count(ledger.pages):  # pragma: no branch - it has no end
        number = paging.first + index * paging.step
        given = {} if pointer is None else {_LINK if paging.style is Style.NEXT_LINK else "cursor": pointer}
        page = yield from _page(
            fetching, paging, number, offset, is_first=index == 0, is_open=is_numbered, pointer=given
        )
        if is_numbered and not page.rows:
            return
        if index == paging.limit:
            raise ResultError(f"there are more than {paging.limit} pages (max_pages)")
        if is_numbered and page.response.body == body:
            raise ResultError(
                f"{page.name}: is the same as the page before, so the API takes no notice of its number, or repeats its"
                " last page; give pages or last_page"
            )
        ledger.enter(page)
        if is_numbered:
            # Only where the API fills pages as it was asked to is one that isn't full the last.
            if was_full and len(page.rows) < (paging.size or 0):
                return
            offset, body = offset + len(page.rows), page.response.body
            was_full = len(page.rows) >= (paging.size or math.inf)
            continue
        pointer = _next_pointer(fetching, paging, page, _variables(paging, number, offset) | given)
        if pointer is None:
            return
        if as_text(pointer) in pointers:
            raise ResultError(f"{page.name}: names a next page that was there already, so the pages run in a circle")
        pointers.add(as_text(pointer))


def _has_no_second(fetching: Fetching, paging: Paging) -> bool:
    """Tell whether the page that the job's answers held is all: whatever leads on was captured beside it."""
    if paging.style is Style.CURSOR:
        return fetching.scope.get("cursor") in (None, "")
    link = templates.whole_variable(fetching.plan.step.request.endpoint)
    return paging.style is Style.NUMBERED or link is None or fetching.scope.get(link) in (None, "")


def _variables(paging: Paging, number: int, offset: int) -> dict[str, JsonValue]:
    limit = {} if paging.size is None else {"limit": paging.size}
    return {"page": number, "offset": offset, **limit}


def _page(
    fetching: Fetching,
    paging: Paging,
    number: int,
    offset: int,
    *,
    is_first: bool,
    is_open: bool = False,
    pointer: Mapping[str, JsonValue] | None = None,
) -> Flow[Page]:
    """
    Fetch one page.

    :param is_open: whether a 404 only means that there are no more pages.
    :param pointer: the link or the cursor that leads to it.
    """
    name = f"page {number}"
    step = fetching.plan.step
    request = step.request
    # The first page has no cursor, unless a variable gives it: null in JSON, nothing in a text.
    blank = "" if request.body is not None and isinstance(request.body.content, str) else None
    variables = _variables(paging, number, offset) | dict(pointer or {})

    def scope() -> dict[str, JsonValue]:
        return {"cursor": blank, **fetching.scope, **variables}

    if _LINK in variables:
        request = dataclasses.replace(request, endpoint=f"{{{_LINK}}}", query_params={})
    elif scope()["cursor"] in (None, ""):
        request = dataclasses.replace(
            request,
            query_params=_without_cursor(request.query_params),
            headers=_without_cursor(request.headers),
        )
    step = dataclasses.replace(step, request=request)
    also = frozenset({_NOT_FOUND}) if is_open and not is_first else frozenset[int]()
    try:
        answer = yield from fetching.answer(step, scope, limit=_MAX_PAGE, also=also)
        if answer.response.status in also:
            return Page(name, answer.response, [])
        return Page(name, answer.response, fetching.decoded(decoding.decode_rows, answer))
    except NoDataError as error:
        if is_first:
            raise
        return Page(name, error.response, [], is_no_data=True)
    except AsyncApiError as error:
        raise error.with_message(f"{name}: {error}") from error


def _without_cursor(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value != "{cursor}"}


def _next_pointer(fetching: Fetching, paging: Paging, page: Page, variables: Mapping[str, JsonValue]) -> JsonValue:
    try:
        return paging.next_pointer(page.response, {**fetching.scope, **variables})
    except AsyncApiError as error:
        raise error.with_message(f"{page.name}: {fetching.api.redact(str(error))}") from error
