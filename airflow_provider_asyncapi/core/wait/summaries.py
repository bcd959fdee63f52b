"""Summaries of a wait and of its polls, which users see as XComs and on the jobs page. They hold no secrets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_provider_asyncapi.core.effects import Polled
from airflow_provider_asyncapi.core.http.delays import Delay
from airflow_provider_asyncapi.core.json_values import JsonValue, as_number
from airflow_provider_asyncapi.core.text import shorten
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.unclear_status import StatusProblem

#: The maximum length of an error message in a summary, in characters; the task's log has the whole message.
_MAX_ERROR_LENGTH = 1000
#: Minimum seconds between two summaries that differ only in the delay of the polls. The delay may change with each
#: poll, and is seldom that of one task alone.
_MIN_DELAY_INTERVAL = 60.0
#: The largest number of polls that is believed: one a second for thirty years.
_MOST_POLLS = 10**9
#: The part of a wait before its deadline in which the deadline counts as near.
_NEAR_DEADLINE = 0.1


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
        **_summarize_deadline(state),
        **({"warned_at": _format_time(state.warned_at)} if state.warned_at else {}),
        **({"log": state.log.dump()} if state.log else {}),
    }


def summarize_submit(conn_id: str, task_instance: object, began: float) -> dict[str, JsonValue]:
    """
    Return the summary of a submit that has failed, in place of that of a wait.

    :param task_instance: the id of the task instance that submits.
    :param began: start of the submit, in seconds since the epoch.
    """
    return {
        "kind": "submit",
        "asyncapi_conn_id": conn_id,
        "task_instance": str(task_instance),
        "identifier": None,
        "started_at": _format_time(began),
        "deadline": None,
    }


def _summarize_deadline(state: WaitCheckpoint) -> dict[str, JsonValue]:
    """Return the deadline, which users see only if somebody has set it, and the time from which it is near."""
    if state.deadline is None:
        return {"deadline": None}
    near = state.deadline - _NEAR_DEADLINE * max(0.0, state.deadline - state.started_at)
    return {
        "default_deadline" if state.has_default_deadline else "deadline": _format_time(state.deadline),
        "near_deadline": _format_time(near),
    }


@dataclass(frozen=True, slots=True)
class RateLimits:
    """
    The polls that were answered 429, and their period.

    :param count: their number.
    :param since: time of the first one, in seconds since the epoch; None if there is none.
    :param until: time of the last one; None if there is none.
    """

    count: int = 0
    since: float | None = None
    until: float | None = None

    def add(self, at: float) -> RateLimits:
        """Return the polls with another one, at a time in seconds since the epoch."""
        return RateLimits(self.count + 1, at if self.since is None else self.since, at)

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> RateLimits:
        """Return what :meth:`dump` returned as plain data; a part that is anything else is missing."""
        times = (parse_time(given.get(name)) for name in ("rate_limited_since", "rate_limited_until"))
        return cls(_parse_count(given.get("rate_limited")) or 0, *times)

    def dump(self) -> dict[str, JsonValue]:
        """Return them as plain data; nothing if there are none."""
        if self.since is None or self.until is None:
            return {}
        return {
            "rate_limited": self.count,
            "rate_limited_since": _format_time(self.since),
            "rate_limited_until": _format_time(self.until),
        }


NO_LIMITS = RateLimits()


@dataclass(frozen=True, slots=True)
class PollSummary:
    """
    The latest poll as users see it.

    :param at: time of the poll, in seconds since the epoch.
    :param pause: seconds until the next poll; None if there is none.
    :param error: error message of the poll; None if it was answered.
    :param delay: delay of the poll; None if it was on time.
    :param polls: number of polls so far; None if it isn't known.
    :param reason: what the pause follows from, one of :class:`~.effects.PauseReason`; None if it isn't known.
    :param status_problem: why the job only counts as running; None if its status is known.
    :param rate_limited: the polls of this wait that were answered 429, as far as this process has seen them.
    :param stalled_at: time from which a job without a change counts as stalled, in seconds since the epoch; None for
        never.
    :param unchanged_since: time of the last change of the job, or the start of the wait, in seconds since the epoch;
        None if the job never counts as stalled.
    """

    at: float
    pause: float | None
    error: str | None = None
    delay: Delay | None = None
    _: KW_ONLY
    polls: int | None = None
    reason: str | None = None
    status_problem: StatusProblem | None = None
    rate_limited: RateLimits = NO_LIMITS
    stalled_at: float | None = None
    unchanged_since: float | None = None

    @classmethod
    def of(cls, polled: Polled, rate_limited: RateLimits = NO_LIMITS) -> PollSummary:
        """
        Return the summary of a poll.

        :param rate_limited: the polls that were answered 429, this one included.
        """
        return cls(
            polled.at,
            polled.pause,
            polled.error and shorten(polled.error, _MAX_ERROR_LENGTH),
            polled.delay,
            polls=polled.polls,
            reason=None if polled.pause_reason is None else str(polled.pause_reason),
            status_problem=polled.status_problem,
            rate_limited=rate_limited,
            stalled_at=polled.stalled_at,
            unchanged_since=polled.unchanged_since,
        )

    @classmethod
    def ending(cls, at: float, error: str) -> PollSummary:
        """Return the summary of a wait that ended with an error."""
        return cls(at, None, shorten(error, _MAX_ERROR_LENGTH))

    @classmethod
    def parse(cls, given: Any) -> PollSummary | None:
        """Return the summary that :meth:`dump` returned as plain data; None if it is anything else."""
        if not isinstance(given, Mapping) or (at := parse_time(given.get("at"))) is None:
            return None
        error, reason = given.get("error"), given.get("reason")
        return cls(
            at,
            as_number(given.get("pause")),
            error if isinstance(error, str) else None,
            Delay.parse(given.get("delay")),
            polls=_parse_count(given.get("polls")),
            reason=reason if isinstance(reason, str) else None,
            status_problem=StatusProblem.parse(given.get("status_problem"), given.get("status_problem_message")),
            rate_limited=RateLimits.parse(given),
            stalled_at=parse_time(given.get("stalled_at")),
            unchanged_since=parse_time(given.get("unchanged_since")),
        )

    def dump(self) -> dict[str, JsonValue]:
        """Return the summary as plain data; a field that is missing says nothing."""
        optional: dict[str, JsonValue] = {
            "delay": self.delay and self.delay.dump(),
            "due": None if self.pause is None else _format_due(self.at + self.pause),
            "polls": self.polls,
            "reason": self.reason,
            "stalled_at": None if self.stalled_at is None else _format_time(self.stalled_at),
            "unchanged_since": None if self.unchanged_since is None else _format_time(self.unchanged_since),
        }
        return {
            "at": _format_time(self.at),
            "pause": self.pause and round(self.pause, 3),
            "error": self.error,
            **{name: value for name, value in optional.items() if value is not None},
            **(self.status_problem.dump() if self.status_problem else {}),
            **self.rate_limited.dump(),
        }

    def is_worth_showing(self, shown: PollSummary | None, *, changed: bool) -> bool:
        """
        Return whether this summary should replace the published one: an error or a delay has begun, changed or ended.

        Most polls differ in their time alone, which users can work out. A much longer or shorter pause is published
        together with a change of the job only: each update costs Airflow a write to its database.

        :param shown: the published summary; None if it isn't known.
        :param changed: whether the job's status or progress has changed.
        """
        if shown is None or self.error != shown.error or not self._has_same_status_problem(shown):
            return True
        if changed and self.stalled_at != shown.stalled_at:
            return True
        if not self._is_as_late_as(shown) and self.at - shown.at >= _MIN_DELAY_INTERVAL:
            return True
        return changed and not _are_similar(self.pause, shown.pause)

    def _has_same_status_problem(self, shown: PollSummary) -> bool:
        own, other = self.status_problem, shown.status_problem
        return (own and own.message) == (other and other.message)

    def _is_as_late_as(self, shown: PollSummary) -> bool:
        if self.delay is None or shown.delay is None:
            return self.delay is shown.delay
        return self.delay.reason is shown.delay.reason and _are_similar(self.delay.seconds, shown.delay.seconds)

    def next_poll(self, since: float, now: float) -> float | None:
        """
        Return the approximate time of the next poll; None if it isn't known.

        :param since: time of the latest update, such as a change of status, which a later poll may have made.
        """
        pause, latest = self.usual_pause, max(self.at, since)
        passed = math.nan if pause is None else (now - latest) / pause
        if pause is None or not math.isfinite(passed):
            return None
        pauses = max(1, math.ceil(passed))
        # After errors the pauses grow, and the later ones aren't published.
        return latest + pause * pauses if pauses == 1 or self.error is None else None

    def count_since(self, since: float, until: float) -> int:
        """
        Return the approximate number of polls that followed the latest update and found nothing new.

        :param since: as for :meth:`next_poll`.
        :param until: time up to which the job was polled, in seconds since the epoch.
        """
        pause = self.usual_pause
        passed = math.nan if pause is None else (until - max(self.at, since)) / pause
        # An error that goes on isn't published again, and the pauses after it grow.
        return min(int(passed), _MOST_POLLS) if self.error is None and math.isfinite(passed) and passed > 0 else 0

    @property
    def usual_pause(self) -> float | None:
        """Seconds between two polls: late polls are likely to stay late; None if no poll follows."""
        if not self.pause or self.pause < 0:
            return None
        return self.pause + (0.0 if self.delay is None else self.delay.seconds)


def parse_time(given: Any) -> float | None:
    """Return an ISO 8601 time with its zone as seconds since the epoch; None if it is anything else."""
    try:
        moment = datetime.fromisoformat(given)
    except (ValueError, TypeError):
        return None
    return moment.timestamp() if moment.tzinfo else None


def _parse_count(given: Any) -> int | None:
    """Return a number of polls; None if a value isn't one."""
    return given if isinstance(given, int) and not isinstance(given, bool) and 0 <= given <= _MOST_POLLS else None


def _are_similar(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return one <= 2 * other and other <= 2 * one


def _format_due(moment: float) -> str | None:
    """Return the time of the next poll; None if the API has asked for a pause beyond all calendars."""
    try:
        return _format_time(moment)
    except (ValueError, OverflowError, OSError):
        return None


def _format_time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()
