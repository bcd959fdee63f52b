"""Verify callbacks, find their jobs, store them, and resume the tasks that wait for them."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import conf
from sqlalchemy import select

from airflow_provider_asyncapi.airflow_private.database import (
    TaskInstance,
    TaskInstanceHistory,
    XComModel,
    create_session,
)
from airflow_provider_asyncapi.core.callbacks.calls import (
    CallbackReference,
    ReceivedCallback,
    extract_identifier,
    make_identifier_key,
    make_response,
)
from airflow_provider_asyncapi.core.callbacks.settings import CallbackSettings
from airflow_provider_asyncapi.core.errors import InvalidCallbackError, ResponseError
from airflow_provider_asyncapi.core.http.messages import MAX_BODY, Headers
from airflow_provider_asyncapi.monitoring import metrics
from airflow_provider_asyncapi.monitoring.xcoms import JOB_OF_KEY
from airflow_provider_asyncapi.plugins import asset_events, bodies, stored_callbacks
from airflow_provider_asyncapi.plugins.connections import CallbackConnections
from airflow_provider_asyncapi.plugins.stored_callbacks import SubmittedJob

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.callbacks.webhooks import Challenge

#: What this process knows about the connections whose callbacks it verifies.
callback_connections = CallbackConnections()


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


def max_body_bytes() -> int:
    """Return the maximum size of a body, in bytes."""
    return int(conf.getint("asyncapi", "callback_max_bytes", fallback=1024 * 1024))


def find_job(reference: CallbackReference) -> SubmittedJob:
    """
    Return the job that was submitted with a callback URL.

    :raises InvalidCallbackError: if there is none, or its task was cleared after the submission.
    """
    with create_session() as session:
        for ids in (TaskInstance.id, TaskInstanceHistory.task_instance_id):
            model = ids.class_
            columns = (model.dag_id, model.run_id, model.task_id, model.map_index)
            found = (
                session.execute(select(*columns).where(ids == stored_callbacks.parse_id(reference.task_instance)))
                .mappings()
                .first()
            )
            if found is not None:
                break
        else:
            raise InvalidCallbackError("there is no such task instance")
        job = stored_callbacks.load_job(session, dict(found))
    if not any(hmac.compare_digest(reference.digest, digest) for digest in job.submission.callbacks):
        raise InvalidCallbackError("its URL is that of another submission")
    return job


def store_callback(job: SubmittedJob, incoming: IncomingCallback) -> None:
    """
    Store a callback, and resume the task that waits for it.

    :raises InvalidCallbackError: if the callback isn't genuine, or can't be read.
    :raises TooManyCallbacksError: if the job has sent too many callbacks.
    """
    settings = _verify_sender(job.submission.connection, incoming, is_known_name=True)
    _store(job, settings, incoming)


def store_callback_by_identifier(conn_id: str, incoming: IncomingCallback) -> None:
    """
    Store a signed callback that names its job, and resume the task that waits for it.

    :raises InvalidCallbackError: if the callback isn't genuine, or no task has submitted the job yet.
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
            raise InvalidCallbackError(f"connection {conn_id!r}: no task has submitted the job that it names")
        job = stored_callbacks.load_job(session, dict(found))
    if job.submission.connection != conn_id:
        # This only prevents mistakes: the task itself stores which connection it used, and Airflow stores nothing else
        # about it. But authors of DAGs can read all connections that their tasks can read, so they could sign too.
        raise InvalidCallbackError(f"connection {conn_id!r}: the job that it names was submitted with another one")
    _store(job, settings, incoming)


def find_challenge(conn_id: str, parameters: Mapping[str, str]) -> tuple[Challenge, str] | None:
    """
    Return how to answer a call that only checks the URL of webhooks, and the value; None if it isn't one.

    :param parameters: the query of the call.
    :raises InvalidCallbackError: if there is no such connection.
    :raises TooManyLookUpsError: if too many callbacks by name were refused recently.
    """
    challenge = callback_connections.find_challenge(conn_id) if parameters else None
    value = None if challenge is None else challenge.find_in_query(parameters)
    return None if challenge is None or value is None else (challenge, value)


def store_webhook(conn_id: str, incoming: IncomingCallback) -> tuple[Challenge, str] | None:
    """
    Store the asset events of a signed webhook; return how to answer it if it only checks the URL.

    :raises InvalidCallbackError: if the call isn't genuine, can't be read, or the connection has no events.
    :raises TooManyLookUpsError: if too many callbacks by name were refused recently.
    """
    settings = _verify_sender(conn_id, incoming)
    _check_readable(_to_callback(settings, incoming))
    call = make_response(incoming.headers, incoming.body, max(MAX_BODY, len(incoming.body)))
    challenge = settings.challenge
    value = None if challenge is None else challenge.find_in_body(call)
    if challenge is not None and value is not None:
        return challenge, value
    if not settings.events:
        raise InvalidCallbackError(f"connection {conn_id!r}: it has no events (callback.events)")
    identity = settings.identity(incoming.headers, incoming.body)
    items = [(event.asset, event.make_item(conn_id, call, identity)) for event in settings.events]
    for asset, item in items:
        if item is not None and asset_events.store_asset_event(asset, item):
            metrics.count(metrics.CALLBACKS, conn_id)
    return None


def _store(job: SubmittedJob, settings: CallbackSettings, incoming: IncomingCallback) -> None:
    call = _to_callback(settings, incoming)
    _check_readable(call)
    with create_session() as session:
        count = stored_callbacks.add_callback(session, job, call)
        is_awaited = stored_callbacks.resume_tasks(session, job.task, count)
    if not is_awaited:
        # A task that has begun to wait meanwhile may not have seen the callback.
        with create_session() as session:
            stored_callbacks.resume_tasks(session, job.task, count)
    if bodies.belongs_in_folder(call):
        bodies.delete_old(incoming.received_at)
    metrics.count(metrics.CALLBACKS, job.submission.connection)


def _verify_sender(conn_id: str, incoming: IncomingCallback, *, is_known_name: bool = False) -> CallbackSettings:
    """Return the callback settings of a connection if the callback has the signature that they require."""
    return callback_connections.verify(
        conn_id, incoming.headers, incoming.body, incoming.received_at, is_known_name=is_known_name
    )


def _to_callback(settings: CallbackSettings, incoming: IncomingCallback) -> ReceivedCallback:
    identity = settings.identity(incoming.headers, incoming.body)
    return ReceivedCallback(identity, incoming.received_at, incoming.headers.get("content-type", ""), incoming.body)


def _check_readable(call: ReceivedCallback) -> None:
    """
    Check that the body has the format of its content type.

    :raises InvalidCallbackError: if it hasn't; the message doesn't quote the body, which must not be logged.
    """
    try:
        answer = call.response()
        if answer.content_type.endswith("json"):
            _ = answer.json
        elif answer.content_type.endswith("xml"):
            _ = answer.xml
    except ResponseError:
        raise InvalidCallbackError("its body isn't what its content type says") from None
