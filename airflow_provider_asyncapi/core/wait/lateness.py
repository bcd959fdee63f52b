"""Polls that are made later than they should be, and what held them up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from airflow_provider_asyncapi.core.json_values import JsonValue, as_number

#: A poll that is late by less counts as being on time. Seconds.
ON_TIME = 1.0
#: Nothing is later than this, whoever says so: a year, in seconds.
_LONGEST = 366 * 86400.0


class Reason(StrEnum):
    """What a poll had to wait for."""

    CONNECTIONS = "connections"
    RATE = "rate"
    EVENT_LOOP = "event loop"


@dataclass(frozen=True, slots=True)
class Delay:
    """
    By how much a poll was late.

    :param seconds: how much.
    :param reason: what it had to wait for, or what took the longest of several.
    """

    seconds: float
    reason: Reason

    @classmethod
    def of(cls, waits: Mapping[Reason, float]) -> Delay | None:
        """
        Add up what a poll had to wait for.

        :param waits: reason to seconds.
        :return: the delay; None if the poll was on time.
        """
        seconds = sum(waits.values())
        return cls(seconds, max(waits, key=waits.__getitem__)) if seconds >= ON_TIME else None

    @classmethod
    def parse(cls, given: Any) -> Delay | None:
        """Read what :meth:`dump` gave; None if it is anything else."""
        if not isinstance(given, Mapping):
            return None
        seconds, reason = as_number(given.get("seconds")), given.get("reason")
        if seconds is None or not 0 <= seconds <= _LONGEST or reason not in set(Reason):
            return None
        return cls(seconds, Reason(reason))

    def dump(self) -> dict[str, JsonValue]:
        """Return it as plain data."""
        return {"seconds": round(self.seconds, 1), "reason": str(self.reason)}
