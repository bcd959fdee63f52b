"""Rows as one CSV file."""

from __future__ import annotations

import csv
import io

from airflow_provider_asyncapi.core.errors import ResultError
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.results.writers.base import OpenFile, PlacedFile, Writer, encode_json
from airflow_provider_asyncapi.results.writers.buffer import RowBuffer


class CsvTable(Writer):
    """A CSV file (RFC 4180) whose first line has the names in the first row. Lines end with a line feed alone."""

    content_type = "text/csv"

    def __init__(self, open_file: OpenFile) -> None:
        self._buffer = RowBuffer(open_file())
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(self._text, lineterminator="\n")
        self._names: list[str] = []
        self._rows = 0

    def write(self, row: JsonValue) -> None:
        """
        Write a row; one that is no object becomes the column ``value``.

        :raises ResultError: if it has a column that the first row doesn't have.
        """
        values = row if isinstance(row, dict) else {"value": row}
        self._rows += 1
        if self._rows == 1:
            self._names = list(values)
            self._write_line(self._names, row)
        elif unknown := [name for name in values if name not in self._names]:
            raise ResultError(
                f"write_as: 'csv' has the columns of the first row, and row {self._rows} has {unknown[0]!r} too;"
                " take 'ndjson'"
            )
        self._write_line([self._format(values.get(name)) for name in self._names], row)

    def finish(self, name: str) -> list[PlacedFile]:
        """Complete the file, which is empty without rows."""
        return [((f"{name}.csv",), self._buffer.finish())]

    def _format(self, value: JsonValue) -> str:
        """Return the text of a value: nothing for null, JSON for anything but a text."""
        if value is None:
            return ""
        return value if isinstance(value, str) else encode_json(value, self._rows).decode()

    def _write_line(self, values: list[str], row: JsonValue) -> None:
        self._writer.writerow(values)
        try:
            self._buffer.write(self._text.getvalue().encode())
        except UnicodeEncodeError:
            # Half a character: the message for JSON names its place.
            encode_json(row, self._rows)
            raise
        self._text.seek(0)
        self._text.truncate()
