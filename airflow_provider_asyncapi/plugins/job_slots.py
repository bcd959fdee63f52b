"""
Grant the slots of connections that limit their active jobs (``max_active_jobs``).

Only Airflow's database knows the tasks of all processes, so the API server decides, in one transaction: a task gets a
slot if fewer tasks than the limit have one or are before it in the queue. No task has to return its slot. A slot is
free once its task, or the task that waits for its job, has ended in any way.

The route needs no login, since a task has no token for Airflow's API. A caller who knows the id of a task instance
learns the limit and the number of waiting tasks, and can only cause the grant that the task itself would get.
"""

from __future__ import annotations

import dataclasses
import time
import uuid
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
#: States of a task that has requested a slot and hasn't ended. A task without a state was cleared, and perhaps waits
#: for another one that waits for a slot.
_ACTIVE_STATES = tuple(state for state in TaskInstanceState if state not in State.finished)
#: States of a task in which it doesn't wait for a slot; its job may be active all the same.
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

    @classmethod
    def parse(cls, row: XComModel, state: Any) -> _Candidate | None:
        """
        Return the task of a stored request; None if the request doesn't count.

        :param state: the state of the task that has stored it.
        """
        request, has_ended = SlotRequest.parse(row.value), state == TaskInstanceState.SUCCESS
        if request is None:
            return None
        if request.granted_at is None and (has_ended or state in _BETWEEN_TRIES):
            # The next try makes a new request.
            return None
        return None if has_ended and request.ends_with_task else cls(row, request, has_ended)

    @property
    def is_waiting(self) -> bool:
        """Whether the task waits for a slot."""
        return self.request.granted_at is None

    @property
    def queue_key(self) -> tuple[float, int, str, int]:
        """The key by which the queue is sorted."""
        row = self.row
        return self.request.requested_at, row.dag_run_id, row.task_id, row.map_index


@dataclass(frozen=True, slots=True)
class _Queue:
    """
    All tasks that have a slot of a connection, or wait for one.

    :param candidates: the tasks.
    :param own: the task that requests a slot.
    """

    candidates: list[_Candidate]
    own: _Candidate

    @property
    def waiting_before(self) -> int:
        """The number of waiting tasks that are before this one in the queue."""
        return sum(each.is_waiting and each.queue_key < self.own.queue_key for each in self.candidates)

    @property
    def is_at_front(self) -> bool:
        """Whether the task may get the next slot."""
        return self.own.is_waiting and self.waiting_before < self.own.request.limit

    @classmethod
    def load(cls, session: Session, task_instance: uuid.UUID | str, *, is_locked: bool = False) -> _Queue:
        """
        Return the queue of a task.

        A task stores its request before it polls, so of two that poll at the same time at least one sees the other.

        :param is_locked: whether to lock the requests until the end of the transaction.
        :raises HTTPException: 410 if the task doesn't wait for a slot; 409 if its request isn't in the database.
        """
        with_key = select(XComModel.key).join(TaskInstance, _PUSHED_BY).where(TaskInstance.id == task_instance)
        key = session.scalar(with_key.where(XComModel.key.startswith(SLOT_KEY, autoescape=True)))
        if key is None:
            raise HTTPException(410, "No task instance of this id has requested a slot, or it was cleared.")
        may_be_active = or_(
            TaskInstance.state.in_(_ACTIVE_STATES),
            and_(TaskInstance.state == TaskInstanceState.SUCCESS, DagRun.state == DagRunState.RUNNING),
        )
        statement = (
            select(XComModel, TaskInstance.id, TaskInstance.state)
            .join(TaskInstance, _PUSHED_BY)
            .join(DagRun, DagRun.id == XComModel.dag_run_id)
            .where(XComModel.key == key, may_be_active)
            # Always in the same order, so that two transactions don't wait for each other.
            .order_by(XComModel.dag_run_id, XComModel.task_id, XComModel.map_index)
            # Another transaction may have changed a request since it was read without the lock.
            .execution_options(populate_existing=True)
        )
        if is_locked:
            statement = statement.with_for_update(of=XComModel)
        found, own = [], None
        for row, row_id, state in session.execute(statement):
            candidate = _Candidate.parse(row, state)
            if row_id == task_instance and SlotRequest.parse(row.value) is None:
                raise HTTPException(409, "The request isn't in Airflow's database: a custom XCom backend stores it.")
            if candidate is not None:
                found.append(candidate)
                own = candidate if row_id == task_instance and not candidate.has_ended else own
        if own is None:
            raise HTTPException(410, "The task instance has ended, or waits for its next try.")
        return cls(found, own)


@router.post("/{task_instance}")
async def request_slot(
    task_instance: Annotated[str, Path(description="The id of a task instance that has requested a slot.")],
) -> dict[str, Any]:
    """
    Grant a slot to a task if one is free: ``{"granted": …, "limit": …, "position": …}``.

    :return: whether the task has a slot, the limit, and the position in the queue, which begins at 1; 0 with a slot.
    :raises HTTPException: 410 if the task doesn't wait for a slot; 409 if its request isn't in the database; 503 if the
        database is busy.
    """
    return await anyio.to_thread.run_sync(_grant_slot, task_instance, limiter=_limiter())


@cache
def _limiter() -> anyio.CapacityLimiter:
    # They wait for each other in the database anyway, and Airflow's pages need the other threads.
    return anyio.CapacityLimiter(2)


def _grant_slot(task_instance: str) -> dict[str, Any]:
    try:
        with create_session() as session:
            return grant_slot(session, task_instance, time.time())
    except OperationalError as error:
        # SQLite lets one transaction write at a time, and other databases detect deadlocks.
        raise HTTPException(503, "The database is busy; try again.") from error


def grant_slot(session: Session, task_instance: str, now: float) -> dict[str, Any]:
    """
    Grant a slot to a task if one is free.

    :param now: current time, in seconds since the epoch.
    :return: what :func:`request_slot` answers.
    :raises HTTPException: 410 if the task doesn't wait for a slot; 409 if its request isn't in the database.
    """
    try:
        identifier = parse_id(task_instance)
    except ValueError:
        raise HTTPException(410, "This isn't the id of a task instance.") from None
    queue = _Queue.load(session, identifier)
    if queue.is_at_front:
        # Of many waiting tasks, only those that may get a slot lock the requests.
        queue = _Queue.load(session, identifier, is_locked=True)
    own, limit, before = queue.own, queue.own.request.limit, queue.waiting_before
    granted = not own.is_waiting
    if not granted and queue.is_at_front:
        active = [candidate for candidate in queue.candidates if not candidate.is_waiting]
        if len(active) + before >= limit:
            active = [candidate for candidate in active if not _release_if_job_ended(session, candidate)]
        if granted := len(active) + before < limit:
            own.row.value = dataclasses.replace(own.request, granted_at=now).dump()
    return {"granted": granted, "limit": limit, "position": 0 if granted else before + 1}


def _release_if_job_ended(session: Session, candidate: _Candidate) -> bool:
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
        if isinstance(handle, Mapping) and task in (handle.get("task"), handle.get("slot_of"))
    ]
    if not waits or not all(state in State.finished for state in waits):
        return False
    session.delete(candidate.row)
    return True
