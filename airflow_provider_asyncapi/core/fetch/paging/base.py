"""What a way of paging declares: its parameters and variables, and how one page leads to the next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from airflow_provider_asyncapi.core.errors import ConfigurationError, ResultError
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.json_values import JsonValue, as_text
from airflow_provider_asyncapi.core.parameter_values import parse_whole_number
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.templates import Variables


@dataclass(frozen=True, slots=True)
class PagePosition:
    """
    Which page a request asks for.

    :param number: the number of the page.
    :param variables: the variables that the request may name.
    :param link: the URL of the page, if the API has given one; None for the request of the task.
    """

    number: int
    variables: Mapping[str, JsonValue]
    link: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Page:
    """
    One page.

    :param name: the name of the page, for messages.
    :param response: the response.
    :param rows: the selected rows.
    :param has_no_data: whether a rule says that it has no rows.
    :param content: the response with the rows, if the page only links to them; None if they are in ``response``.
    """

    name: str
    response: Response
    rows: list[JsonValue]
    has_no_data: bool = False
    content: Response | None = None


class PageWalk(ABC):
    """
    The state of one walk through pages of which each shows whether there is another.

    :ivar position: the page to fetch next.
    """

    position: PagePosition

    def is_past_end(self, page: Page) -> bool:
        """Return whether a page only shows that there are no more pages, and isn't part of the result."""
        return False

    @abstractmethod
    def advance(self, page: Page, variables: Variables) -> bool:
        """
        Set the position of the page after this one; return whether there is one.

        :param variables: the variables of the page's request.
        :raises AsyncApiError: if the page can't lead to another one.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging(ABC):
    """
    A way of paging with the values of its parameters.

    :cvar name: its name in messages and in the reference.
    :cvar summary: its line in the reference, in Markdown.
    :cvar parameters: the parameters that only this way has; setting one chooses it.
    :cvar text_parameters: the parameters among them whose values may name variables of the job.
    :cvar variables: variables of which the request has to name one; none if the API gives whole URLs. The first one
        needs no other parameter.
    :cvar optional_variables: variables that the request for the first page may lack: a query parameter or a header that
        is nothing but the variable is left out then.
    :cvar may_end_with_404: whether a 404 after the first page means that there are no more pages.
    :param first_page: the number of the first page.
    :param page_step: the difference of the numbers of two pages.
    :param page_size: rows of a full page; None if the task doesn't know.
    :param max_pages: the largest number of pages.
    :param total_rows: the selector of the number of all rows in each page.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    parameters: ClassVar[tuple[str, ...]]
    text_parameters: ClassVar[tuple[str, ...]] = ()
    variables: ClassVar[tuple[str, ...]] = ()
    optional_variables: ClassVar[tuple[str, ...]] = ()
    may_end_with_404: ClassVar[bool] = False

    first_page: int = 1
    page_step: int = 1
    page_size: int | None = None
    max_pages: int = 10_000
    total_rows: SelectorChain | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any], names: set[str] | None) -> Self:
        """
        Parse the paging parameters.

        :param names: the variables that the request names; None if a profile may still add to the request.
        :raises ConfigurationError: naming the parameter that is wrong.
        """
        paging = cls(
            first_page=parse_whole_number(given.get("first_page"), "first_page", 1, minimum=0),
            page_step=parse_whole_number(given.get("page_step"), "page_step", 1),
            page_size=parse_whole_number(given.get("page_size"), "page_size", None),
            max_pages=parse_whole_number(given.get("max_pages"), "max_pages", 10_000),
            total_rows=SelectorChain.parse_optional(given.get("total_rows"), "total_rows"),
            **cls.parse_own_parameters(given),
        )
        if names is not None:
            paging.check_request_variables(names)
        return paging

    @classmethod
    @abstractmethod
    def parse_own_parameters(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """
        Parse the parameters that only this way has, by the names of its fields.

        :raises ConfigurationError: naming the parameter that is wrong.
        """

    def check_request_variables(self, names: set[str]) -> None:
        """
        Check that the request names a variable that differs from page to page.

        :raises ConfigurationError: if it doesn't.
        """
        if self.variables and not names.intersection(self.variables):
            shown = " or ".join(f"{{{name}}}" for name in self.variables)
            raise ConfigurationError(
                f"output_type='pages': the request has to name {shown} (in endpoint, query_params or body) for"
                f" {self.name} pages; or set next_page, the selector of the next page's link"
            )

    def count_pages(self, variables: Variables) -> int | None:
        """
        Return the number of pages, if it is known beforehand; then they are fetched several at a time.

        :raises ConfigurationError: if a parameter that should be a count is no whole number, or is too large.
        """
        return None

    def has_more_after_inline(self, variables: Variables, endpoint_variable: str | None) -> bool:
        """
        Return whether there is another page after one that the job's responses held.

        :param endpoint_variable: the variable that is the whole endpoint, if it is one.
        """
        return False

    def make_position(
        self, index: int, offset: int = 0, link: str | None = None, **variables: JsonValue
    ) -> PagePosition:
        """
        Return the position of a page.

        :param index: the number of pages before it.
        :param offset: the number of rows before it.
        """
        number = self.first_page + index * self.page_step
        size = {} if self.page_size is None else {"limit": self.page_size}
        return PagePosition(number, {"page": number, "offset": offset, **size, **variables}, link)

    @abstractmethod
    def start_walk(self, index: int) -> PageWalk:
        """
        Begin to walk through pages whose number isn't known.

        :param index: the number of pages that are fetched already.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class PointerPaging(Paging):
    """
    A way in which each page names the next one.

    Its one parameter is the selector of that name.
    """

    pointer: SelectorChain

    @classmethod
    def parse_own_parameters(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Parse the selector."""
        (name,) = cls.parameters
        return {"pointer": SelectorChain.parse(given[name], name)}

    @abstractmethod
    def next_pointer(self, response: Response, variables: Variables) -> JsonValue:
        """
        Return what a page names as the next one; None on the last page.

        :raises ContentError: if the page can't be read.
        """

    @abstractmethod
    def make_pointer_position(self, index: int, pointer: JsonValue) -> PagePosition:
        """Return the position of the page with this name."""

    def find_pointer(self, response: Response, variables: Variables) -> tuple[str, JsonValue] | None:
        """Return the selector that has found something, and what it has found; None if that is empty."""
        found = self.pointer.find_only(response, variables)
        return None if found is None or found[1] in (None, "", False, [], {}) else (found[0].text, found[1])

    def start_walk(self, index: int) -> PageWalk:
        """Begin with the request of the task."""
        return _PointerWalk(self, index)


class _PointerWalk(PageWalk):
    def __init__(self, paging: PointerPaging, index: int) -> None:
        self._paging = paging
        self._index = index
        self._seen: set[str] = set()
        self.position = paging.make_position(index)

    def advance(self, page: Page, variables: Variables) -> bool:
        pointer = self._paging.next_pointer(page.response, variables)
        if pointer is None:
            return False
        if as_text(pointer) in self._seen:
            raise ResultError("names a next page that was already fetched, so the pages form a loop")
        self._seen.add(as_text(pointer))
        self._index += 1
        self.position = self._paging.make_pointer_position(self._index, pointer)
        return True
