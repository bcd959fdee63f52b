"""Query the jobs in Airflow's database that a user may see."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from fastapi import Depends, HTTPException
from sqlalchemy import and_, case, func, not_, or_, select

from airflow_provider_asyncapi.airflow_private.api_server import (
    BaseUser,
    DagAccessEntity,
    DagDetails,
    GetUserDep,
    SessionDep,
    get_auth_manager,
)
from airflow_provider_asyncapi.airflow_private.database import DagModel, DagRun
from airflow_provider_asyncapi.plugins.health import HealthConditions, Level
from airflow_provider_asyncapi.plugins.job_rows import describe_job, find_group
from airflow_provider_asyncapi.plugins.job_tables import (
    ENDED,
    JOB_ORDERS,
    ORDERS,
    Group,
    Kind,
    attempts,
    job,
    join_for_display,
    join_for_health,
    match_job,
    match_poll,
    match_wait,
    poll,
    read_poll,
    ti,
    url,
    wait,
)
from airflow_provider_asyncapi.plugins.json_fields import Selected, TextField, as_json_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from sqlalchemy.sql import ColumnElement, Select

Session: TypeAlias = SessionDep
#: The order that shows first what somebody should look at.
RISK: Final = "risk"


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


def find_permitted_dags(
    session: Session, user: BaseUser, dag_ids: Iterable[str], entity: DagAccessEntity, method: Literal["GET", "PUT"]
) -> frozenset[str]:
    """Return the DAGs, of some, whose task instances or XComs a user may read or edit."""
    manager = get_auth_manager()
    return frozenset(
        dag_id
        for dag_id in dag_ids
        if manager.is_authorized_dag(
            method=method,
            access_entity=entity,
            details=DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id, session=session)),
            user=user,
        )
    )


#: The DAGs whose jobs the user may see; 401 without a login.
ReadableDags: TypeAlias = Annotated[frozenset[str], Depends(_readable_dags)]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """
    A filter of jobs.

    :param readable: the DAGs that the user may read; jobs of other DAGs are never selected.
    :param now: current time, in seconds since the epoch.
    :param hours: maximum age of a finished run, in hours; ignored if ``run_id`` is set.
    :param state: states of tasks; ``none`` is that of a cleared task. Empty for all.
    :param health: levels of health; empty for all.
    :param kind: whether to select waits or failed submits alone.
    """

    readable: Collection[str]
    now: float
    hours: int
    dag_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    map_index: int | None = None
    conn_id: str | None = None
    state: Collection[str] = ()
    health: Collection[Level] = ()
    group: Group | None = None
    kind: Kind | None = None
    search: str | None = None

    def select(self, *columns: Any, with_job: bool = False, with_health: bool = False) -> Select[Any]:
        """
        Return a query for columns of the jobs of all groups.

        Runs are found by their state and age, their tasks by the run, and each XCom by its primary key. The product
        with zero only makes databases join in this order: they assume that few tasks of a run share an id, and in the
        other order they would read ten thousand mapped tasks for each of ten thousand XComs.

        :param with_job: whether the columns need the job handle.
        :param with_health: whether the columns need the tables of :func:`~.job_tables.join_for_health`.
        """
        dags = self.readable if self.dag_id is None else {self.dag_id}.intersection(self.readable)
        found = (
            select(*columns)
            .select_from(DagRun)
            .join(ti, and_(ti.dag_id == DagRun.dag_id, ti.run_id == DagRun.run_id))
            .join(wait, match_wait(DagRun.id + 0 * ti.map_index))
            .where(DagRun.dag_id.in_(dags))
        )
        if with_health or self.health:
            found = join_for_health(found)
        elif self.search:
            found = found.outerjoin(job, match_job()).outerjoin(poll, match_poll())
        elif with_job:
            found = found.outerjoin(job, match_job())
        if self.run_id is None:
            since = datetime.fromtimestamp(self.now, UTC) - timedelta(hours=self.hours)
            found = found.where(or_(DagRun.run_after >= since, DagRun.state.in_(("queued", "running"))))
        return found.where(*self._find_conditions())

    def _find_conditions(self) -> Iterator[ColumnElement[bool]]:
        for column, value in (
            (DagRun.run_id, self.run_id),
            (ti.task_id, self.task_id),
            (ti.map_index, self.map_index),
            (ORDERS["conn_id"], self.conn_id),
        ):
            if value is not None:
                yield column == value
        if self.state:
            named = ti.state.in_([state for state in self.state if state != "none"])
            yield or_(named, ti.state.is_(None)) if "none" in self.state else named
        if self.kind is not None:
            is_submit = func.coalesce(TextField(wait.value, "kind"), "wait") == "submit"
            yield is_submit if self.kind == "submit" else not_(is_submit)
        if self.health:
            yield HealthConditions(self.now).level.in_(self.health)
        if self.search:
            error = read_poll("error")
            searched = (ti.dag_id, ti.run_id, ti.task_id, ORDERS["conn_id"], ORDERS["identifier"], error)
            yield or_(*(column.icontains(self.search, autoescape=True) for column in searched))


def count_by_state(session: SessionDep, wanted: JobFilter) -> dict[Group, int]:
    """Return the number of jobs in each group."""
    groups: dict[Group, int] = {"waiting": 0, "failed": 0, "done": 0}
    for state, count in session.execute(wanted.select(ti.state, func.count()).group_by(ti.state)):
        groups[find_group(state)] += count
    return groups


def find_jobs(session: SessionDep, wanted: JobFilter, order_by: str, limit: int, offset: int) -> list[dict[str, Any]]:
    """
    Return a page of jobs.

    :param order_by: ``risk``, for those that somebody should look at first, or one of :data:`~.job_tables.ORDERS`; with
        a minus before it for descending order.
    """
    conditions = HealthConditions(wanted.now)
    order = _build_order(order_by, conditions)
    # The rows of the page are chosen by what they are sorted by; all else is read for these rows only.
    chosen = wanted.select(
        ti.id.label("id"),
        DagRun.id.label("run"),
        with_job=order_by.removeprefix("-") in JOB_ORDERS,
        with_health=order_by.removeprefix("-") == RISK,
    )
    if wanted.group == "waiting":
        over = frozenset[str]().union(*ENDED.values())
        chosen = chosen.where(or_(ti.state.is_(None), ti.state.not_in(over)))
    elif wanted.group is not None:
        chosen = chosen.where(ti.state.in_(ENDED[wanted.group]))
    page = chosen.order_by(*order).limit(limit).offset(offset).subquery("page")
    statement: Any = (
        select(
            ti.dag_id,
            ti.run_id,
            ti.task_id,
            ti.map_index,
            ti.try_number,
            ti.state,
            ti.end_date.label("ended_at"),
            # No other field of the handle: captured values may be large or confidential.
            *(
                Selected(ORDERS[name]).label(name)
                for name in ("conn_id", "identifier", "status", "progress", "started_at", "deadline")
            ),
            Selected(TextField(job.value, "submitted_at")).label("submitted_at"),
            *(Selected(TextField(wait.value, name)).label(name) for name in ("warned_at", "kind")),
            job.timestamp.label("updated_at"),
            # As they are stored: a part of a JSON value may hold a lone surrogate, which SQLite can't return as text.
            as_json_text(poll.value).label("poll"),
            as_json_text(wait.value).label("summary"),
            as_json_text(url.value).label("url"),
            as_json_text(attempts.value).label("attempts"),
            *conditions.columns,
        )
        .select_from(page)
        .join(ti, ti.id == page.c.id)
        .join(wait, match_wait(page.c.run))
    )
    statement = join_for_display(join_for_health(statement)).order_by(*order)
    return [describe_job(row, wanted.now) for row in session.execute(statement)]


def _build_order(order_by: str, conditions: HealthConditions) -> list[ColumnElement[Any]]:
    name = order_by.removeprefix("-")
    column: ColumnElement[Any] = conditions.risk if name == RISK else ORDERS[name]
    # Databases differ in where they sort NULL, and MySQL lacks the standard syntax for it.
    nothing_last = [] if name == RISK else [case((column.is_(None), 1), else_=0)]
    ties: list[Any] = [ti.dag_id, ti.run_id, ti.task_id, ti.map_index]
    if name == RISK:
        # Of jobs at the same risk, those with the least time left.
        ties = [case((ORDERS["deadline"].is_(None), 1), else_=0), ORDERS["deadline"], *ties]
    return [*nothing_last, column.desc() if order_by.startswith("-") else column.asc(), *ties]
