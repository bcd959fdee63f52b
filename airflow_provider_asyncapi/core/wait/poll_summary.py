"""What people are shown of a wait, beside the job handle. It goes through XCom, so it holds no secret."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_provider_asyncapi.core.effects import Polled
from airflow_provider_asyncapi.core.json_values import JsonValue, as_number, shorten
from airflow_provider_asyncapi.core.wait.lateness import Delay
from airflow_provider_asyncapi.core.wait.plan import Wait

#: The longest message that is shown, in characters; the task's log has it whole.
_MAX_ERROR = 1000
#: That polls have become late, or are on time again, is told at most once in so many seconds. It may change with each
#: poll, and it is seldom one task's alone.
_DELAY_EVERY = 60.0


def shown_wait(conn_id: str, task_instance: object, state: Wait) -> dict[str, JsonValue]:
    """
    Return what stays the same from the beginning of a wait to its end.

    :param task_instance: the id of the task instance that waits, another one for each try.
    """
    return {
        "asyncapi_conn_id": conn_id,
        "task_instance": str(task_instance),
        "identifier": state.handle.identifier,
        "started_at": _iso(state.started_at),
        "deadline": None if state.deadline is None else _iso(state.deadline),
    }


@dataclass(frozen=True, slots=True)
class ShownPoll:
    """
    How the polls go.

    :param at: when the poll was made that this tells of, in seconds since the epoch.
    :param pause: seconds from it to the next; None where none follows.
    :param error: what went wrong with it; None where it was answered.
    :param delay: by how much it was late; None if it was on time.
    """

    at: float
    pause: float | None
    error: str | None = None
    delay: Delay | None = None

    @classmethod
    def of(cls, polled: Polled) -> ShownPoll:
        """Give what a poll tells."""
        return cls(polled.at, polled.pause, polled.error and shorten(polled.error, _MAX_ERROR), polled.delay)

    @classmethod
    def ending(cls, at: float, error: str) -> ShownPoll:
        """Give what has ended the wait."""
        return cls(at, None, shorten(error, _MAX_ERROR))

    @classmethod
    def parse(cls, given: Any) -> ShownPoll | None:
        """Read what :meth:`dump` gave; None where it is anything else."""
        if not isinstance(given, Mapping) or (at := seconds_of(given.get("at"))) is None:
            return None
        error = given.get("error")
        delay = Delay.parse(given.get("delay"))
        return cls(at, as_number(given.get("pause")), error if isinstance(error, str) else None, delay)

    def dump(self) -> dict[str, JsonValue]:
        """Give it as plain data."""
        plain = {"at": _iso(self.at), "pause": self.pause and round(self.pause, 3), "error": self.error}
        return plain if self.delay is None else {**plain, "delay": self.delay.dump()}

    def is_news(self, shown: ShownPoll | None, *, changed: bool) -> bool:
        """
        Tell whether this should be shown: another error, or the end of one; a delay, or the end of one.

        Most polls differ in their time alone, which people can work out. That the pauses have become much longer or
        shorter is told when there are other news of the job: each message costs Airflow a write to its database.

        :param shown: what people see; None where that isn't known.
        :param changed: whether the job's status or progress are new.
        """
        if shown is None or self.error != shown.error:
            return True
        if not self._is_as_late_as(shown) and self.at - shown.at >= _DELAY_EVERY:
            return True
        return changed and not _alike(self.pause, shown.pause)

    def _is_as_late_as(self, shown: ShownPoll) -> bool:
        if self.delay is None or shown.delay is None:
            return self.delay is shown.delay
        return self.delay.reason is shown.delay.reason and _alike(self.delay.seconds, shown.delay.seconds)

    def next_poll(self, since: float, now: float) -> float | None:
        """
        Work out when the next poll is about to be made; None where that isn't known.

        :param since: when a poll was made of which more is known, such as a change of status.
        """
        if not self.pause or self.pause < 0:
            return None
        latest = max(self.at, since)
        # Polls that are late are likely to go on being so.
        pause = self.pause + (0.0 if self.delay is None else self.delay.seconds)
        passed = (now - latest) / pause
        if not math.isfinite(passed):
            return None
        pauses = max(1, math.ceil(passed))
        # After errors the pauses grow: of those to come nobody has told.
        return latest + pause * pauses if pauses == 1 or self.error is None else None


def seconds_of(given: Any) -> float | None:
    """Read an ISO 8601 time with its zone as seconds since the epoch; None where it is anything else."""
    try:
        moment = datetime.fromisoformat(given)
    except (ValueError, TypeError):
        return None
    return moment.timestamp() if moment.tzinfo else None


def _alike(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return one <= 2 * other and other <= 2 * one


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()
