"""
Grant the slots of connections that limit their active jobs (``max_active_jobs``).

Only Airflow's database knows the tasks of all processes, so the API server decides, in one transaction: a task gets a
slot if the tasks that have one, and those that asked earlier, are fewer than the limit. No task has to return its slot.
A slot is free once its task, or the task that waits for its job, has ended in any way.

The route needs no login: it only grants what the task has asked for, and the id of a task instance can't be guessed.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, HTTPException, Path
from sqlalchemy import and_, or_, select
from sqlalchemy.exc import OperationalError

from airflow_provider_asyncapi.airflow_private.database import (
    DagRun,
    DagRunState,
    State,
    TaskInstance,
    TaskInstanceState,
    XComModel,
    create_session,
)
from airflow_provider_asyncapi.core.jobs.slots import PATH, SlotRequest
from airflow_provider_asyncapi.monitoring.xcoms import JOB_KEY, SLOT_KEY
from airflow_provider_asyncapi.plugins.stored_callbacks import parse_id

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

# The application is mounted at the first part of the path.
router = APIRouter(prefix=f"/{PATH.rpartition('/')[2]}", tags=["Slots"])
#: States of a task that has asked for a slot and hasn't ended. A task without a state was cleared, and perhaps waits
#: for another one that waits for a slot.
_UNFINISHED = tuple(state for state in TaskInstanceState if state not in State.finished)
#: States of a task in which it doesn't ask; its job may be active all the same.
_BETWEEN_TRIES = (TaskInstanceState.UP_FOR_RETRY, TaskInstanceState.RESTARTING)
#: Joins an XCom with the task instance that has pushed it.
_PUSHED_BY = and_(
    XComModel.dag_id == TaskInstance.dag_id,
    XComModel.run_id == TaskInstance.run_id,
    XComModel.task_id == TaskInstance.task_id,
    XComModel.map_index == TaskInstance.map_index,
)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """
    A task that has a slot, or waits for one.

    :param row: the XCom that stores the request.
    :param request: the request.
    :param has_ended: whether the task has ended, so that only its job may be active.
    """

    row: XComModel
    request: SlotRequest
    has_ended: bool

    @property
    def is_waiting(self) -> bool:
        """Whether the task waits for a slot."""
        return self.request.granted_at is None

    @property
    def position(self) -> tuple[float, int, str, int]:
        """The place in the line."""
        row = self.row
        return self.request.asked_at, row.dag_run_id, row.task_id, row.map_index


@router.post("/{task_instance}")
async def ask_for_slot(
    task_instance: Annotated[str, Path(description="The id of a task instance that has requested a slot.")],
) -> dict[str, Any]:
    """Grant a slot to a task if one is free: ``{"granted": …, "limit": …, "ahead": …}``."""
    answer = await anyio.to_thread.run_sync(_ask, task_instance, limiter=_limiter())
    if answer is None:
        raise HTTPException(404, "No task instance of this id has requested a slot.")
    return answer


@cache
def _limiter() -> anyio.CapacityLimiter:
    # They wait for each other in the database anyway, and Airflow's pages need the other threads.
    return anyio.CapacityLimiter(2)


def _ask(task_instance: str) -> dict[str, Any] | None:
    try:
        with create_session() as session:
            return grant_slot(session, task_instance, time.time())
    except OperationalError as error:
        # SQLite lets one transaction write at a time, and other databases detect deadlocks.
        raise HTTPException(503, "The database is busy; ask again.") from error


def grant_slot(session: Session, task_instance: str, now: float) -> dict[str, Any] | None:
    """
    Grant a slot to a task if one is free.

    :param now: current time, in seconds since the epoch.
    :return: whether the task has a slot, the limit, and the number of tasks ahead; None if the task has requested none.
    """
    candidates, asking = _load_candidates(session, task_instance)
    if asking is None:
        return None
    limit = asking.request.limit
    ahead = sum(each.is_waiting and each.position < asking.position for each in candidates)
    active = [each for each in candidates if each.request.granted_at is not None]
    granted = asking in active
    if not granted and ahead < limit:
        if len(active) + ahead >= limit:
            # Only the tasks at the front of the line cause this query.
            active = [each for each in active if not _delete_if_over(session, each)]
        if granted := len(active) + ahead < limit:
            asking.row.value = dataclasses.replace(asking.request, granted_at=now).dump()
    return {"granted": granted, "limit": limit, "ahead": ahead}


def _load_candidates(session: Session, task_instance: str) -> tuple[list[_Candidate], _Candidate | None]:
    """
    Return all tasks that have or want a slot of the same connection, and the one that asks; lock their requests.

    The task that asks has stored its request before, so of two that ask at the same time at least one sees the other.
    """
    try:
        ids = parse_id(task_instance)
    except ValueError:
        return [], None
    with_key = select(XComModel.key).join(TaskInstance, _PUSHED_BY).where(TaskInstance.id == ids)
    key = session.scalar(with_key.where(XComModel.key.startswith(SLOT_KEY, autoescape=True)))
    if key is None:
        return [], None
    is_over = TaskInstance.state == TaskInstanceState.SUCCESS
    statement = (
        select(XComModel, TaskInstance.id, TaskInstance.state)
        .join(TaskInstance, _PUSHED_BY)
        .join(DagRun, DagRun.id == XComModel.dag_run_id)
        .where(XComModel.key == key)
        .where(or_(TaskInstance.state.in_(_UNFINISHED), and_(is_over, DagRun.state == DagRunState.RUNNING)))
        # Always in the same order, so that two transactions don't wait for each other.
        .order_by(XComModel.dag_run_id, XComModel.task_id, XComModel.map_index)
        .with_for_update(of=XComModel)
    )
    found = []
    asking = None
    for row, row_id, state in session.execute(statement):
        if (request := SlotRequest.parse(row.value)) is None:
            continue
        candidate = _Candidate(row, request, state == TaskInstanceState.SUCCESS)
        if request.granted_at is None and state in _BETWEEN_TRIES:
            # Its next try makes a new request.
            continue
        if not candidate.has_ended:
            asking = candidate if row_id == ids else asking
        elif request.ends_with_task or request.granted_at is None:
            continue
        found.append(candidate)
    return found, asking


def _delete_if_over(session: Session, candidate: _Candidate) -> bool:
    """Delete the request of a task that has submitted a job for which no task waits any more; return whether it did."""
    if not candidate.has_ended:
        return False
    task = {name: getattr(candidate.row, name) for name in ("dag_id", "run_id", "task_id", "map_index")}
    statement = (
        select(XComModel.value, TaskInstance.state)
        .join(TaskInstance, _PUSHED_BY)
        .where(XComModel.dag_run_id == candidate.row.dag_run_id, XComModel.key == JOB_KEY)
        .where(XComModel.task_id != candidate.row.task_id)
    )
    waits = [
        state
        for handle, state in session.execute(statement)
        if isinstance(handle, Mapping) and handle.get("task") == task
    ]
    if not waits or not all(state in State.finished for state in waits):
        return False
    session.delete(candidate.row)
    return True
