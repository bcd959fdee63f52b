"""
What Airflow's database keeps of callbacks, and how one resumes the task that waits for it.

The only module about callbacks that knows Airflow's insides. It needs no index of its own: task instances are found by
their id, XComs by their key.
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
    CallbackSettings,
    ReceivedCallback,
    Reference,
    by_identifier,
    by_task,
    dump_all,
    identifier_of,
)
from airflow_provider_asyncapi.core.errors import AsyncApiError, ForgedCallError, ResponseError
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

#: So many callbacks are kept of one job, and so many bytes of them in the database.
_MOST_CALLS, _MOST_BYTES = 100, 8 * 1024 * 1024
_connections = CallbackConnections()


class TooManyCallsError(AsyncApiError):
    """One job has called back more often, or said more, than anybody can want."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """
    A call as it comes in.

    :param headers: the header fields.
    :param body: the bytes.
    :param received_at: seconds since the epoch.
    """

    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)
    received_at: float


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where the callbacks of one job are kept.

    :param task: the task instance that has submitted it: ``dag_id``, ``run_id``, ``task_id`` and ``map_index``.
    :param submission: what that has kept.
    :param in_store: whether that is in the task state store; else it is an XCom.
    """

    task: dict[str, Any]
    submission: Submission
    in_store: bool = True


def largest_body() -> int:
    """Give the size of the largest body that is taken, in bytes."""
    return int(conf.getint("asyncapi", "callback_max_bytes", fallback=1024 * 1024))


def place_of(reference: Reference) -> Place:
    """
    Find the job whose submission has given away a URL.

    :raises ForgedCallError: where there is none, or it was cleared since.
    """
    with create_session() as session:
        for ids in (TaskInstance.id, TaskInstanceHistory.task_instance_id):
            model = ids.class_
            columns = (model.dag_id, model.run_id, model.task_id, model.map_index)
            found = session.execute(select(*columns).where(ids == _id(reference.task_instance))).mappings().first()
            if found is not None:
                break
        else:
            raise ForgedCallError("there is no such task instance")
        place = _place(session, dict(found))
    if not any(hmac.compare_digest(reference.digest, digest) for digest in place.submission.callbacks):
        raise ForgedCallError("its URL is that of another submission")
    return place


def take(place: Place, incoming: Incoming) -> None:
    """
    Keep a call, and resume the task that waits for it.

    :raises ForgedCallError: where it isn't genuine, or can't be read.
    :raises TooManyCallsError: where there are too many of them.
    """
    settings = _verified(place.submission.connection, incoming, is_known_name=True)
    _keep(place, settings, incoming)


def take_by_identifier(conn_id: str, incoming: Incoming) -> None:
    """
    Keep a signed call that names its job, and resume the task that waits for it.

    :raises ForgedCallError: if it isn't genuine, or nobody has submitted that job: it may come again a little later.
    :raises TooManyCallsError: if there are too many of them.
    :raises TooManyLookUpsError: if too many calls by name were refused of late.
    """
    settings = _verified(conn_id, incoming)
    identifier = identifier_of(settings, _call(settings, incoming).response())
    key = JOB_OF_KEY + by_identifier(conn_id, identifier)
    with create_session() as session:
        columns = (XComModel.dag_id, XComModel.run_id, XComModel.task_id, XComModel.map_index)
        latest = select(*columns).where(XComModel.key == key).order_by(XComModel.timestamp.desc()).limit(1)
        found = session.execute(latest).mappings().first()
        if found is None:
            raise ForgedCallError(f"connection {conn_id!r}: nobody has submitted the job that it names")
        place = _place(session, dict(found))
    if place.submission.connection != conn_id:
        # Against mistakes only: a task says itself which connection it has used, and Airflow keeps nothing else about
        # it. But who writes a DAG can read each connection that its tasks can, and so could sign a call too.
        raise ForgedCallError(f"connection {conn_id!r}: the job that it names was submitted with another one")
    _keep(place, settings, incoming)


def _keep(place: Place, settings: CallbackSettings, incoming: Incoming) -> None:
    call = _call(settings, incoming)
    _refuse_unreadable(call)
    with create_session() as session:
        count = _added(session, place, call)
        is_awaited = _resume(session, place.task, count)
    if not is_awaited:
        # A task that has begun to wait meanwhile may not have seen what wasn't there yet.
        with create_session() as session:
            _resume(session, place.task, count)
    if bodies.is_for_folder(call):
        bodies.sweep(incoming.received_at)
    metrics.count(metrics.CALLBACKS, place.submission.connection)


def _added(session: Session, place: Place, call: ReceivedCallback) -> int:
    """Add a call to those of its job, unless it is one of them; give how many there are."""
    calls = _lock_calls(session, place)
    if call.identity in {each.identity for each in calls}:
        return len(calls)
    _check_room(calls, call)
    # Only now: what isn't kept leaves no file.
    written = bodies.write(place.submission.key, call) if bodies.is_for_folder(call) else call
    try:
        _write_calls(session, place, [*calls, written])
        session.flush()
    except BaseException:
        bodies.remove(written)
        raise
    return len(calls) + 1


