"""Callbacks as tasks see them: the URL that is given away, and what has come in there."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_asyncapi.core.callbacks.calls import PATH, ReceivedCallback, Reference, by_identifier, by_task
from airflow_provider_asyncapi.core.errors import AsyncApiError, ConfigurationError, ResultExpiredError
from airflow_provider_asyncapi.exceptions import to_airflow
from airflow_provider_asyncapi.monitoring.xcoms import AWAITED_KEY, CALLS_KEY, JOB_OF_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_asyncapi.core.connection.settings import Api
    from airflow_provider_asyncapi.core.http.messages import Response
    from airflow_provider_asyncapi.core.jobs.handle import JobHandle
    from airflow_provider_asyncapi.core.plans import FetchPlan


def new_reference(context: Context) -> Reference:
    """Make the secret part of a callback's URL, another one for each try of a task."""
    ti: Any = context["ti"]
    return Reference.make(ti.id, secrets.token_bytes(32))


def url_of(reference: Reference, api: Api) -> str:
    """
    Give the URL that an API calls; it is masked in all that is shown from here on, for who knows it can call.

    :raises ConfigurationError: where nobody has said where Airflow can be reached.
    """
    from airflow.sdk.log import mask_secret

    base = conf.get("asyncapi", "callback_base_url", fallback="") or conf.get("api", "base_url", fallback="")
    if not base.startswith(("http://", "https://")):
        raise ConfigurationError(
            "callback: where the API can reach Airflow isn't known; set [asyncapi] callback_base_url (or [api]"
            f" base_url) to an http or https address, not {base!r}"
        )
    mask_secret(reference.text)
    api.redact.add(reference.text)
    return f"{base.rstrip('/')}{PATH}/{reference.text}"


def make_known(context: Context, conn_id: str, handle: JobHandle) -> None:
    """Let callbacks find the job that name it only by its identifier."""
    if handle.identifier is not None:
        ti: Any = context["ti"]
        ti.xcom_push(JOB_OF_KEY + by_identifier(conn_id, handle.identifier), handle.identifier)


def await_call(context: Context, handle: JobHandle, heard: int) -> None:
    """
    Let a callback find the task that waits for it.

    :param heard: how many the task has taken notice of; those don't resume it.
    """
    ti: Any = context["ti"]
    ti.xcom_push(AWAITED_KEY + by_task(handle.task), {"task_instance": str(ti.id), "heard": heard})


def calls_of(context: Context, handle: JobHandle) -> list[ReceivedCallback]:
    """
    Give the callbacks that have come in about a job.

    :raises ConfigurationError: where the job isn't known to have been submitted by a task of ours.
    """
    task: Mapping[str, Any] = handle.task
    if not task:
        raise ConfigurationError(
            "callback: a bare identifier doesn't say which task has submitted the job and given away its callback URL;"
            " give the job handle (submit.handle)"
        )
    ti: Any = context["ti"]
    kept = ti.xcom_pull(
        key=CALLS_KEY,
        dag_id=task["dag_id"],
        run_id=task["run_id"],
        task_ids=task["task_id"],
        map_indexes=task["map_index"],
    )
    return ReceivedCallback.parse_all(kept)


def result_of(context: Context, plan: FetchPlan, handle: JobHandle) -> Response | None:
    """
    Give the callback that holds a job's result; None where that has to be fetched.

    :raises AirflowFailException: where it can be neither given nor fetched.
    """
    if not plan.callback:
        return None
    try:
        if handle.call is not None:
            calls = calls_of(context, handle)[handle.call :]
            if not calls:
                raise ResultExpiredError("callback: it isn't there any more, for the task that submitted was cleared")
            return response_of(calls[0])
        if plan.step.request.endpoint:
            return None
        raise ConfigurationError(
            "callback: no callback has ended the wait, a poll has, so the result has to be fetched; give its endpoint"
        )
    except AsyncApiError as error:
        raise to_airflow(error) from error


def response_of(call: ReceivedCallback) -> Response:
    """Give a callback as an answer, its body read from where large ones are."""
    if call.path is None:
        return call.response()
    from airflow.sdk import ObjectStoragePath

    try:
        return call.response(ObjectStoragePath(call.path).read_bytes())
    except FileNotFoundError:
        raise ResultExpiredError(
            "callback: its body isn't in [asyncapi] callback_folder any more; callback_keep_days says how long it is"
            " kept"
        ) from None
