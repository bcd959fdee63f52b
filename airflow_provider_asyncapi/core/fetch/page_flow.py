"""Fetch a result page by page, in order, with no more pages in memory than are fetched at a time."""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, TypeAlias

from airflow_provider_asyncapi.core import templates
from airflow_provider_asyncapi.core.effects import Flow, Log, RunConcurrently
from airflow_provider_asyncapi.core.errors import AsyncApiError, MissingValueError, ResultError
from airflow_provider_asyncapi.core.fetch import result_value
from airflow_provider_asyncapi.core.fetch.flow import (
    EXPIRED_CODES,
    FetchedResponse,
    GetVariables,
    NoDataError,
    ResultFetcher,
)
from airflow_provider_asyncapi.core.fetch.linked_rows import RowsUrl
from airflow_provider_asyncapi.core.fetch.paging.base import Page, PagePosition, Paging, PointerPaging
from airflow_provider_asyncapi.core.http.messages import MAX_BODY, Response
from airflow_provider_asyncapi.core.json_values import JsonValue, as_number
from airflow_provider_asyncapi.core.requests.request_step import RequestStep
from airflow_provider_asyncapi.core.text import format_number

#: Called with the rows and the response of each page.
CollectPage: TypeAlias = Callable[[list[JsonValue], Response], object]

#: One page in memory; a result that is larger is a file.
_MAX_PAGE = 64 * MAX_BODY
#: How a request for a link that the API has given names it.
_LINK = "next_page"


def fetch_pages(fetcher: ResultFetcher, paging: Paging, collect: CollectPage, *, inline: JsonValue = None) -> Flow[int]:
    """
    Fetch all pages.

    :param collect: called with the rows and the response of each page, in order.
    :param inline: the rows of the first page, if the job's responses held them already.
    :return: the number of pages.
    :raises AsyncApiError: if a page fails, or contradicts the pages before; the message names the page.
    """
    collector = _PageCollector(fetcher, paging, collect)
    if inline is not None:
        name = f"page {paging.first_page}"
        collector.add(Page(name, result_value.make_json_response(inline), result_value.to_rows(inline)), is_read=False)
    count = paging.count_pages(fetcher.variables)
    if count is None:
        yield from _walk_pages(fetcher, paging, collector)
    else:
        flows = (
            partial(_fetch_page, fetcher, paging, paging.make_position(index, index * (paging.page_size or 0)), index)
            for index in range(collector.pages, count)
        )
        yield RunConcurrently(flows, fetcher.plan.concurrency, partial(collector.add, may_be_empty=False))
    collector.check_total()
    # A misspelt selector looks the same as a result of one page.
    pointer = paging.pointer if isinstance(paging, PointerPaging) and collector.pages == 1 else None
    alone = "" if pointer is None else f"; {pointer} found no next page"
    yield Log(
        logging.INFO, f"Fetched {collector.pages} page{'s' * (collector.pages != 1)} with {collector.rows} rows{alone}"
    )
    return collector.pages


@dataclass(slots=True)
class _PageCollector:
    """Passes the pages on, and compares each with the pages before."""

    fetcher: ResultFetcher
    paging: Paging
    collect: CollectPage
    pages: int = 0
    rows: int = 0
    total_rows: float | None = None
    empty: Page | None = None
    names: list[str] = field(default_factory=list)

    def add(self, page: Page, *, may_be_empty: bool = True, is_read: bool = True) -> None:
        """
        Add the next page.

        :param may_be_empty: whether an empty page may be followed by pages with rows. If the API has stated the number
            of pages, an empty page has lost its rows.
        :param is_read: whether the response is the page's own.
        """
        if is_read:
            self._check_stated_total(page)
        if page.rows and self.empty is not None:
            raise ResultError(f"{self.empty.name}: is empty, and {page.name} after it has {len(page.rows)} rows")
        if not page.rows and not page.has_no_data and not may_be_empty:
            self.empty = self.empty or page
        rows = self._name_values(page)
        self.pages += 1
        self.rows += len(rows)
        self.collect(rows, page.response if page.content is None else page.content)

    def check_total(self) -> None:
        """Check that the number of rows is the total number that the pages state."""
        if self.total_rows is not None and self.rows != self.total_rows:
            raise ResultError(
                f"total_rows: the pages state a total of {format_number(self.total_rows)} rows, but contain {self.rows}"
            )

    def _name_values(self, page: Page) -> list[JsonValue]:
        """Return the rows of a page as objects, if their columns have names; those of the page before by default."""
        columns = self.fetcher.plan.columns
        if columns is None or not page.rows:
            return page.rows
        variables = self.fetcher.variables
        try:
            self.names = columns.find_names(page.response, variables) or self.names
            if not self.names:
                raise columns.make_missing_error(page.response, variables)
            return columns.name_values(page.rows, self.names)
        except AsyncApiError as error:
            raise error.with_message(f"{page.name}: {self.fetcher.api.redact(str(error))}") from None

    def _check_stated_total(self, page: Page) -> None:
        if self.paging.total_rows is None or page.has_no_data:
            return
        try:
            found = self.paging.total_rows.find_only(page.response, self.fetcher.variables)
            total = None if found is None else as_number(found[1])
        except AsyncApiError as error:
            raise error.with_message(f"{page.name}: total_rows: {self.fetcher.api.redact(str(error))}") from None
        if total is not None and self.total_rows not in (None, total):
            raise ResultError(
                f"{page.name}: states a total of {format_number(total)} rows, but the pages before stated"
                f" {format_number(self.total_rows)}: the result has changed meanwhile"
            )
        self.total_rows = self.total_rows if total is None else total


