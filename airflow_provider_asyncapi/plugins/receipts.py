"""
Store callbacks in Airflow's database, and resume the tasks that wait for them.

This is the only module about callbacks that uses Airflow's models. It needs no index of its own: task instances are
found by their id, XComs by their key.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf
from sqlalchemy import delete, select

from airflow_provider_asyncapi.airflow_private.database import (
    DagRun,
    TaskInstance,
    TaskInstanceHistory,
    TaskInstanceState,
    TaskScope,
    XComModel,
    create_session,
    get_state_backend,
    handle_event_submit,
)
from airflow_provider_asyncapi.core.callbacks.calls import (
    CallbackReference,
    CallbackSettings,
    ReceivedCallback,
    dump_callbacks,
    extract_identifier,
    make_identifier_key,
    make_task_key,
)
from airflow_provider_asyncapi.core.errors import AsyncApiError, ForgedCallbackError, ResponseError
from airflow_provider_asyncapi.core.http.messages import Headers
from airflow_provider_asyncapi.core.submit.submission import Submission
from airflow_provider_asyncapi.monitoring import metrics
from airflow_provider_asyncapi.monitoring.xcoms import AWAITED_KEY, CALLS_KEY, JOB_OF_KEY, SUBMISSION_KEY
from airflow_provider_asyncapi.plugins import bodies
from airflow_provider_asyncapi.plugins.connections import CallbackConnections
from airflow_provider_asyncapi.tasks.submissions import callbacks_key
from airflow_provider_asyncapi.triggers.asyncapi import SHORTEST_DEFERRAL
from airflow_provider_asyncapi.triggers.events import WaitEvent, make_event

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

#: Maximum number of callbacks of one job, and of bytes of their bodies in the database.
_MAX_CALLBACKS, _MAX_BYTES = 100, 8 * 1024 * 1024
_connections = CallbackConnections()


class TooManyCallbacksError(AsyncApiError):
    """A job has sent too many callbacks, or too large ones."""


@dataclass(frozen=True, slots=True)
class IncomingCallback:
    """
    A callback before it is verified.

    :param headers: the header fields.
    :param body: the body, in bytes.
    :param received_at: time of receipt, in seconds since the epoch.
    """

    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)
    received_at: float


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


def max_body_bytes() -> int:
    """Return the maximum size of a body, in bytes."""
    return int(conf.getint("asyncapi", "callback_max_bytes", fallback=1024 * 1024))


def find_job(reference: CallbackReference) -> SubmittedJob:
    """
    Return the job that was submitted with a callback URL.

    :raises ForgedCallbackError: if there is none, or its task was cleared after the submission.
    """
    with create_session() as session:
        for ids in (TaskInstance.id, TaskInstanceHistory.task_instance_id):
            model = ids.class_
            columns = (model.dag_id, model.run_id, model.task_id, model.map_index)
            found = (
                session.execute(select(*columns).where(ids == _parse_id(reference.task_instance))).mappings().first()
            )
            if found is not None:
                break
        else:
            raise ForgedCallbackError("there is no such task instance")
        job = _load_job(session, dict(found))
    if not any(hmac.compare_digest(reference.digest, digest) for digest in job.submission.callbacks):
        raise ForgedCallbackError("its URL is that of another submission")
    return job


def store_callback(job: SubmittedJob, incoming: IncomingCallback) -> None:
    """
    Store a callback, and resume the task that waits for it.

    :raises ForgedCallbackError: if the callback isn't genuine, or can't be read.
    :raises TooManyCallbacksError: if the job has sent too many callbacks.
    """
    settings = _verify_sender(job.submission.connection, incoming, is_known_name=True)
    _store(job, settings, incoming)


def store_callback_by_identifier(conn_id: str, incoming: IncomingCallback) -> None:
    """
    Store a signed callback that names its job, and resume the task that waits for it.

    :raises ForgedCallbackError: if the callback isn't genuine, or no task has submitted the job yet.
    :raises TooManyCallbacksError: if the job has sent too many callbacks.
    :raises TooManyLookUpsError: if too many callbacks by name were refused recently.
    """
    settings = _verify_sender(conn_id, incoming)
    identifier = extract_identifier(settings, _to_callback(settings, incoming).response())
    key = JOB_OF_KEY + make_identifier_key(conn_id, identifier)
    with create_session() as session:
        columns = (XComModel.dag_id, XComModel.run_id, XComModel.task_id, XComModel.map_index)
        latest = select(*columns).where(XComModel.key == key).order_by(XComModel.timestamp.desc()).limit(1)
        found = session.execute(latest).mappings().first()
        if found is None:
            raise ForgedCallbackError(f"connection {conn_id!r}: no task has submitted the job that it names")
        job = _load_job(session, dict(found))
    if job.submission.connection != conn_id:
        # This only prevents mistakes: the task itself stores which connection it used, and Airflow stores nothing else
        # about it. But authors of DAGs can read all connections that their tasks can read, so they could sign too.
        raise ForgedCallbackError(f"connection {conn_id!r}: the job that it names was submitted with another one")
    _store(job, settings, incoming)


def _store(job: SubmittedJob, settings: CallbackSettings, incoming: IncomingCallback) -> None:
    call = _to_callback(settings, incoming)
    _check_readable(call)
    with create_session() as session:
        count = _add_callback(session, job, call)
        is_awaited = _resume(session, job.task, count)
    if not is_awaited:
        # A task that has begun to wait meanwhile may not have seen the callback.
        with create_session() as session:
            _resume(session, job.task, count)
    if bodies.belongs_in_folder(call):
        bodies.delete_old(incoming.received_at)
    metrics.count(metrics.CALLBACKS, job.submission.connection)


def _add_callback(session: Session, job: SubmittedJob, call: ReceivedCallback) -> int:
    """Add a callback to those of its job, unless it is a repetition; return the number of callbacks."""
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


def _lock_callbacks(session: Session, job: SubmittedJob) -> list[ReceivedCallback]:
    """
    Return the stored callbacks of a job, and lock them until the session ends.

    :raises ForgedCallbackError: if the task was cleared meanwhile.
    """
    submitter = select(TaskInstance.id).filter_by(**job.task).with_for_update()
    if session.execute(submitter).first() is None:
        raise ForgedCallbackError("its task instance is gone")
    latest = _load_job(session, job.task)
    if latest.submission.key != job.submission.key:
        raise ForgedCallbackError("its task was cleared while the callback was received")
    key = callbacks_key(job.submission.key)
    read = partial(_read_store, key=key) if latest.in_store else partial(_read_xcom, key=CALLS_KEY)
    return ReceivedCallback.parse_callbacks(read(session, job.task))


def _check_room(calls: list[ReceivedCallback], call: ReceivedCallback) -> None:
    """
    Check that one more callback may be stored.

    :raises TooManyCallbacksError: if there are too many, or they are too large.
    """
    size = 0 if bodies.belongs_in_folder(call) else len(call.body)
    if len(calls) >= _MAX_CALLBACKS or size + sum(len(each.body) for each in calls) > _MAX_BYTES:
        raise TooManyCallbacksError(f"the job has called back {len(calls) + 1} times")


def _write_callbacks(session: Session, job: SubmittedJob, calls: list[ReceivedCallback]) -> None:
    """Write the callbacks to XCom for the waiting task, and to the task state store for the next try."""
    kept = dump_callbacks(calls)
    if job.in_store and TaskScope is not None:
        key = callbacks_key(job.submission.key)
        get_state_backend().set(TaskScope(**job.task), key, json.dumps(kept), session=session)
    _push(session, job.task, CALLS_KEY, kept)


def _push(session: Session, task: dict[str, Any], key: str, value: Any) -> None:
    """Write an XCom as the Execution API does for a task: plain data that replaces the earlier value."""
    run = select(DagRun.id).filter_by(dag_id=task["dag_id"], run_id=task["run_id"])
    session.execute(delete(XComModel).filter_by(**task, key=key))
    session.add(XComModel(dag_run_id=session.scalar(run), **task, key=key, value=value))


def _resume(session: Session, submitter: dict[str, Any], count: int) -> bool:
    """
    Resume the tasks that wait for a callback of a job, and haven't seen all callbacks.

    :param count: number of callbacks of the job.
    :return: whether any task waits for a callback.
    """
    columns = (XComModel.dag_id, XComModel.run_id, XComModel.task_id, XComModel.map_index, XComModel.value)
    rows = session.execute(select(*columns).where(XComModel.key == AWAITED_KEY + make_task_key(submitter))).all()
    latest = datetime.now(UTC) - timedelta(seconds=SHORTEST_DEFERRAL)
    for *task, awaited in rows:
        waiting = session.get(TaskInstance, _parse_id(awaited["task_instance"]), with_for_update={"of": TaskInstance})
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


def _parse_id(text: object) -> Any:
    """Return a task instance's id in the type of the database: Airflow 3.1 stores it as text."""
    return TaskInstance.__table__.c.id.type.python_type(str(text))


