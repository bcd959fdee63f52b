"""Rows as a Parquet file; imported only when it is needed, since pyarrow may be missing."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_asyncapi.core.errors import ResultError
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.text import shorten
from airflow_provider_asyncapi.results.destination import PartialFile
from airflow_provider_asyncapi.results.writers.base import OpenFile, PlacedFile, Writer
from airflow_provider_asyncapi.results.writers.json_lines import NdjsonLines

#: Rows that are made into columns at a time, and how many bytes of JSON they may have together.
_BATCH, _BATCH_BYTES = 10_000, 16 * 1024 * 1024


class Parquet(Writer):
    """A Parquet file. The types of its columns are known only after all rows: until then they are kept as NDJSON."""

    content_type = "application/vnd.apache.parquet"

    def __init__(self, open_file: OpenFile) -> None:
        self._file = open_file()
        self._scratch = open_file(scratch=True)
        self._lines = NdjsonLines(lambda: self._scratch)
        self._batch: list[dict[str, JsonValue]] = []
        self._batch_start = self._rows = 0
        self._schema: pa.Schema | None = None

    def write(self, row: JsonValue) -> None:
        """
        Write a row; one that is no object becomes the column ``value``.

        :raises ResultError: if its columns have other types than the rows before.
        """
        self._batch.append(row if isinstance(row, dict) else {"value": row})
        self._lines.write(self._batch[-1])
        if len(self._batch) == _BATCH or self._scratch.size - self._batch_start > _BATCH_BYTES:
            self._infer_schema()

    def finish(self, name: str) -> list[PlacedFile]:
        """Complete the file."""
        self._infer_schema()
        schema = pa.schema([]) if self._schema is None else self._schema
        ((_, scratch),) = self._lines.finish("rows")
        with self._explain_type_errors(), pq.ParquetWriter(_ArrowSink(self._file), schema) as writer:
            for batch in _read_batches(scratch.path):
                writer.write_table(pa.Table.from_pylist(batch, schema=schema))
        scratch.path.unlink()
        return [((f"{name}.parquet",), self._file.finish())]

    def _infer_schema(self) -> None:
        """Merge the column types of a batch into the schema of all rows."""
        self._rows += len(self._batch)
        names = dict.fromkeys(name for row in self._batch for name in row)
        with self._explain_type_errors():
            columns = {name: pa.array([row.get(name) for row in self._batch]) for name in names}
            schemas = [pa.schema([(name, column.type) for name, column in columns.items()])]
            if self._schema is not None:
                schemas.insert(0, self._schema)
            self._schema = pa.unify_schemas(schemas, promote_options="permissive")
        self._batch, self._batch_start = [], self._scratch.size

    @contextlib.contextmanager
    def _explain_type_errors(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OverflowError) as error:
            raise ResultError(
                f"write_as: 'parquet' has one type for each column, which doesn't go with the first {self._rows} rows:"
                f" {shorten(str(error))}; take 'ndjson'"
            ) from error


class _ArrowSink(io.RawIOBase):
    """A file in the staging folder, as pyarrow writes to a file."""

    def __init__(self, file: PartialFile) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.size

    def write(self, data: Any, /) -> int:
        self._file.write(data)
        return len(data)


def _read_batches(path: Path) -> Iterator[list[JsonValue]]:
    batch: list[JsonValue] = []
    size = 0
    with path.open("rb") as lines:
        for line in lines:
            batch.append(json.loads(line))
            size += len(line)
            if len(batch) == _BATCH or size > _BATCH_BYTES:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch
