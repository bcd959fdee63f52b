"""
The rows of Airflow's database that hold jobs and their callbacks, and the tasks that wait for callbacks.

It needs no index of its own: task instances are found by their id, XComs by their key.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from airflow_provider_asyncapi.airflow_private.database import (
    DagRun,
    TaskInstance,
    TaskInstanceState,
    TaskScope,
    XComModel,
    get_state_backend,
    handle_event_submit,
)
from airflow_provider_asyncapi.core.callbacks.calls import ReceivedCallback, dump_callbacks, make_task_key
from airflow_provider_asyncapi.core.errors import AsyncApiError, InvalidCallbackError
from airflow_provider_asyncapi.core.submit.submission import Submission
from airflow_provider_asyncapi.monitoring.xcoms import AWAITED_KEY, CALLS_KEY, SUBMISSION_KEY
from airflow_provider_asyncapi.plugins import bodies
from airflow_provider_asyncapi.tasks.submission_state import callbacks_key
from airflow_provider_asyncapi.triggers.deferral import SHORTEST_DEFERRAL
from airflow_provider_asyncapi.triggers.events import WaitEvent, make_event

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

#: Maximum number of callbacks of one job, and of bytes of their bodies in the database.
MAX_CALLBACKS, MAX_BYTES = 100, 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SubmittedJob:
    """
    A job that may call back, and the task with which its callbacks are stored.

    :param task: the task instance that submitted the job: ``dag_id``, ``run_id``, ``task_id`` and ``map_index``.
    :param submission: the record of the submission.
    :param in_store: whether the record is in the task state store; if not, it is an XCom.
    """

    task: dict[str, Any]
    submission: Submission
    in_store: bool = True


class TooManyCallbacksError(AsyncApiError):
    """A job has sent too many callbacks, or too large ones."""


def load_job(session: Session, task: dict[str, Any]) -> SubmittedJob:
    """
    Return the job that a task has submitted.

    Its record is in the task state store, for all tries. It is an XCom before Airflow 3.3, and once the task has
    succeeded with ``[state_store] clear_on_success``.

    :raises InvalidCallbackError: if the task has submitted no job.
    """
    kept = _read_store(session, task, SUBMISSION_KEY)
    in_store = kept is not None
    submission = Submission.parse(kept if in_store else _read_xcom(session, task, SUBMISSION_KEY))
    if submission is None:
        raise InvalidCallbackError("the task has submitted nothing")
    return SubmittedJob(task, submission, in_store)


def add_callback(session: Session, job: SubmittedJob, call: ReceivedCallback) -> int:
    """Add a callback to the callbacks of its job, unless it is a repetition; return the number of callbacks."""
    calls = _lock_callbacks(session, job)
    if call.identity in {each.identity for each in calls}:
        return len(calls)
    _check_room(calls, call)
    # Written last, so that a refused callback leaves no file.
    written = bodies.write(job.submission.key, call) if bodies.belongs_in_folder(call) else call
    try:
        _write_callbacks(session, job, [*calls, written])
        session.flush()
    except BaseException:
        bodies.remove(written)
        raise
    return len(calls) + 1


def resume_tasks(session: Session, submitter: dict[str, Any], count: int) -> bool:
    """
    Resume the tasks that wait for a callback of a job, and haven't seen all callbacks.

    :param count: number of callbacks of the job.
    :return: whether any task waits for a callback.
    """
    columns = (XComModel.dag_id, XComModel.run_id, XComModel.task_id, XComModel.map_index, XComModel.value)
    rows = session.execute(select(*columns).where(XComModel.key == AWAITED_KEY + make_task_key(submitter))).all()
    latest = datetime.now(UTC) - timedelta(seconds=SHORTEST_DEFERRAL)
    for *task, awaited in rows:
        waiting = session.get(TaskInstance, parse_id(awaited["task_instance"]), with_for_update={"of": TaskInstance})
        if waiting is None or waiting.state != TaskInstanceState.DEFERRED or awaited["heard"] >= count:
            continue
        if [waiting.dag_id, waiting.run_id, waiting.task_id, waiting.map_index] != task:
            # The XCom of one task must not resume another task.
            continue
        # A task that was deferred just now is resumed by its trigger: the executor may not know of the deferral yet.
        if waiting.updated_at is None or waiting.updated_at < latest:
            event = make_event(WaitEvent.of_callback())
            handle_event_submit(event, task_instance=waiting, session=session)
    return bool(rows)


def write_xcom(session: Session, task: dict[str, Any], key: str, value: Any) -> None:
    """Write an XCom as the Execution API does for a task: plain data that replaces the earlier value."""
    run = select(DagRun.id).filter_by(dag_id=task["dag_id"], run_id=task["run_id"])
    session.execute(delete(XComModel).filter_by(**task, key=key))
    session.add(XComModel(dag_run_id=session.scalar(run), **task, key=key, value=value))


def parse_id(text: object) -> Any:
    """Return a task instance's id in the type of the database: Airflow 3.1 stores it as text."""
    return TaskInstance.__table__.c.id.type.python_type(str(text))


def _lock_callbacks(session: Session, job: SubmittedJob) -> list[ReceivedCallback]:
    """
    Return the stored callbacks of a job, and lock them until the session ends.

    :raises InvalidCallbackError: if the task was cleared meanwhile.
    """
    submitter = select(TaskInstance.id).filter_by(**job.task).with_for_update()
    if session.execute(submitter).first() is None:
        raise InvalidCallbackError("its task instance is gone")
    latest = load_job(session, job.task)
    if latest.submission.key != job.submission.key:
        raise InvalidCallbackError("its task was cleared while the callback was received")
    key = callbacks_key(job.submission.key)
    read = partial(_read_store, key=key) if latest.in_store else partial(_read_xcom, key=CALLS_KEY)
    return ReceivedCallback.parse_callbacks(read(session, job.task))


def _check_room(calls: list[ReceivedCallback], call: ReceivedCallback) -> None:
    """
    Check that one more callback may be stored.

    :raises TooManyCallbacksError: if there are too many, or they are too large.
    """
    size = 0 if bodies.belongs_in_folder(call) else len(call.body)
    if len(calls) >= MAX_CALLBACKS or size + sum(len(each.body) for each in calls) > MAX_BYTES:
        raise TooManyCallbacksError(f"the job has called back {len(calls) + 1} times")


def _write_callbacks(session: Session, job: SubmittedJob, calls: list[ReceivedCallback]) -> None:
    """Write the callbacks to XCom for the waiting task, and to the task state store for the next try."""
    kept = dump_callbacks(calls)
    if job.in_store and TaskScope is not None:
        key = callbacks_key(job.submission.key)
        get_state_backend().set(TaskScope(**job.task), key, json.dumps(kept), session=session)
    write_xcom(session, job.task, CALLS_KEY, kept)


def _read_store(session: Session, task: dict[str, Any], key: str) -> Any:
    if TaskScope is None:
        return None
    text = get_state_backend().get(TaskScope(**task), key, session=session)
    return None if text is None else json.loads(text)


def _read_xcom(session: Session, task: dict[str, Any], key: str) -> Any:
    return session.scalar(select(XComModel.value).filter_by(**task, key=key))
