"""Delays of requests, and their reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from airflow_provider_asyncapi.core.json_values import JsonValue, as_number

#: A request with a shorter delay, in seconds, counts as being on time.
ON_TIME = 1.0
#: Longest delay that is accepted from a stored summary, in seconds: a year.
_LONGEST = 366 * 86400.0


class Reason(StrEnum):
    """The reason of a delay."""

    CONNECTIONS = "connections"
    RATE = "rate"
    EVENT_LOOP = "event loop"


@dataclass(frozen=True, slots=True)
class Delay:
    """
    The delay of a request.

    :param seconds: its length.
    :param reason: its reason; the one with the longest wait if there are several.
    """

    seconds: float
    reason: Reason

    @classmethod
    def of(cls, *, connections: float = 0.0, rate: float = 0.0, event_loop: float = 0.0) -> Delay | None:
        """
        Return the total delay of a request; None if the request was on time.

        :param connections: seconds of waiting for a connection.
        :param rate: seconds of waiting because of the rate limit.
        :param event_loop: seconds of waiting because the event loop was busy.
        """
        seconds = connections + rate + event_loop
        if seconds < ON_TIME:
            return None
        waits = {Reason.CONNECTIONS: connections, Reason.RATE: rate, Reason.EVENT_LOOP: event_loop}
        return cls(seconds, max(waits, key=waits.__getitem__))

    @classmethod
    def parse(cls, given: Any) -> Delay | None:
        """Parse the result of :meth:`dump`; return None if it is anything else."""
        if not isinstance(given, Mapping):
            return None
        seconds, reason = as_number(given.get("seconds")), given.get("reason")
        if seconds is None or not 0 <= seconds <= _LONGEST or not isinstance(reason, str) or reason not in set(Reason):
            return None
        return cls(seconds, Reason(reason))

    def dump(self) -> dict[str, JsonValue]:
        """Return the delay as plain data."""
        return {"seconds": round(self.seconds, 1), "reason": str(self.reason)}
