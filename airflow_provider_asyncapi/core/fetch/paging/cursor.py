"""Pages of which each holds the cursor of the next."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_asyncapi.core.fetch.paging.base import PagePosition, PointerPaging
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.templates import Variables


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor(PointerPaging):
    """Pages by cursor."""

    name = "cursor"
    summary = "`cursor`: the selector of the next page's cursor; the request names `{cursor}`."
    parameters = ("cursor",)
    variables = ("cursor",)
    optional_variables = ("cursor",)

    def next_pointer(self, response: Response, variables: Variables) -> JsonValue:
        """Return the cursor as the page holds it: a number stays a number."""
        found = self.find_pointer(response, variables)
        return None if found is None else found[1]

    def make_pointer_position(self, index: int, pointer: JsonValue) -> PagePosition:
        """Return the position of the page with this cursor."""
        return self.make_position(index, cursor=pointer)

    def has_more_after_inline(self, variables: Variables, endpoint_variable: str | None) -> bool:
        """Return whether the cursor of the second page was captured from the same response as the first page."""
        return variables.get("cursor") not in (None, "", [])
