"""Rows as files: a JSON array, NDJSON, or Parquet; one row in memory at a time, or a few thousand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Protocol

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.fetch.plan import WriteAs
from airflow_provider_asyncapi.core.jobs.storable import check_json
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.results.destination import DraftFile, Stored

_PIECE = 64 * 1024
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


class RowWriter(Protocol):
    """
    A file of rows.

    :cvar suffix: of its name.
    :cvar content_type: of what it holds.
    """

    suffix: str
    content_type: str

    def write(self, row: JsonValue) -> None:
        """Take the next row."""

    def finish(self) -> Stored:
        """Complete the file."""


class _Pieces:
    """Gathers rows: to count, digest and write each on its own takes longer than to make its JSON."""

    def __init__(self, draft: DraftFile) -> None:
        self._draft = draft
        self._gathered = bytearray()

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self._gathered += data
        if len(self._gathered) >= _PIECE:
            self._hand_on()

    def finish(self) -> Stored:
        """Complete the file."""
        self._hand_on()
        return self._draft.finish()

    def _hand_on(self) -> None:
        self._draft.write(bytes(self._gathered))
        self._gathered.clear()


class JsonArray:
    """A JSON array of all rows."""

    suffix = "json"
    content_type = "application/json"

    def __init__(self, draft: DraftFile) -> None:
        self._pieces = _Pieces(draft)
        self._before = b"["
        self._rows = 0

    def write(self, row: JsonValue) -> None:
        """Take the next row."""
        self._rows += 1
        self._pieces.write(self._before + json_bytes(row, self._rows))
        self._before = b", "

    def finish(self) -> Stored:
        """Complete the file."""
        self._pieces.write(b"]" if self._before == b", " else b"[]")
        return self._pieces.finish()


class Ndjson:
    """A line of JSON for each row."""

    suffix = "ndjson"
    content_type = "application/x-ndjson"

    def __init__(self, draft: DraftFile) -> None:
        self._pieces = _Pieces(draft)
        self._rows = 0

    def write(self, row: JsonValue) -> None:
        """Take the next row."""
        self._rows += 1
        self._pieces.write(json_bytes(row, self._rows) + b"\n")

    def finish(self) -> Stored:
        """Complete the file."""
        return self._pieces.finish()


def open_rows(kind: WriteAs, open_draft: Callable[..., DraftFile]) -> RowWriter:
    """
    Begin a file of rows.

    :param open_draft: gives a draft; one that isn't for the result where it is told ``scratch=True``.
    :raises ConfigurationError: where the kind needs what isn't installed.
    """
    if kind is WriteAs.PARQUET:
        try:
            from airflow_provider_asyncapi.results.parquet import Parquet
        except ImportError:
            raise ConfigurationError(
                "write_as: 'parquet' needs pyarrow: install airflow-provider-asyncapi[parquet]"
            ) from None
        return Parquet(open_draft(), open_draft(scratch=True))
    return JsonArray(open_draft()) if kind is WriteAs.JSON else Ndjson(open_draft())


def json_bytes(value: JsonValue, row: int | None = None) -> bytes:
    """
    Return a value's JSON text.

    :param row: the number of the row that it is, for messages; None for a whole result.
    :raises ContentError: if the value has none that every reader takes, naming the place in it.
    """
    try:
        return _encode(value).encode()
    except ValueError:
        check_json(value, "result" if row is None else f"result: row {row}")
        raise
