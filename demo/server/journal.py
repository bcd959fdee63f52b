"""Remember which requests came, so that a test can count them, without remembering secrets."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload
from urllib.parse import parse_qsl, urlencode, urlsplit

SECRET_PARAMETERS = frozenset({"api_key", "signature"})


@dataclass(frozen=True, slots=True)
class Record:
    """
    Describe one request and its answer.

    :param path: With its query; the values of secret parameters are replaced by ``***``.
    :param accept: The request's ``Accept``, empty if it had none.
    :param content_type: The request's media type, empty if it had no body.
    """

    method: str
    path: str
    status: int
    accept: str = ""
    content_type: str = ""


def without_secrets(path: str) -> str:
    """Replace the values of secret query parameters."""
    parts = urlsplit(path)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    if not any(name in SECRET_PARAMETERS for name, _ in pairs):
        return path
    shown = [(name, "***" if name in SECRET_PARAMETERS else value) for name, value in pairs]
    return f"{parts.path}?{urlencode(shown, safe='*')}"


class Journal(Sequence[Record]):
    """Be a list of records that one thread may read while another writes it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: list[Record] = []

    def add(self, record: Record) -> None:
        """Append a record."""
        with self._lock:
            self._records.append(record)

    def clear(self) -> None:
        """Forget all records."""
        with self._lock:
            self._records.clear()

    def count(self, method: str = "", path_prefix: str = "", status: int | None = None) -> int:
        """
        Count the requests with a method and a path that starts in some way.

        :param method: Empty for any.
        :param status: ``None`` for any.
        """
        with self._lock:
            return sum(
                (not method or record.method == method.upper())
                and record.path.startswith(path_prefix)
                and status in (None, record.status)
                for record in self._records
            )

    def __len__(self) -> int:
        with self._lock:
            return len(self._records)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        with self._lock:
            return self._records[index]
