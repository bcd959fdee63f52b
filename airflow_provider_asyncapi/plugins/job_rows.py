"""Turn rows of the database into the jobs that the page shows. Any task can push these XComs: no value is trusted."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, Final

from airflow_provider_asyncapi.core.effects import PauseReason
from airflow_provider_asyncapi.core.json_values import as_number
from airflow_provider_asyncapi.core.wait.summaries import PollSummary, parse_time
from airflow_provider_asyncapi.links.asyncapi import is_web_address
from airflow_provider_asyncapi.monitoring.xcoms import POLL_KEY, choose_part
from airflow_provider_asyncapi.plugins.health import Health, explain_health, find_last_sign, unreadable
from airflow_provider_asyncapi.plugins.job_tables import ENDED, POLLING, Group
from airflow_provider_asyncapi.plugins.json_fields import as_text, load, to_datetime

#: The reason of the next poll for people.
_REASONS: Final = {
    PauseReason.INTERVAL: "the next poll of the schedule",
    PauseReason.REQUESTED: "the API has asked for this pause (Retry-After)",
    PauseReason.ERROR: "the last poll failed, and is repeated",
}
#: The longest pause after an error, in seconds, unless the interval is longer, or the API has asked for a longer one.
_LONGEST_ERROR_PAUSE: Final = 300.0
_UNREADABLE: Final = (
    "The XCom {key} isn't one of this provider, or is broken, so this row is incomplete; clear the task to write it"
    " again"
)


def find_group(state: str | None) -> Group:
    """Return the group of a task's state."""
    return next((group for group, states in ENDED.items() if state in states), "waiting")


def describe_job(row: Any, now: float) -> dict[str, Any]:
    """
    Return the fields of a job.

    :param row: a row of :func:`~.database.find_jobs`.
    :param now: current time, in seconds since the epoch.
    """
    group = find_group(row.state)
    poll, url = PollSummary.parse(choose_part(POLL_KEY, load(row.poll), load(row.summary))), load(row.url)
    changed_at = row.updated_at.timestamp() if row.updated_at else 0.0
    next_poll, is_latest = _find_next_poll(poll if row.state in POLLING else None, changed_at, now)
    progress, ended_at = as_number(as_text(row.progress)), None if group == "waiting" else row.ended_at
    times = {
        name: parse_time(as_text(getattr(row, name)))
        for name in ("submitted_at", "started_at", "deadline", "warned_at")
    }
    last_polled, polls, has_estimated_polls = _find_last_poll(row, poll, changed_at, now, ended_at)
    began = times["submitted_at"] if times["submitted_at"] is not None else times["started_at"]
    return {
        **{name: getattr(row, name) for name in ("dag_id", "run_id", "task_id", "map_index", "try_number", "state")},
        **{name: as_text(getattr(row, name)) for name in ("conn_id", "identifier", "status")},
        **{name: to_datetime(moment) for name, moment in times.items()},
        "kind": "submit" if as_text(row.kind) == "submit" else "wait",
        "group": group,
        "health": _assess(row, group, poll, now, last_polled, times["started_at"]),
        "ended_at": ended_at,
        "duration": _measure(began, now if ended_at is None else ended_at.timestamp()) if began is not None else None,
        "progress": None if progress is None else min(1.0, max(0.0, progress)),
        "polls": polls,
        "has_estimated_polls": has_estimated_polls,
        "last_polled": to_datetime(last_polled),
        "next_poll": None if row.is_not_polled else to_datetime(next_poll),
        "is_next_poll_latest": is_latest,
        "next_poll_reason": None if poll is None or next_poll is None else _REASONS.get(_reason_of(poll)),
        "delay": poll.delay if poll is not None and next_poll is not None else None,
        # A transient error doesn't matter once the job has succeeded.
        "error": as_text(poll.error) if poll is not None and row.state != "success" else None,
        **_describe_attempts(load(row.attempts)),
        "url": as_text(url) if is_web_address(url) else None,
    }


def _assess(
    row: Any, group: Group, poll: PollSummary | None, now: float, last_polled: float | None, started_at: float | None
) -> Health:
    problem = None
    if row.is_unreadable_wait or started_at is None:
        problem = _UNREADABLE.format(key="job_wait")
    elif row.is_unreadable_poll:
        problem = _UNREADABLE.format(key="job_poll")
    elif row.is_unreadable_job:
        problem = _UNREADABLE.format(key="job")
    if group != "waiting":
        # What has ended has a state of its own.
        reasons = [] if problem is None else [unreadable(problem)]
        return Health(level="warning" if reasons else "ok", reasons=reasons)
    return explain_health(row, poll, now, last_polled, problem)


def _find_last_poll(
    row: Any, poll: PollSummary | None, changed_at: float, now: float, ended_at: datetime | None
) -> tuple[float | None, int | None, bool]:
    """
    Return the approximate time of the last poll, the number of polls, and whether that is an estimate.

    A poll that finds nothing new is written nowhere. It is counted by the interval for as long as somebody polls.
    """
    if poll is None or as_text(row.kind) == "submit":
        return None, None, False
    known = max(poll.at, min(changed_at, now) if poll.polls else 0.0)
    until = find_last_sign(row, now) if ended_at is None else ended_at.timestamp()
    if row.state not in POLLING and ended_at is None:
        return known, poll.polls, False
    pause = poll.usual_pause
    last = known if pause is None else known + poll.count_since(changed_at, until) * pause
    # Of the polls that find progress, not each publishes this summary.
    estimated = poll.count_since(poll.at, until)
    if poll.polls is None:
        return last, None, False
    # Nor are polls published that find the same error, or the one that has ended the wait.
    has_others = pause is not None and (ended_at is not None or until - poll.at >= pause)
    return last, poll.polls + estimated, has_others


def _find_next_poll(poll: PollSummary | None, changed_at: float, now: float) -> tuple[float | None, bool]:
    """
    Return the approximate time of the next poll, None if it isn't known, and whether that is the latest one possible.

    Of errors that go on, only the first one is published, and the pauses after it grow: each is at most twice as long
    as the one before.
    """
    if poll is None:
        return None, False
    moment, pause = poll.next_poll(changed_at, now), poll.usual_pause
    if moment is not None or poll.error is None or pause is None:
        return moment, False
    latest, longest = poll.at + pause, max(pause, _LONGEST_ERROR_PAUSE)
    while latest <= now and pause < longest:
        pause = min(2 * pause, longest)
        latest += pause
    if latest <= now:
        latest += (math.floor((now - latest) / pause) + 1) * pause
    return (latest, True) if math.isfinite(latest) else (None, False)


def _reason_of(poll: PollSummary) -> PauseReason:
    """Return what the pause follows from; earlier versions of this provider didn't publish it."""
    if poll.error is not None:
        return PauseReason.ERROR
    return PauseReason(poll.reason) if poll.reason in set(PauseReason) else PauseReason.INTERVAL


def _describe_attempts(attempts: Any) -> dict[str, Any]:
    failed = attempts if isinstance(attempts, list) else []
    last_failure = failed[-1].get("message") if failed and isinstance(failed[-1], dict) else None
    return {"attempt": len(failed) + 1, "last_failure": as_text(last_failure)}


def _measure(began: float, until: float) -> float | None:
    """Return the seconds between two times; None if they can't be those of a job."""
    return round(until - began, 3) if 0 <= until - began < 1e10 else None  # noqa: PLR2004 - three hundred years
