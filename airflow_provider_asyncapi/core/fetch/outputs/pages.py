"""Rows, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.fetch.outputs.base import FetchRun, Output

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.json_values import JsonValue


class Pages(Output):
    """The rows of all pages."""

    name = "pages"
    summary = "The rows of all pages, in order. The default with a parameter of paging."
    has_pages = True
    failed_records_in = "response"
    default_writer = "ndjson"

    def fetch(self, run: FetchRun, inline: JsonValue) -> JsonValue:
        """Return the rows, or a manifest of the files that hold them."""
        return run.fetch_pages(inline)