def _walk_pages(fetcher: ResultFetcher, paging: Paging, collector: _PageCollector) -> Flow[None]:
    """Fetch pages one after the other, until a page shows that there is no further page."""
    endpoint_variable = templates.find_whole_variable(fetcher.plan.step.request.endpoint)
    if collector.pages and not paging.has_more_after_inline(fetcher.variables, endpoint_variable):
        return
    walk = paging.start_walk(collector.pages)
    for index in itertools.count(collector.pages):  # pragma: no branch - it has no end
        position = walk.position
        page = yield from _fetch_page(fetcher, paging, position, index, may_be_missing=paging.may_end_with_404)
        if walk.is_past_end(page):
            return
        if index == paging.max_pages:
            raise ResultError(f"there are more than {paging.max_pages} pages (max_pages)")
        collector.add(page)
        try:
            has_next = walk.advance(page, {**fetcher.variables, **position.variables})
        except AsyncApiError as error:
            raise error.with_message(f"{page.name}: {fetcher.api.redact(str(error))}") from error
        if not has_next:
            return


def _fetch_page(
    fetcher: ResultFetcher, paging: Paging, position: PagePosition, index: int, *, may_be_missing: bool = False
) -> Flow[Page]:
    """
    Fetch one page.

    :param index: the number of pages before it.
    :param may_be_missing: whether a 404 only means that there are no more pages, unless this is the first page.
    """
    name = f"page {position.number}"
    request = fetcher.plan.step.request
    # If a variable has no value for the first page, it is null in JSON, and empty in a text.
    blank = "" if request.body is not None and isinstance(request.body.content, str) else None
    defaults = dict.fromkeys(paging.optional_variables, blank)
    own = dict(position.variables) if position.link is None else {**position.variables, _LINK: position.link}

    def scope() -> dict[str, JsonValue]:
        return {**defaults, **fetcher.variables, **own}

    if position.link is not None:
        request = dataclasses.replace(request, endpoint=f"{{{_LINK}}}", query_params={})
    elif defaults:
        variables = scope()
        missing = {f"{{{each}}}" for each in defaults if variables[each] in (None, "")}
        if missing:
            query_params, headers = (_omit_values(missing, given) for given in (request.query_params, request.headers))
            request = dataclasses.replace(request, query_params=query_params, headers=headers)
    step = dataclasses.replace(fetcher.plan.step, request=request)
    also_accepted = frozenset[int]({HTTPStatus.NOT_FOUND}) if may_be_missing and index > 0 else frozenset[int]()
    try:
        fetched = yield from fetcher.fetch_response(step, scope, limit=_MAX_PAGE, also_accepted=also_accepted)
        if fetched.response.status in also_accepted:
            return Page(name, fetched.response, [])
        if fetcher.plan.rows_url is None:
            return Page(name, fetched.response, fetcher.decode(result_value.decode_rows, fetched))
        return (yield from _fetch_linked_rows(fetcher, fetcher.plan.rows_url, name, step, scope, fetched))
    except NoDataError as error:
        if index == 0:
            raise
        return Page(name, error.response, [], has_no_data=True)
    except AsyncApiError as error:
        raise error.with_message(f"{name}: {error}") from error


def _fetch_linked_rows(
    fetcher: ResultFetcher,
    rows_url: RowsUrl,
    name: str,
    step: RequestStep,
    get_variables: GetVariables,
    page: FetchedResponse,
) -> Flow[Page]:
    """
    Fetch the rows that a page links to; a page without such a link contains its rows.

    :param step: the request for the page, which is sent once more if the URL of the rows has expired meanwhile.
    """
    may_expire = True
    while True:
        found = fetcher.read_with_context(page, partial(rows_url.make_request, step, page.response, page.variables))
        if found is None:
            try:
                return Page(name, page.response, fetcher.decode(result_value.decode_rows, page))
            except MissingValueError as error:
                raise error.with_message(f"{error}; rows_url: {rows_url.url} found no URL in the page") from error
        linked, own = found
        variables = {**get_variables(), **own}
        try:
            content = yield from fetcher.fetch_response(linked, partial(dict, variables), limit=_MAX_PAGE)
        except AsyncApiError as error:
            if not may_expire or error.status_code not in EXPIRED_CODES:
                raise
            yield Log(logging.INFO, f"{error}: fetching {name} again for another URL of its rows")
            may_expire = False
            page = yield from fetcher.fetch_response(step, get_variables, limit=_MAX_PAGE)
            continue
        return Page(name, page.response, fetcher.decode(result_value.decode_rows, content), content=content.response)


def _omit_values(values: set[str], given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if not (isinstance(value, str) and value in values)}
