"""Rows as JSON: one array, or a line for each."""

from __future__ import annotations

from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.results.writers.base import OpenFile, PlacedFile, Writer, encode_json
from airflow_provider_asyncapi.results.writers.buffer import RowBuffer


class JsonArray(Writer):
    """A JSON array of all rows."""

    content_type = "application/json"

    def __init__(self, open_file: OpenFile) -> None:
        self._buffer = RowBuffer(open_file())
        self._separator = b"["
        self._rows = 0

    def write(self, row: JsonValue) -> None:
        """Write a row."""
        self._rows += 1
        self._buffer.write(self._separator + encode_json(row, self._rows))
        self._separator = b", "

    def finish(self, name: str) -> list[PlacedFile]:
        """Complete the file."""
        self._buffer.write(b"]" if self._rows else b"[]")
        return [((f"{name}.json",), self._buffer.finish())]


class NdjsonLines(Writer):
    """A line of JSON for each row."""

    content_type = "application/x-ndjson"

    def __init__(self, open_file: OpenFile) -> None:
        self._buffer = RowBuffer(open_file())
        self._rows = 0

    def write(self, row: JsonValue) -> None:
        """Write a row."""
        self._rows += 1
        self._buffer.write(encode_json(row, self._rows) + b"\n")

    def finish(self, name: str) -> list[PlacedFile]:
        """Complete the file."""
        return [((f"{name}.ndjson",), self._buffer.finish())]