def _load_job(session: Session, task: dict[str, Any]) -> SubmittedJob:
    """
    Return the job that a task has submitted.

    Its record is in the task state store, for all tries. It is an XCom before Airflow 3.3, and once the task has
    succeeded with ``[state_store] clear_on_success``.

    :raises ForgedCallbackError: if the task has submitted no job.
    """
    kept = _read_store(session, task, SUBMISSION_KEY)
    in_store = kept is not None
    submission = Submission.parse(kept if in_store else _read_xcom(session, task, SUBMISSION_KEY))
    if submission is None:
        raise ForgedCallbackError("the task has submitted nothing")
    return SubmittedJob(task, submission, in_store)


def _read_store(session: Session, task: dict[str, Any], key: str) -> Any:
    if TaskScope is None:
        return None
    text = get_state_backend().get(TaskScope(**task), key, session=session)
    return None if text is None else json.loads(text)


def _read_xcom(session: Session, task: dict[str, Any], key: str) -> Any:
    return session.scalar(select(XComModel.value).filter_by(**task, key=key))


def _verify_sender(conn_id: str, incoming: IncomingCallback, *, is_known_name: bool = False) -> CallbackSettings:
    """Return the callback settings of a connection if the callback has the signature that they require."""
    return _connections.verify(
        conn_id, incoming.headers, incoming.body, incoming.received_at, is_known_name=is_known_name
    )


def _to_callback(settings: CallbackSettings, incoming: IncomingCallback) -> ReceivedCallback:
    identity = settings.identity(incoming.headers, incoming.body)
    return ReceivedCallback(identity, incoming.received_at, incoming.headers.get("content-type", ""), incoming.body)


def _check_readable(call: ReceivedCallback) -> None:
    """
    Check that the body has the format of its content type.

    :raises ForgedCallbackError: if it hasn't; the message doesn't quote the body, which must not be logged.
    """
    try:
        answer = call.response()
        if answer.content_type.endswith("json"):
            _ = answer.json
        elif answer.content_type.endswith("xml"):
            _ = answer.xml
    except ResponseError:
        raise ForgedCallbackError("its body isn't what its content type says") from None
