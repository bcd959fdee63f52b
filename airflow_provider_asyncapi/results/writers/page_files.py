"""A file for each page, unchanged."""

from __future__ import annotations

from airflow_provider_asyncapi.core.http.filenames import choose_page_name
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.text import shorten
from airflow_provider_asyncapi.results.writers.base import OpenFile, PlacedFile, Writer, encode_json


class PageFiles(Writer):
    """The bodies of the pages; their content type is that of the first page."""

    content_type = ""

    def __init__(self, open_file: OpenFile) -> None:
        self._open_file = open_file
        self._files: list[PlacedFile] = []

    def write(self, row: JsonValue) -> None:
        """Refuse rows without a page: the parameters are checked before."""
        raise NotImplementedError

    def write_page(self, rows: list[JsonValue], response: Response) -> None:
        """Write the body of a page."""
        if not self._files:
            # A header may hold characters that no XCom can.
            self.content_type = shorten(response.content_type)
        file = self._open_file()
        # The page that the job's responses held has no body of its own.
        file.write(response.body or encode_json(rows))
        self._files.append(((choose_page_name(len(self._files) + 1, response),), file.finish()))

    def finish(self, name: str) -> list[PlacedFile]:
        """Return the files."""
        return self._files
