"""Rows as a Parquet file; imported only where it is asked for, since pyarrow may be missing."""

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
from airflow_provider_asyncapi.core.json_values import JsonValue, shorten
from airflow_provider_asyncapi.results.destination import DraftFile, Stored
from airflow_provider_asyncapi.results.rows import Ndjson

#: Rows that are made into columns at a time, and how many bytes of JSON they may have together.
_BATCH, _BATCH_BYTES = 10_000, 16 * 1024 * 1024


class Parquet:
    """
    A Parquet file. Which types its columns have shows only when all rows are there: till then they are kept as NDJSON.

    :param draft: the file.
    :param kept: another one, for the time being.
    """

    suffix = "parquet"
    content_type = "application/vnd.apache.parquet"

    def __init__(self, draft: DraftFile, kept: DraftFile) -> None:
        self._draft = draft
        self._kept = kept
        self._lines = Ndjson(self._kept)
        self._batch: list[dict[str, JsonValue]] = []
        self._batch_begins = self._rows = 0
        self._schema: pa.Schema | None = None

    def write(self, row: JsonValue) -> None:
        """
        Take the next row; one that is no object becomes the column ``value``.

        :raises ResultError: where its columns don't go with those before.
        """
        self._batch.append(row if isinstance(row, dict) else {"value": row})
        self._lines.write(self._batch[-1])
        if len(self._batch) == _BATCH or self._kept.size - self._batch_begins > _BATCH_BYTES:
            self._learn()

    def finish(self) -> Stored:
        """Complete the file."""
        self._learn()
        schema = pa.schema([]) if self._schema is None else self._schema
        kept = self._lines.finish()
        with self._refusing(), pq.ParquetWriter(_OpenFile(self._draft), schema) as writer:
            for batch in _batches(kept.path):
                writer.write_table(pa.Table.from_pylist(batch, schema=schema))
        kept.path.unlink()
        return self._draft.finish()

    def _learn(self) -> None:
        """Find out which types the columns of a batch have, and what goes with all."""
        self._rows += len(self._batch)
        names = dict.fromkeys(name for row in self._batch for name in row)
        with self._refusing():
            columns = {name: pa.array([row.get(name) for row in self._batch]) for name in names}
            schemas = [pa.schema([(name, column.type) for name, column in columns.items()])]
            if self._schema is not None:
                schemas.insert(0, self._schema)
            self._schema = pa.unify_schemas(schemas, promote_options="permissive")
        self._batch, self._batch_begins = [], self._kept.size

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OverflowError) as error:
            raise ResultError(
                f"write_as: 'parquet' has one type for each column, which doesn't go with the first {self._rows} rows:"
                f" {shorten(str(error))}; take 'ndjson'"
            ) from error


class _OpenFile(io.RawIOBase):
    """A draft as pyarrow writes to a file."""

    def __init__(self, draft: DraftFile) -> None:
        self._draft = draft

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._draft.size

    def write(self, data: Any, /) -> int:
        self._draft.write(data)
        return len(data)


def _batches(path: Path) -> Iterator[list[JsonValue]]:
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
