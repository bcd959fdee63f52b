"""
How a wait is doing: whether somebody has to look at it, and why.

The database filters and sorts by the same conditions of which the reasons are made, so that a row is never sorted as
one that is at risk and shown as one that isn't. Times are compared as ISO 8601 text of one time zone, since a task may
push anything, and what isn't a time must not fail the query.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

from airflow.providers.common.compat.sdk import conf
from pydantic import BaseModel, Field
from sqlalchemy import and_, case, or_

from airflow_provider_asyncapi.core.wait.unclear_status import StatusProblemKind
from airflow_provider_asyncapi.plugins.job_tables import (
    ENDED,
    has_poll,
    job,
    read_optional,
    read_poll,
    ti,
    trigger,
    triggerer,
    wait,
)
from airflow_provider_asyncapi.plugins.json_fields import as_text, to_datetime

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy.sql import ColumnElement

    from airflow_provider_asyncapi.core.wait.summaries import PollSummary

Level: TypeAlias = Literal["ok", "warning", "critical"]
#: The kinds of reasons, those first that are most likely to need somebody now: a job with an unknown status goes on.
ReasonCode: TypeAlias = Literal[
    "past_deadline",
    "not_polled",
    "stalled",
    "deadline_near",
    "poll_errors",
    "status_missing",
    "unreadable",
    "late_wait",
    "late_polls",
    "unknown_status",
]

_RANKS: Final = {code: rank for rank, code in enumerate(get_args(ReasonCode))}
#: Time after which a task that should be taken up by a worker counts as one that nobody polls.
_QUEUE_TIME: Final = timedelta(minutes=5)
#: Multiple of Airflow's own threshold after which a triggerer counts as dead: another one may take over its triggers.
_PATIENCE: Final = 2


class HealthReason(BaseModel):
    """Why somebody should look at a job."""

    code: ReasonCode = Field(description="The kind of the reason.")
    message: str = Field(description="The reason for people.")
    since: datetime | None = Field(default=None, description="The time since which it is so, for those that have one.")


class Health(BaseModel):
    """How a wait is doing."""

    level: Level = Field(description="Whether somebody should look at the job.")
    reasons: list[HealthReason] = Field(description="Why; empty if the level is ok.")


class HealthConditions:
    """
    The conditions of health at one point in time.

    :param now: current time, in seconds since the epoch.
    """

    def __init__(self, now: float) -> None:
        moment = datetime.fromtimestamp(now, UTC)
        text = moment.isoformat()
        deadline = read_optional(wait.value, "deadline")
        is_expired = and_(deadline.is_not(None), deadline < text)
        near = read_optional(wait.value, "near_deadline")
        stalled = read_poll("stalled_at")
        problem = read_poll("status_problem")
        self._critical: dict[str, ColumnElement[bool]] = {"past_deadline": is_expired}
        self._warnings: dict[str, ColumnElement[bool]] = {
            "not_polled": _is_not_polled(moment),
            "status_missing": problem == str(StatusProblemKind.STATUS_MISSING),
            "unknown_status": and_(problem.is_not(None), problem != str(StatusProblemKind.STATUS_MISSING)),
            "poll_errors": read_poll("error").is_not(None),
            "deadline_near": and_(near.is_not(None), near < text, or_(deadline.is_(None), deadline >= text)),
            "stalled": and_(stalled.is_not(None), stalled < text),
            "late_wait": read_optional(wait.value, "warned_at").is_not(None),
            "late_polls": read_poll("delay").is_not(None),
        }
        self._unreadable: dict[str, ColumnElement[bool]] = {
            "unreadable_wait": or_(
                read_optional(wait.value, "asyncapi_conn_id").is_(None),
                _is_no_time(read_optional(wait.value, "started_at")),
            ),
            "unreadable_poll": and_(_is_no_time(read_poll("at")), has_poll()),
            "unreadable_job": and_(job.key.is_not(None), read_optional(job.value, "outcome").is_(None)),
        }
        over = frozenset[str]().union(*ENDED.values())
        self._is_waiting = or_(ti.state.is_(None), ti.state.not_in(over))

    @property
    def columns(self) -> Sequence[ColumnElement[Any]]:
        """The columns from which :func:`explain_health` makes the reasons."""
        conditions = {**self._critical, **self._warnings, **self._unreadable}
        return [case((condition, 1), else_=0).label(f"is_{name}") for name, condition in conditions.items()] + [
            triggerer.hostname.label("triggerer_host"),
            triggerer.latest_heartbeat.label("triggerer_seen_at"),
            trigger.id.label("trigger_id"),
            trigger.triggerer_id.label("triggerer_id"),
            trigger.created_date.label("trigger_created_at"),
            ti.updated_at.label("task_updated_at"),
            ti.last_heartbeat_at.label("task_seen_at"),
        ]

    @property
    def level(self) -> ColumnElement[str]:
        """The level of a job."""
        return case(
            (self._is_critical, "critical"),
            (self._is_warned, "warning"),
            else_="ok",
        )

    @property
    def risk(self) -> ColumnElement[int]:
        """The order in which people should look at jobs: 0 for those that come first."""
        over = len(_RANKS)
        # A row that can't be read says so even if the wait has ended.
        warnings = {name: and_(self._is_waiting, condition) for name, condition in self._warnings.items()}
        conditions = {"past_deadline": self._is_critical, **warnings, "unreadable": or_(*self._unreadable.values())}
        return case(
            *((conditions[code], rank) for code, rank in _RANKS.items()),
            (ti.state.in_(ENDED["failed"]), over),
            (self._is_waiting, over + 1),
            else_=over + 2,
        )

    @property
    def _is_critical(self) -> ColumnElement[bool]:
        return and_(self._is_waiting, or_(*self._critical.values()))

    @property
    def _is_warned(self) -> ColumnElement[bool]:
        # A row that can't be read says so even if the wait has ended.
        return or_(and_(self._is_waiting, or_(*self._warnings.values())), *self._unreadable.values())


def _is_no_time(column: Any) -> ColumnElement[bool]:
    """Return the condition that a text isn't a time as this provider writes it."""
    return or_(column.is_(None), column.not_like("____-__-__T__:__:__%+00:00"))


def _is_not_polled(moment: datetime) -> ColumnElement[bool]:
    """
    Return the condition that nobody polls for a wait.

    No poll is written down, but Airflow knows who should poll: a triggerer stops its heartbeats when its process or its
    event loop hangs, and so does a worker. In reschedule mode each poke writes when the next one is due.
    """
    is_silent = moment - timedelta(seconds=_PATIENCE * conf.getfloat("triggerer", "triggerer_health_check_threshold"))
    is_lost = moment - timedelta(seconds=conf.getfloat("scheduler", "task_instance_heartbeat_timeout"))
    is_overdue = moment - _QUEUE_TIME
    due = read_poll("due")
    return or_(
        and_(
            ti.state == "deferred",
            or_(
                # The row of a task that was deferred just now may come before that of its trigger.
                and_(trigger.id.is_(None), ti.updated_at < is_silent),
                and_(triggerer.id.is_(None), trigger.created_date < is_silent),
                triggerer.latest_heartbeat < is_silent,
            ),
        ),
        and_(ti.state == "running", ti.last_heartbeat_at < is_lost),
        and_(ti.state == "up_for_reschedule", due.is_not(None), due < is_overdue.isoformat()),
        and_(ti.state.in_(("scheduled", "queued", "restarting")), ti.updated_at < is_overdue),
    )


def find_last_sign(row: Any, now: float) -> float:
    """
    Return the time up to which somebody has polled for a wait, in seconds since the epoch.

    :param row: a row with :attr:`HealthConditions.columns`.
    """
    if not row.is_not_polled:
        return now
    seen = {"deferred": row.triggerer_seen_at, "running": row.task_seen_at}.get(row.state)
    return 0.0 if seen is None else min(now, seen.timestamp())


def explain_health(
    row: Any, poll_summary: PollSummary | None, now: float, last_polled: float | None, problem: str | None
) -> Health:
    """
    Return the level of a wait, and the reasons for it in the order of their ranks.

    :param row: a row with :attr:`HealthConditions.columns`, and the ``state`` of its task.
    :param now: current time, in seconds since the epoch.
    :param last_polled: approximate time of the last poll, in seconds since the epoch; None if it isn't known.
    :param problem: why the row can't be read as a whole; None if it can.
    """
    reasons = list(_find_reasons(row, poll_summary, now, last_polled))
    if problem is not None:
        reasons.append(unreadable(problem))
    reasons.sort(key=lambda reason: _RANKS[reason.code])
    is_critical = any(reason.code == "past_deadline" for reason in reasons)
    return Health(level="critical" if is_critical else "warning" if reasons else "ok", reasons=reasons)


def unreadable(problem: str) -> HealthReason:
    """Return the reason of a row that can't be read as a whole."""
    return HealthReason(code="unreadable", message=problem)


def _find_reasons(
    row: Any, poll_summary: PollSummary | None, now: float, last_polled: float | None
) -> Iterator[HealthReason]:
    if row.is_past_deadline:
        yield HealthReason(code="past_deadline", message=f"The deadline has passed at {_show(as_text(row.deadline))}")
    if row.is_not_polled:
        yield HealthReason(code="not_polled", message=_explain_silence(row, poll_summary, now, last_polled))
    for code in ("status_missing", "unknown_status"):
        if getattr(row, f"is_{code}"):
            problem = None if poll_summary is None else poll_summary.status_problem
            message = as_text(problem.message) if problem else "The status is unknown"
            yield HealthReason(code=code, message=message or "")
    if row.is_poll_errors:
        error = poll_summary and poll_summary.error
        yield HealthReason(code="poll_errors", message=f"The last poll failed: {as_text(error) or 'no message'}")
    if row.is_stalled:
        yield _explain_stall(poll_summary)
    for name, message in _MESSAGES.items():
        if getattr(row, f"is_{name}"):
            yield HealthReason(code=name, message=message)


_MESSAGES: Final[Mapping[ReasonCode, str]] = {
    "deadline_near": "Less than a tenth of the time until the deadline is left",
    "late_wait": "The wait takes longer than warn_after",
    "late_polls": "Polls are later than poke_interval",
}


def _explain_stall(poll_summary: PollSummary | None) -> HealthReason:
    message = "Stalled: status and progress unchanged"
    since = None if poll_summary is None else poll_summary.unchanged_since
    if since is None:
        return HealthReason(code="stalled", message=f"{message} for more than half of stall_timeout")
    return HealthReason(code="stalled", message=message, since=to_datetime(since))


def _explain_silence(row: Any, poll_summary: PollSummary | None, now: float, last_polled: float | None) -> str:
    """Return why nobody polls, and for how long."""
    pause = poll_summary and poll_summary.usual_pause
    missed = int((now - last_polled) / pause) if pause and last_polled is not None else 0
    since = f"Not polled for {missed} intervals" if missed > 0 else "Nobody polls"
    match row.state:
        case "deferred" if row.trigger_id is None:
            reason = "the task is deferred, and its trigger is gone"
        case "deferred" if row.triggerer_seen_at is None:
            reason = f"no triggerer has taken up the trigger since {_show(row.trigger_created_at)}"
        case "deferred":
            reason = f"triggerer {row.triggerer_host} was last heard of at {_show(row.triggerer_seen_at)}"
        case "running":
            reason = f"the worker was last heard of at {_show(row.task_seen_at)}"
        case "up_for_reschedule":
            reason = "the next poke is overdue, and the scheduler hasn't scheduled it"
        case state:
            reason = f"the task is {state} since {_show(row.task_updated_at)}, and no worker has taken it"
    return f"{since}: {reason}"


def _show(moment: datetime | str | None) -> str:
    """Return a time for a message, to the second, in UTC."""
    if isinstance(moment, datetime):
        return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return "an unknown time" if moment is None else f"{moment[:19].replace('T', ' ')} UTC"
