"""Query the jobs in Airflow's database that a user may see."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from fastapi import Depends, HTTPException
from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.orm import aliased

from airflow_provider_asyncapi.airflow_private.api_server import (
    DagAccessEntity,
    GetUserDep,
    SessionDep,
    get_auth_manager,
)
from airflow_provider_asyncapi.airflow_private.database import DagRun, TaskInstance, XComModel
from airflow_provider_asyncapi.core.json_values import as_number
from airflow_provider_asyncapi.core.wait.poll_summary import PollSummary, parse_time
from airflow_provider_asyncapi.links.asyncapi import is_web_address
from airflow_provider_asyncapi.monitoring.xcoms import ATTEMPTS_KEY, JOB_KEY, JOB_URL_KEY, POLL_KEY, WAIT_KEY
from airflow_provider_asyncapi.plugins.json_fields import Selected, TextField, as_json_text, as_text, load

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.sql import ColumnElement, Select

Session: TypeAlias = SessionDep
Group: TypeAlias = Literal["waiting", "failed", "done"]
#: The states of tasks that have ended. In any other state, including that of a cleared task, a task will wait again.
_ENDED: Final[dict[Group, frozenset[str]]] = {
    "failed": frozenset({"failed", "upstream_failed"}),
    "done": frozenset({"success", "skipped", "removed"}),
}
#: The states of tasks whose jobs are polled.
_POLLING: Final = frozenset({"running", "deferred", "up_for_reschedule"})

_wait, _job, _poll, _url, _attempts = (
    aliased(XComModel, name=name) for name in ("wait", "job", "poll", "url", "attempts")
)
_ti = TaskInstance
#: The columns by which jobs can be sorted.
ORDERS: Final[dict[str, Any]] = {
    "dag_id": _ti.dag_id,
    "run_id": _ti.run_id,
    "task_id": _ti.task_id,
    "state": _ti.state,
    "conn_id": TextField(_wait.value, "asyncapi_conn_id"),
    "identifier": TextField(_job.value, "identifier"),
    "status": TextField(_job.value, "status"),
    # These sort correctly as text: a fraction from 0 to 1, and times of one time zone.
    "progress": TextField(_job.value, "progress"),
    "started_at": TextField(_wait.value, "started_at"),
    "deadline": TextField(_wait.value, "deadline"),
}


def _readable_dags(user: GetUserDep, session: SessionDep) -> frozenset[str]:
    """
    Return the DAGs whose jobs the user may see.

    :raises HTTPException: 403 if the user may not read task instances or XComs at all, from which jobs are listed.
    """
    manager = get_auth_manager()
    for entity in (DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM):
        if not manager.is_authorized_dag(method="GET", access_entity=entity, user=user):
            raise HTTPException(403, "You may not read task instances and XComs")
    return frozenset(manager.get_authorized_dag_ids(user=user, method="GET", session=session))


#: The DAGs whose jobs the user may see; 401 without a login.
ReadableDags: TypeAlias = Annotated[frozenset[str], Depends(_readable_dags)]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """
    A filter of jobs.

    :param readable: the DAGs that the user may read; jobs of other DAGs are never selected.
    :param now: current time, in seconds since the epoch.
    :param hours: maximum age of a finished run, in hours; ignored if ``run_id`` is set.
    """

    readable: Collection[str]
    now: float
    hours: int
    dag_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    map_index: int | None = None
    group: Group | None = None
    search: str | None = None

    def select(self, *columns: Any) -> Select[Any]:
        """
        Return a query for columns of the jobs of all groups.

        Runs are found by their state and age, their tasks by the run, and each XCom by its primary key. The product
        with zero only makes databases join in this order: they assume that few tasks of a run share an id, and in the
        other order they would read ten thousand mapped tasks for each of ten thousand XComs.
        """
        dags = self.readable if self.dag_id is None else {self.dag_id}.intersection(self.readable)
        found = (
            select(*columns)
            .select_from(DagRun)
            .join(_ti, and_(_ti.dag_id == DagRun.dag_id, _ti.run_id == DagRun.run_id))
            .join(
                _wait,
                and_(
                    _wait.dag_run_id == DagRun.id + 0 * _ti.map_index,
                    _wait.task_id == _ti.task_id,
                    _wait.map_index == _ti.map_index,
                    _wait.key == WAIT_KEY,
                ),
            )
            .outerjoin(_job, _match_same_task(_job, JOB_KEY))
            .where(DagRun.dag_id.in_(dags))
        )
        if self.run_id is None:
            since = datetime.fromtimestamp(self.now, UTC) - timedelta(hours=self.hours)
            found = found.where(or_(DagRun.run_after >= since, DagRun.state.in_(("queued", "running"))))
        for column, value in (
            (DagRun.run_id, self.run_id),
            (_ti.task_id, self.task_id),
            (_ti.map_index, self.map_index),
        ):
            if value is not None:
                found = found.where(column == value)
        if self.search:
            searched = (_ti.dag_id, _ti.run_id, _ti.task_id, ORDERS["conn_id"], ORDERS["identifier"])
            found = found.where(or_(*(column.icontains(self.search, autoescape=True) for column in searched)))
        return found


def count_by_state(session: SessionDep, wanted: JobFilter) -> dict[Group, int]:
    """Return the number of jobs in each group."""
    groups: dict[Group, int] = {"waiting": 0, "failed": 0, "done": 0}
    for state, count in session.execute(wanted.select(_ti.state, func.count()).group_by(_ti.state)):
        groups[_find_group(state)] += count
    return groups


def find_jobs(session: SessionDep, wanted: JobFilter, order_by: str, limit: int, offset: int) -> list[dict[str, Any]]:
    """
    Return a page of jobs.

    :param order_by: one of :data:`ORDERS`, with a minus before it for descending order.
    """
    statement = (
        wanted.select(
            _ti.dag_id,
            _ti.run_id,
            _ti.task_id,
            _ti.map_index,
            _ti.try_number,
            _ti.state,
            _ti.end_date.label("ended_at"),
            # No other field of the handle: captured values may be large or confidential.
            *(
                Selected(ORDERS[name]).label(name)
                for name in ("conn_id", "identifier", "status", "progress", "started_at", "deadline")
            ),
            Selected(TextField(_job.value, "submitted_at")).label("submitted_at"),
            Selected(TextField(_wait.value, "warned_at")).label("warned_at"),
            _job.timestamp.label("updated_at"),
            as_json_text(_poll.value).label("poll"),
            as_json_text(_url.value).label("url"),
            as_json_text(_attempts.value).label("attempts"),
        )
        .outerjoin(_poll, _match_same_task(_poll, POLL_KEY))
        .outerjoin(_url, _match_same_task(_url, JOB_URL_KEY))
        .outerjoin(_attempts, _match_same_task(_attempts, ATTEMPTS_KEY))
        .order_by(*_build_order(order_by))
        .limit(limit)
        .offset(offset)
    )
    if wanted.group == "waiting":
        over = frozenset[str]().union(*_ENDED.values())
        statement = statement.where(or_(_ti.state.is_(None), _ti.state.not_in(over)))
    elif wanted.group is not None:
        statement = statement.where(_ti.state.in_(_ENDED[wanted.group]))
    return [_describe_job(row, wanted.now) for row in session.execute(statement)]


def _match_same_task(other: Any, key: str) -> ColumnElement[bool]:
    """Return the join condition of another XCom of the same task instance."""
    return and_(
        other.dag_run_id == _wait.dag_run_id,
        other.task_id == _wait.task_id,
        other.map_index == _wait.map_index,
        other.key == key,
    )


def _build_order(order_by: str) -> list[ColumnElement[Any]]:
    column: ColumnElement[Any] = ORDERS[order_by.removeprefix("-")]
    # Databases differ in where they sort NULL, and MySQL lacks the standard syntax for it.
    nothing_last = case((column.is_(None), 1), else_=0)
    ties: tuple[Any, ...] = (_ti.dag_id, _ti.run_id, _ti.task_id, _ti.map_index)
    return [nothing_last, column.desc() if order_by.startswith("-") else column.asc(), *ties]


def _find_group(state: str | None) -> Group:
    return next((group for group, states in _ENDED.items() if state in states), "waiting")


def _describe_job(row: Any, now: float) -> dict[str, Any]:
    """Return the fields of a job. Any task can push these XComs, so no value is trusted."""
    group = _find_group(row.state)
    poll, url = PollSummary.parse(load(row.poll)), load(row.url)
    updated_at = row.updated_at.timestamp() if row.updated_at else 0.0
    next_poll = poll.next_poll(updated_at, now) if poll is not None and row.state in _POLLING else None
    progress = as_number(as_text(row.progress))
    attempts: Any = load(row.attempts)
    failed = attempts if isinstance(attempts, list) else []
    last_failure = failed[-1].get("message") if failed and isinstance(failed[-1], dict) else None
    return {
        **{name: getattr(row, name) for name in ("dag_id", "run_id", "task_id", "map_index", "try_number", "state")},
        **{name: as_text(getattr(row, name)) for name in ("conn_id", "identifier", "status")},
        **{
            name: _to_datetime(parse_time(as_text(getattr(row, name))))
            for name in ("submitted_at", "started_at", "deadline", "warned_at")
        },
        "group": group,
        "ended_at": None if group == "waiting" else row.ended_at,
        "progress": None if progress is None else min(1.0, max(0.0, progress)),
        "next_poll": _to_datetime(next_poll),
        "delay": poll.delay if poll is not None and next_poll is not None else None,
        # A transient error doesn't matter once the job has succeeded.
        "error": as_text(poll.error) if poll is not None and row.state != "success" else None,
        "attempt": len(failed) + 1,
        "last_failure": as_text(last_failure),
        "url": as_text(url) if is_web_address(url) else None,
    }


def _to_datetime(seconds: float | None) -> datetime | None:
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        # The year is before 1 or after 9999.
        return None
