"""The position in the log of the remote job up to which its lines have been shown."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_asyncapi.core.json_values import JsonValue

#: The largest number of lines of a job that are shown in the log of a task, so that its file stays readable.
MAX_LINES = 10_000


@dataclass(frozen=True, slots=True)
class LogPosition:
    """
    The position in the log of a job up to which its lines have been shown.

    :param cursor: the value of ``{log_cursor}`` in the next request; None before the first.
    :param count: number of lines of the whole log that were read, if each response contains all of them.
    :param last: digest of the last of these lines.
    :param shown: number of lines that were shown.
    :param has_failed: whether a warning about a failed request for the log was logged.
    """

    cursor: JsonValue = None
    count: int = 0
    last: str = ""
    shown: int = 0
    has_failed: bool = False

    @classmethod
    def parse(cls, given: Any) -> LogPosition | None:
        """Return the position that :meth:`dump` returned as plain data; None if it is anything else."""
        names = [each.name for each in dataclasses.fields(cls)]
        if not isinstance(given, Mapping) or not set(names) <= set(given):
            return None
        is_valid = isinstance(given["count"], int) and isinstance(given["shown"], int)
        if not is_valid or not isinstance(given["cursor"], str | int | float | None):
            return None
        return cls(**{name: given[name] for name in names})

    def dump(self) -> dict[str, JsonValue]:
        """Return the position as plain data."""
        return dataclasses.asdict(self)

    def skip_shown(self, lines: Sequence[str]) -> tuple[Sequence[str], LogPosition]:
        """
        Return the lines of a whole log that are new, and the position after them.

        A log that no longer begins with the lines that were read, because the API returns its last lines only,
        continues after the last line that was read, or is all new.
        """
        if not lines:
            return lines, self
        start = min(self.count, len(lines))
        while start and _digest(lines[start - 1]) != self.last:
            start -= 1
        return lines[start:], dataclasses.replace(self, count=len(lines), last=_digest(lines[-1]))


def _digest(line: str) -> str:
    return hashlib.sha256(line.encode("utf-8", "replace")).hexdigest()[:16]
