"""One value, or the document that it is selected from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.fetch.outputs.base import FetchRun, Output
from airflow_provider_asyncapi.core.fetch.result_value import make_json_response

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.json_values import JsonValue


class Result(Output):
    """One response."""

    name = "result"
    summary = (
        "One response: its value, or the part that `result_path` selects. With a `destination`, without `result_path`"
        " and `write_as`, the file unchanged. The default without parameters of paging."
    )
    takes_callback = True
    failed_records_in = "response"

    def fetch(self, run: FetchRun, inline: JsonValue) -> JsonValue:
        """Return the value, or a manifest of the file that holds it."""
        if inline is not None:
            return run.return_value(inline, [make_json_response(inline)])
        if not run.has_destination:
            return run.fetch_value()
        return run.fetch_selected() if run.selects_part else run.fetch_files()
