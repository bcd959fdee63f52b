"""Beginning and ending a wait without a worker: where Airflow carries it, and else why not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import XComArg
from airflow.triggers.base import StartTriggerArgs

from airflow_provider_asyncapi.airflow_private.versions import HAS_TRIGGER_ON_KILL
from airflow_provider_asyncapi.core.jobs.cleanup import CleanupOn
from airflow_provider_asyncapi.core.jobs.layouts import TRIGGER_LAYOUT
from airflow_provider_asyncapi.core.json_values import as_list, frozen
from airflow_provider_asyncapi.core.templates import strings_in

if TYPE_CHECKING:
    from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor

#: Airflow's own timeout of the deferral comes so many seconds after ours, for it neither polls once more nor cancels.
_GRACE = 86400.0
_JINJA = ("{{", "{%", "{#")


def needed_to_begin(sensor: AsyncApiSensor) -> str | None:
    """
    Say why a wait has to begin on a worker; None where the triggerer can begin it.

    There Airflow renders nothing that takes an XCom, calls no callback, and makes no link.
    """
    return next(_reasons_to_begin(sensor), None)


def _reasons_to_begin(sensor: AsyncApiSensor) -> Iterator[str]:
    if not HAS_TRIGGER_ON_KILL:
        yield "Airflow can't do it before 3.3"
    if sensor.get_closest_mapped_task_group() is not None:
        yield "it is in a mapped task group"
    if sensor.execution_timeout is not None:
        yield "it has an execution_timeout"
    if sensor.on_execute_callback or sensor._pre_execute_hook:  # noqa: SLF001 - where Airflow keeps pre_execute
        yield "it has an on_execute_callback or pre_execute"
    if sensor.effective_params(with_connection=False).get("callback"):
        yield "callback: a worker makes the task known to those who call back"
    if sensor.job_url or sensor.effective_params(with_connection=False).get("job_url"):
        yield "job_url: Airflow makes links on workers"
    for name in sensor.template_fields:
        if name != "job" and not _is_literal(getattr(sensor, name)):
            yield f"{name}: is a template"
    if _source(sensor.job) is None:
        yield "job: is neither a literal nor the XCom of a task that isn't mapped"


def needed_to_end(sensor: AsyncApiSensor) -> str | None:
    """
    Say why a wait that ends well has to end on a worker; None where it can end in the triggerer.

    There Airflow writes the state of the task, and nothing else.
    """
    return next(_reasons_to_end(sensor), None)


def _reasons_to_end(sensor: AsyncApiSensor) -> Iterator[str]:
    if not HAS_TRIGGER_ON_KILL:
        yield "Airflow can't do it before 3.3"
    if sensor.outlets:
        yield "it has outlets"
    if sensor.on_success_callback or sensor._post_execute_hook:  # noqa: SLF001 - where Airflow keeps post_execute
        yield "it has an on_success_callback or post_execute"
    if sensor.on_execute_callback or sensor._pre_execute_hook:  # noqa: SLF001 - where Airflow keeps pre_execute
        yield "it has an on_execute_callback or pre_execute"
    cleanup_on = as_list(sensor.effective_params(with_connection=False).get("cleanup_on"))
    if CleanupOn.SUCCESS in cleanup_on:
        yield "cleanup_on: the request after a success is sent by a worker"
    if not sensor.do_xcom_push or sensor.multiple_outputs or sensor.returns_dag_result:
        yield "do_xcom_push, multiple_outputs or the DAG's result: what it returns isn't simply its XCom"


def start_args(sensor: AsyncApiSensor) -> StartTriggerArgs:
    """Give what Airflow's scheduler starts the trigger with, for a sensor that needs no worker to begin."""
    until_airflow_ends_it = sensor.timeout + _GRACE
    return StartTriggerArgs(
        trigger_cls="airflow_provider_asyncapi.triggers.asyncapi.AsyncApiJobTrigger",
        trigger_kwargs={
            "version": TRIGGER_LAYOUT,
            "asyncapi_conn_id": sensor.asyncapi_conn_id,
            "spec": sensor.effective_params(with_connection=False),
            "begin": {
                **(_source(sensor.job) or {}),
                "timeout": sensor.timeout,
                "airflow_timeout": until_airflow_ends_it,
                "names_profile": sensor.profile is not None,
            },
            "end_from_trigger": sensor.end_from_trigger and needed_to_end(sensor) is None,
        },
        next_method=sensor.execute_complete.__name__,
        timeout=timedelta(seconds=until_airflow_ends_it),
    )


def _source(job: Any) -> dict[str, Any] | None:
    """Say where the trigger finds the job; None where it can't."""
    if not isinstance(job, XComArg):
        return {"job": job} if _is_literal(job) else None
    operator: Any = getattr(job, "operator", None)
    # What is made of an XCom (map, zip, concat) has operators, and none of its own.
    if operator is None or operator.is_mapped or operator.get_closest_mapped_task_group() is not None:
        return None
    return {"task_id": operator.task_id, "key": job.key}  # type: ignore[attr-defined]


def _is_literal(value: Any) -> bool:
    """Tell whether a value is plain data, in which Airflow would render nothing."""
    return frozen(value) is not None and not any(sign in text for text in strings_in(value) for sign in _JINJA)
