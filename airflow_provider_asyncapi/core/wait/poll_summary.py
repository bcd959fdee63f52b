"""Summaries of a wait and of its polls, which users see as XComs and on the jobs page. They hold no secrets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_provider_asyncapi.core.effects import Polled
from airflow_provider_asyncapi.core.http.delays import Delay
from airflow_provider_asyncapi.core.json_values import JsonValue, as_number
from airflow_provider_asyncapi.core.text import shorten
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint

#: The maximum length of an error message in a summary, in characters; the task's log has the whole message.
_MAX_ERROR_LENGTH = 1000
#: Minimum seconds between two summaries that differ only in the delay of the polls. The delay may change with each
#: poll, and is seldom that of one task alone.
_MIN_DELAY_INTERVAL = 60.0


def summarize_wait(conn_id: str, task_instance: object, state: WaitCheckpoint) -> dict[str, JsonValue]:
    """
    Return the part of the summary that doesn't change with each poll.

    :param task_instance: the id of the task instance that waits, another one for each try.
    """
    return {
        "asyncapi_conn_id": conn_id,
        "task_instance": str(task_instance),
        "identifier": state.handle.identifier,
        "started_at": _format_time(state.started_at),
        "deadline": None if state.deadline is None else _format_time(state.deadline),
        **({"warned_at": _format_time(state.warned_at)} if state.warned_at else {}),
        **({"log": state.log.dump()} if state.log else {}),
    }


@dataclass(frozen=True, slots=True)
class PollSummary:
    """
    The latest poll as users see it.

    :param at: time of the poll, in seconds since the epoch.
    :param pause: seconds until the next poll; None if there is none.
    :param error: error message of the poll; None if it was answered.
    :param delay: delay of the poll; None if it was on time.
    """

    at: float
    pause: float | None
    error: str | None = None
    delay: Delay | None = None

    @classmethod
    def of(cls, polled: Polled) -> PollSummary:
        """Return the summary of a poll."""
        return cls(polled.at, polled.pause, polled.error and shorten(polled.error, _MAX_ERROR_LENGTH), polled.delay)

    @classmethod
    def ending(cls, at: float, error: str) -> PollSummary:
        """Return the summary of a wait that ended with an error."""
        return cls(at, None, shorten(error, _MAX_ERROR_LENGTH))

    @classmethod
    def parse(cls, given: Any) -> PollSummary | None:
        """Return the summary that :meth:`dump` returned as plain data; None if it is anything else."""
        if not isinstance(given, Mapping) or (at := parse_time(given.get("at"))) is None:
            return None
        error = given.get("error")
        delay = Delay.parse(given.get("delay"))
        return cls(at, as_number(given.get("pause")), error if isinstance(error, str) else None, delay)

    def dump(self) -> dict[str, JsonValue]:
        """Return the summary as plain data."""
        plain = {"at": _format_time(self.at), "pause": self.pause and round(self.pause, 3), "error": self.error}
        return plain if self.delay is None else {**plain, "delay": self.delay.dump()}

    def is_worth_showing(self, shown: PollSummary | None, *, changed: bool) -> bool:
        """
        Return whether this summary should replace the published one: an error or a delay has begun, changed or ended.

        Most polls differ in their time alone, which users can work out. A much longer or shorter pause is published
        together with a change of the job only: each update costs Airflow a write to its database.

        :param shown: the published summary; None if it isn't known.
        :param changed: whether the job's status or progress has changed.
        """
        if shown is None or self.error != shown.error:
            return True
        if not self._is_as_late_as(shown) and self.at - shown.at >= _MIN_DELAY_INTERVAL:
            return True
        return changed and not _are_similar(self.pause, shown.pause)

    def _is_as_late_as(self, shown: PollSummary) -> bool:
        if self.delay is None or shown.delay is None:
            return self.delay is shown.delay
        return self.delay.reason is shown.delay.reason and _are_similar(self.delay.seconds, shown.delay.seconds)

    def next_poll(self, since: float, now: float) -> float | None:
        """
        Return the approximate time of the next poll; None if it isn't known.

        :param since: time of the latest update, such as a change of status, which a later poll may have made.
        """
        if not self.pause or self.pause < 0:
            return None
        latest = max(self.at, since)
        # Late polls are likely to stay late.
        pause = self.pause + (0.0 if self.delay is None else self.delay.seconds)
        passed = (now - latest) / pause
        if not math.isfinite(passed):
            return None
        pauses = max(1, math.ceil(passed))
        # After errors the pauses grow, and the later ones aren't published.
        return latest + pause * pauses if pauses == 1 or self.error is None else None


def parse_time(given: Any) -> float | None:
    """Return an ISO 8601 time with its zone as seconds since the epoch; None if it is anything else."""
    try:
        moment = datetime.fromisoformat(given)
    except (ValueError, TypeError):
        return None
    return moment.timestamp() if moment.tzinfo else None


def _are_similar(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return one <= 2 * other and other <= 2 * one


def _format_time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()
