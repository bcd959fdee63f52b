"""What has happened to a job while a task waited for it: a bounded list that users see. It holds no secrets."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from airflow_provider_asyncapi.core.effects import Polled
from airflow_provider_asyncapi.core.json_values import JsonValue, as_number, as_text
from airflow_provider_asyncapi.core.text import shorten
from airflow_provider_asyncapi.core.wait.summaries import parse_time

#: The number of entries that are kept from the beginning and from the end, and the longest message in characters: at
#: most 20 KB, however long the job takes.
_FIRST, _LAST, _MAX_MESSAGE = 10, 40, 300
_MAX_STATUS: Final = 100


class EntryKind(StrEnum):
    """What has happened."""

    STATUS = "status"
    CALLBACK = "callback"
    ERROR = "error"
    RECOVERED = "recovered"
    STATUS_MISSING = "status_missing"
    UNKNOWN_STATUS = "unknown_status"
    CANCELLED = "cancelled"
    DEADLINE = "deadline"
    STALLED = "stalled"


#: The entries after which users know the status of the job: a poll that finds the same status says nothing new.
_WITH_STATUS: Final = frozenset({EntryKind.STATUS, EntryKind.CALLBACK, EntryKind.RECOVERED})


@dataclass(frozen=True, slots=True)
class Entry:
    """
    A change of a job, or of its polls.

    :param at: its time, in seconds since the epoch.
    :param kind: what has happened.
    :param message: the message for users; empty if the kind and the status say all.
    :param status: the status of the job; None if it has none.
    :param progress: the progress of the job, from 0 to 1.
    """

    at: float
    kind: EntryKind
    message: str = ""
    status: str | None = None
    progress: float | None = None

    @classmethod
    def parse(cls, given: Any) -> Entry | None:
        """Return the entry that :meth:`dump` returned as plain data; None if it is anything else."""
        kind = given.get("kind") if isinstance(given, Mapping) else None
        if not isinstance(kind, str) or kind not in set(EntryKind):
            return None
        at, message, status = parse_time(given.get("at")), given.get("message", ""), given.get("status")
        if at is None or not isinstance(message, str):
            return None
        return cls(
            at,
            EntryKind(kind),
            shorten(message, _MAX_MESSAGE),
            shorten(status, _MAX_STATUS) if isinstance(status, str) else None,
            as_number(given.get("progress")),
        )

    @classmethod
    def of(cls, at: float, kind: EntryKind, message: str, status: JsonValue, progress: float | None = None) -> Entry:
        """Return an entry whose texts are cut to what is kept."""
        text = None if status is None else shorten(as_text(status), _MAX_STATUS)
        return cls(at, kind, shorten(message, _MAX_MESSAGE), text, progress)

    def says_same_as(self, before: Entry) -> bool:
        """Return whether users know from the entry before what this one says."""
        if self.kind is EntryKind.STATUS:
            return before.kind in _WITH_STATUS and before.status == self.status
        if self.kind is EntryKind.CALLBACK:
            return before.kind is EntryKind.CALLBACK and before.status == self.status
        return (before.kind, before.message) == (self.kind, self.message)

    def dump(self) -> dict[str, JsonValue]:
        """Return the entry as plain data, without the fields that say nothing."""
        fields: dict[str, JsonValue] = {
            "message": self.message or None,
            "status": self.status,
            "progress": self.progress,
        }
        present = {name: value for name, value in fields.items() if value is not None}
        return {"at": datetime.fromtimestamp(self.at, UTC).isoformat(), "kind": str(self.kind), **present}


@dataclass(frozen=True, slots=True)
class JobHistory:
    """
    What has happened to a job.

    :param entries: the entries, the oldest first.
    :param left_out: number of entries between the first and the last ones that weren't kept.
    :param last_response: the last response that has found something new, as users see it; None if there was none.
    """

    entries: tuple[Entry, ...] = ()
    left_out: int = 0
    last_response: Mapping[str, JsonValue] | None = None

    @classmethod
    def parse(cls, given: Any) -> JobHistory:
        """Return the history that :meth:`dump` returned as plain data; an empty one if it is anything else."""
        if not isinstance(given, Mapping) or not isinstance(given.get("entries"), list):
            return cls()
        parsed = [Entry.parse(each) for each in given["entries"][: _FIRST + _LAST]]
        left_out, last_response = given.get("left_out"), given.get("last_response")
        return cls(
            tuple(each for each in parsed if each is not None),
            left_out if isinstance(left_out, int) and 0 <= left_out < 2**31 else 0,
            last_response if isinstance(last_response, Mapping) else None,
        )

    def dump(self) -> dict[str, JsonValue]:
        """Return the history as plain data."""
        return {
            "entries": [each.dump() for each in self.entries],
            **({"left_out": self.left_out} if self.left_out else {}),
            **({"last_response": dict(self.last_response)} if self.last_response else {}),
        }

    def after_poll(self, polled: Polled) -> JobHistory:
        """Return the history after a poll or a callback; the same object if it has found nothing new."""
        if polled.by_callback and not polled.changed:
            # A wait without polls has only looked at the clock.
            return self
        added, before = _describe_poll(polled), self.entries[-1] if self.entries else None
        if before is not None and added.says_same_as(before):
            return self
        if added.kind is EntryKind.STATUS and before is not None and before.kind is EntryKind.ERROR:
            known = next((each for each in reversed(self.entries) if each.kind in _WITH_STATUS), None)
            if known is not None and known.status == added.status:
                added = dataclasses.replace(added, kind=EntryKind.RECOVERED, message="Polls are answered again")
        return self.add(added, polled.shown_response)

    def add(self, entry: Entry, last_response: Mapping[str, JsonValue] | None = None) -> JobHistory:
        """Return the history with another entry, and with a later response."""
        return _limit((*self.entries, entry), self.left_out, last_response or self.last_response)

    def after(self, earlier: JobHistory) -> JobHistory:
        """Return this history as the continuation of the one that another process has stored."""
        own = self.entries
        if earlier.entries and own and own[0].says_same_as(earlier.entries[-1]):
            # This process didn't know that users had been told.
            own = own[1:]
        last_response = self.last_response or earlier.last_response
        return _limit((*earlier.entries, *own), earlier.left_out + self.left_out, last_response)


def _describe_poll(polled: Polled) -> Entry:
    kind, message = EntryKind.STATUS, ""
    if polled.error is not None:
        kind, message = EntryKind.ERROR, polled.error
    elif polled.by_callback:
        kind = EntryKind.CALLBACK
    elif polled.status_problem is not None:
        kind, message = EntryKind(polled.status_problem.kind), polled.status_problem.message
    return Entry.of(polled.at, kind, message, polled.handle.status, polled.handle.progress)


def _limit(entries: tuple[Entry, ...], left_out: int, last_response: Mapping[str, JsonValue] | None) -> JobHistory:
    surplus = max(0, len(entries) - _FIRST - _LAST)
    kept = (*entries[:_FIRST], *entries[_FIRST + surplus :]) if surplus else entries
    return JobHistory(kept, left_out + surplus, last_response)