def _lock_calls(session: Session, place: Place) -> list[ReceivedCallback]:
    """
    Return the calls that were kept of a job; nobody else adds one before the session ends.

    :raises ForgedCallError: if the task was cleared meanwhile.
    """
    submitter = select(TaskInstance.id).filter_by(**place.task).with_for_update()
    if session.execute(submitter).first() is None:
        raise ForgedCallError("its task instance is gone")
    latest = _place(session, place.task)
    if latest.submission.key != place.submission.key:
        raise ForgedCallError("its task was cleared while it came in")
    key = callbacks_key(place.submission.key)
    read = partial(_read_store, key=key) if latest.in_store else partial(_read_xcom, key=CALLS_KEY)
    return ReceivedCallback.parse_all(read(session, place.task))


def _check_room(calls: list[ReceivedCallback], call: ReceivedCallback) -> None:
    """
    Check that one more call may be kept.

    :raises TooManyCallsError: if there are too many, or they are too large.
    """
    size = 0 if bodies.is_for_folder(call) else len(call.body)
    if len(calls) >= _MOST_CALLS or size + sum(len(each.body) for each in calls) > _MOST_BYTES:
        raise TooManyCallsError(f"the job has called back {len(calls) + 1} times")


def _write_calls(session: Session, place: Place, calls: list[ReceivedCallback]) -> None:
    """Write the calls where the task finds them, and where its next try does."""
    kept = dump_all(calls)
    if place.in_store and TaskScope is not None:
        key = callbacks_key(place.submission.key)
        get_state_backend().set(TaskScope(**place.task), key, json.dumps(kept), session=session)
    _push(session, place.task, CALLS_KEY, kept)


def _push(session: Session, task: dict[str, Any], key: str, value: Any) -> None:
    """Write an XCom as the Execution API does for a task: plain data, in the place of what was there."""
    run = select(DagRun.id).filter_by(dag_id=task["dag_id"], run_id=task["run_id"])
    session.execute(delete(XComModel).filter_by(**task, key=key))
    session.add(XComModel(dag_run_id=session.scalar(run), **task, key=key, value=value))


def _resume(session: Session, submitter: dict[str, Any], count: int) -> bool:
    """
    Resume the tasks that wait for a call of a job, and don't know of all yet.

    :param count: how many there have been.
    :return: whether a task has said that it waits.
    """
    columns = (XComModel.dag_id, XComModel.run_id, XComModel.task_id, XComModel.map_index, XComModel.value)
    rows = session.execute(select(*columns).where(XComModel.key == AWAITED_KEY + by_task(submitter))).all()
    settled = datetime.now(UTC) - timedelta(seconds=SHORTEST_DEFERRAL)
    for *task, awaited in rows:
        waiting = session.get(TaskInstance, _id(awaited["task_instance"]), with_for_update={"of": TaskInstance})
        if waiting is None or waiting.state != TaskInstanceState.DEFERRED or awaited["heard"] >= count:
            continue
        if [waiting.dag_id, waiting.run_id, waiting.task_id, waiting.map_index] != task:
            # A task speaks for itself: its XCom may not have another one resumed.
            continue
        # One that was deferred just now is resumed by its trigger, for the executor may not know of its pause yet.
        if waiting.updated_at is None or waiting.updated_at < settled:
            event = make_event(WaitEvent.of_callback())
            handle_event_submit(event, task_instance=waiting, session=session)
    return bool(rows)


def _id(text: object) -> Any:
    """Give a task instance's id as the database has it: Airflow 3.1 keeps it as text."""
    return TaskInstance.__table__.c.id.type.python_type(str(text))


def _place(session: Session, task: dict[str, Any]) -> Place:
    """
    Find what a task has kept of its submission.

    The task state store has it, from try to try; XCom before Airflow 3.3, and once the task has succeeded with
    ``[state_store] clear_on_success``.
    """
    kept = _read_store(session, task, SUBMISSION_KEY)
    in_store = kept is not None
    submission = Submission.parse(kept if in_store else _read_xcom(session, task, SUBMISSION_KEY))
    if submission is None:
        raise ForgedCallError("the task has submitted nothing")
    return Place(task, submission, in_store)


def _read_store(session: Session, task: dict[str, Any], key: str) -> Any:
    if TaskScope is None:
        return None
    text = get_state_backend().get(TaskScope(**task), key, session=session)
    return None if text is None else json.loads(text)


def _read_xcom(session: Session, task: dict[str, Any], key: str) -> Any:
    return session.scalar(select(XComModel.value).filter_by(**task, key=key))


def _verified(conn_id: str, incoming: Incoming, *, is_known_name: bool = False) -> CallbackSettings:
    """Return what a connection says of callbacks, if the call is signed as it says."""
    return _connections.verify(
        conn_id, incoming.headers, incoming.body, incoming.received_at, is_known_name=is_known_name
    )


def _call(settings: CallbackSettings, incoming: Incoming) -> ReceivedCallback:
    identity = settings.identity(incoming.headers, incoming.body)
    return ReceivedCallback(identity, incoming.received_at, incoming.headers.get("content-type", ""), incoming.body)


def _refuse_unreadable(call: ReceivedCallback) -> None:
    """
    Refuse what says that it is JSON, XML or a form, and isn't.

    :raises ForgedCallError: without words of the body, which have no place in the log.
    """
    try:
        answer = call.response()
        if answer.content_type.endswith("json"):
            _ = answer.json
        elif answer.content_type.endswith("xml"):
            _ = answer.xml
    except ResponseError:
        raise ForgedCallError("its body isn't what its content type says") from None
