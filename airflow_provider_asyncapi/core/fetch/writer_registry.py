"""The values of ``write_as``: the forms in which rows are written to a destination."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_provider_asyncapi.core.lazy import load_object
from airflow_provider_asyncapi.core.registry import Registry


@dataclass(frozen=True, slots=True)
class WriterKind:
    """
    A form of rows in files.

    :param name: the value of ``write_as`` that chooses it.
    :param summary: its line in the reference, in Markdown.
    :param writer: the :class:`~airflow_provider_asyncapi.results.writers.base.Writer`, or its import path: it is
        imported when a fetch writes.
    :param needs_pages: whether it writes a file for each page.
    :param package: the package to install for it, if it needs one, as pip names it.
    """

    name: str
    summary: str
    writer: Any
    needs_pages: bool = False
    package: str = ""

    def load(self) -> Any:
        """
        Return the class of the writer.

        :raises ImportError: if a package that it needs isn't installed.
        """
        return load_object(self.writer) if isinstance(self.writer, str) else self.writer


_WRITERS = "airflow_provider_asyncapi.results.writers"
#: All forms that ``write_as`` can name.
WRITE_AS: Registry[WriterKind] = Registry(
    "write_as",
    "write_as",
    (
        WriterKind("json", "One JSON array of all rows. The default of `result`.", f"{_WRITERS}.json_lines:JsonArray"),
        WriterKind("ndjson", "A JSON text in each line. The default of `pages`.", f"{_WRITERS}.json_lines:NdjsonLines"),
        WriterKind("csv", "A CSV file with the columns of the first row.", f"{_WRITERS}.csv_table:CsvTable"),
        WriterKind(
            "parquet",
            "A Parquet file; needs the extra `parquet`.",
            f"{_WRITERS}.parquet:Parquet",
            package="airflow-provider-asyncapi[parquet]",
        ),
        WriterKind("files", "A file for each page, unchanged.", f"{_WRITERS}.page_files:PageFiles", needs_pages=True),
    ),
)
