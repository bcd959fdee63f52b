"""Callbacks in tasks: the URL that the API calls, and the callbacks that Airflow has received."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

# Imports a name at its first use: few callbacks have a body that is stored in a file.
from airflow.providers.common.compat import sdk
from airflow.sdk.log import mask_secret

from airflow_provider_asyncapi.core.callbacks.calls import (
    PATH,
    CallbackReference,
    ReceivedCallback,
    make_identifier_key,
    make_task_key,
)
from airflow_provider_asyncapi.core.errors import AsyncApiError, ConfigurationError, ResultExpiredError
from airflow_provider_asyncapi.exceptions import to_airflow
from airflow_provider_asyncapi.hooks.airflow_urls import find_base_url
from airflow_provider_asyncapi.monitoring.xcoms import AWAITED_KEY, CALLS_KEY, JOB_OF_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_asyncapi.core.connection.api import Api
    from airflow_provider_asyncapi.core.http.messages import Response
    from airflow_provider_asyncapi.core.jobs.handle import JobHandle
    from airflow_provider_asyncapi.core.plans import FetchPlan


def make_reference(context: Context) -> CallbackReference:
    """Return a new secret part of a callback's URL, a different one for each try of a task."""
    ti: Any = context["ti"]
    return CallbackReference.make(ti.id, secrets.token_bytes(32))


def make_callback_url(reference: CallbackReference, api: Api) -> str:
    """
    Return the URL that the API calls, and mask it in logs and messages: anyone who knows the URL can call it.

    :raises ConfigurationError: if no setting has the address of Airflow's API server.
    """
    base = find_base_url("callback_base_url", "callback")
    mask_secret(reference.text)
    api.redact.add(reference.text)
    return f"{base}{PATH}/{reference.text}"


def register_job(context: Context, conn_id: str, handle: JobHandle) -> None:
    """Push the job's identifier, so that callbacks which name the job only by its identifier can find the task."""
    if handle.identifier is not None:
        ti: Any = context["ti"]
        ti.xcom_push(JOB_OF_KEY + make_identifier_key(conn_id, handle.identifier), handle.identifier)


def await_callback(context: Context, handle: JobHandle, callbacks_seen: int) -> None:
    """
    Push an XCom by which a callback finds the task that waits for it.

    :param callbacks_seen: number of callbacks that the task has processed; these callbacks don't resume it.
    """
    ti: Any = context["ti"]
    ti.xcom_push(AWAITED_KEY + make_task_key(handle.task), {"task_instance": str(ti.id), "heard": callbacks_seen})


def read_callbacks(context: Context, handle: JobHandle) -> list[ReceivedCallback]:
    """
    Return the callbacks that Airflow has received for a job.

    :raises ConfigurationError: if the handle doesn't name the task that submitted the job.
    """
    task: Mapping[str, Any] = handle.task
    if not task:
        raise ConfigurationError(
            "callback: a bare identifier doesn't identify the task that submitted the job with a callback URL; pass the"
            " job handle (job=submit.handle)"
        )
    ti: Any = context["ti"]
    kept = ti.xcom_pull(
        key=CALLS_KEY,
        dag_id=task["dag_id"],
        run_id=task["run_id"],
        task_ids=task["task_id"],
        map_indexes=task["map_index"],
    )
    return ReceivedCallback.parse_callbacks(kept)


def find_result(context: Context, plan: FetchPlan, handle: JobHandle) -> Response | None:
    """
    Return the callback that holds a job's result; None if the result has to be fetched.

    :raises AirflowFailException: if no callback holds the result and there is no endpoint to fetch it from.
    """
    if not plan.callback:
        return None
    try:
        if handle.call is not None:
            calls = read_callbacks(context, handle)[handle.call :]
            if not calls:
                raise ResultExpiredError("callback: it is gone, because the task that submitted the job was cleared")
            return to_response(calls[0])
        if plan.step.request.endpoint:
            return None
        raise ConfigurationError(
            "callback: a poll ended the wait, not a callback, so the result has to be fetched; set endpoint"
        )
    except AsyncApiError as error:
        raise to_airflow(error) from error


def to_response(call: ReceivedCallback) -> Response:
    """Return a callback as a response; a large body is read from the callback folder."""
    if call.path is None:
        return call.response()
    try:
        return call.response(sdk.ObjectStoragePath(call.path).read_bytes())
    except FileNotFoundError:
        raise ResultExpiredError(
            "callback: its body is no longer in [asyncapi] callback_folder; bodies are deleted after callback_keep_days"
        ) from None
