"""What Airflow's database holds about jobs, and which users may see it."""

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
from airflow_provider_asyncapi.core.wait.poll_summary import PollSummary, seconds_of
from airflow_provider_asyncapi.links.asyncapi import is_web_address
from airflow_provider_asyncapi.monitoring.xcoms import JOB_KEY, JOB_URL_KEY, POLL_KEY, WAIT_KEY
from airflow_provider_asyncapi.plugins.json_fields import Selected, TextField, as_json_text, as_text, load

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.sql import ColumnElement, Select

Session: TypeAlias = SessionDep
Group: TypeAlias = Literal["waiting", "failed", "done"]
#: The states of tasks that wait for nothing any more. In all others, that of a cleared task too, one will wait again.
_OVER: Final[dict[Group, frozenset[str]]] = {
    "failed": frozenset({"failed", "upstream_failed"}),
    "done": frozenset({"success", "skipped", "removed"}),
}
#: The states in which polls are made.
_POLLING: Final = frozenset({"running", "deferred", "up_for_reschedule"})

_wait, _job, _poll, _url = (aliased(XComModel, name=name) for name in ("wait", "job", "poll", "url"))
_ti = TaskInstance
#: What jobs can be sorted by.
ORDERS: Final[dict[str, Any]] = {
    "dag_id": _ti.dag_id,
    "run_id": _ti.run_id,
    "task_id": _ti.task_id,
    "state": _ti.state,
    "conn_id": TextField(_wait.value, "asyncapi_conn_id"),
    "identifier": TextField(_job.value, "identifier"),
    "status": TextField(_job.value, "status"),
    # As text these sort as they should: a fraction from 0 to 1, and times of one zone.
    "progress": TextField(_job.value, "progress"),
    "started_at": TextField(_wait.value, "started_at"),
    "deadline": TextField(_wait.value, "deadline"),
}


def _readable_dags(user: GetUserDep, session: SessionDep) -> frozenset[str]:
    """
    Give the DAGs whose jobs the user may see.

    :raises HTTPException: 403 where the user may see no tasks or XComs at all, for that is what jobs are shown from.
    """
    manager = get_auth_manager()
    for entity in (DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM):
        if not manager.is_authorized_dag(method="GET", access_entity=entity, user=user):
            raise HTTPException(403, "You may not read task instances and XComs")
    return frozenset(manager.get_authorized_dag_ids(user=user, method="GET", session=session))


#: The DAGs whose jobs the user may see; 401 without a login.
ReadableDags: TypeAlias = Annotated[frozenset[str], Depends(_readable_dags)]


@dataclass(frozen=True, slots=True)
class Selection:
    """
    Which jobs are looked for.

    :param readable: the DAGs that the user may read; no other is looked at.
    :param now: seconds since the epoch.
    :param hours: how old a run may be that is over; one that is asked for by its id may be older.
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

    def of(self, *columns: Any) -> Select[Any]:
        """
        Select columns of the jobs, of whatever group.

        Runs are found by their state and age, their tasks by the run, and each XCom by its primary key. The product
        with zero changes nothing, but that databases look in this order: they guess that few tasks of a run share an
        id, and the other way they would go through ten thousand mapped tasks for each of ten thousand XComs.
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
            .outerjoin(_job, _beside(_job, JOB_KEY))
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


def count_by_state(session: SessionDep, wanted: Selection) -> dict[Group, int]:
    """Count the jobs of each group."""
    groups: dict[Group, int] = {"waiting": 0, "failed": 0, "done": 0}
    for state, count in session.execute(wanted.of(_ti.state, func.count()).group_by(_ti.state)):
        groups[_group_of(state)] += count
    return groups


def find(session: SessionDep, wanted: Selection, order_by: str, limit: int, offset: int) -> list[dict[str, Any]]:
    """
    Find a page of jobs.

    :param order_by: one of :data:`ORDERS`, with a minus before it for the other way round.
    """
    statement = (
        wanted.of(
            _ti.dag_id,
            _ti.run_id,
            _ti.task_id,
            _ti.map_index,
            _ti.try_number,
            _ti.state,
            _ti.end_date.label("ended_at"),
            # Nothing else of the handle: what it captured may be large, and is nobody's business here.
            *(
                Selected(ORDERS[name]).label(name)
                for name in ("conn_id", "identifier", "status", "progress", "started_at", "deadline")
            ),
            Selected(TextField(_job.value, "submitted_at")).label("submitted_at"),
            _job.timestamp.label("told_at"),
            as_json_text(_poll.value).label("poll"),
            as_json_text(_url.value).label("url"),
        )
        .outerjoin(_poll, _beside(_poll, POLL_KEY))
        .outerjoin(_url, _beside(_url, JOB_URL_KEY))
        .order_by(*_sorted_by(order_by))
        .limit(limit)
        .offset(offset)
    )
    if wanted.group == "waiting":
        over = frozenset[str]().union(*_OVER.values())
        statement = statement.where(or_(_ti.state.is_(None), _ti.state.not_in(over)))
    elif wanted.group is not None:
        statement = statement.where(_ti.state.in_(_OVER[wanted.group]))
    return [_described(row, wanted.now) for row in session.execute(statement)]


def _beside(other: Any, key: str) -> ColumnElement[bool]:
    """Join another XCom of the same task instance."""
    return and_(
        other.dag_run_id == _wait.dag_run_id,
        other.task_id == _wait.task_id,
        other.map_index == _wait.map_index,
        other.key == key,
    )


def _sorted_by(order_by: str) -> list[ColumnElement[Any]]:
    column: ColumnElement[Any] = ORDERS[order_by.removeprefix("-")]
    # Databases don't agree where nothing goes, and MySQL can't be told in standard words.
    nothing_last = case((column.is_(None), 1), else_=0)
    ties: tuple[Any, ...] = (_ti.dag_id, _ti.run_id, _ti.task_id, _ti.map_index)
    return [nothing_last, column.desc() if order_by.startswith("-") else column.asc(), *ties]


def _group_of(state: str | None) -> Group:
    return next((group for group, states in _OVER.items() if state in states), "waiting")


def _described(row: Any, now: float) -> dict[str, Any]:
    """Say what is known of a job. All of it may have been pushed by anyone, so nothing is taken for granted."""
    group = _group_of(row.state)
    poll, url = PollSummary.parse(load(row.poll)), load(row.url)
    told_at = row.told_at.timestamp() if row.told_at else 0.0
    next_poll = poll.next_poll(told_at, now) if poll is not None and row.state in _POLLING else None
    progress = as_number(as_text(row.progress))
    return {
        **{name: getattr(row, name) for name in ("dag_id", "run_id", "task_id", "map_index", "try_number", "state")},
        **{name: as_text(getattr(row, name)) for name in ("conn_id", "identifier", "status")},
        **{
            name: _moment(seconds_of(as_text(getattr(row, name))))
            for name in ("submitted_at", "started_at", "deadline")
        },
        "group": group,
        "ended_at": None if group == "waiting" else row.ended_at,
        "progress": None if progress is None else min(1.0, max(0.0, progress)),
        "next_poll": _moment(next_poll),
        "delay": poll.delay if poll is not None and next_poll is not None else None,
        # An error on the way is of no interest once the job has succeeded.
        "error": as_text(poll.error) if poll is not None and row.state != "success" else None,
        "url": as_text(url) if is_web_address(url) else None,
    }


def _moment(seconds: float | None) -> datetime | None:
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        # Before the year 1, or after 9999.
        return None
