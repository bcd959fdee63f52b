"""Begin and end a wait without a worker, if Airflow supports it for the task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol

from airflow.providers.common.compat.sdk import XComArg
from airflow.triggers.base import StartTriggerArgs

from airflow_provider_asyncapi.airflow_private.operators import has_post_execute, has_pre_execute
from airflow_provider_asyncapi.airflow_private.versions import HAS_TRIGGER_ON_KILL
from airflow_provider_asyncapi.core.fetch.outputs.registry import RESULT, choose_output
from airflow_provider_asyncapi.core.jobs.cleanup import CleanupOn
from airflow_provider_asyncapi.core.jobs.stored_fields import TRIGGER_LAYOUT
from airflow_provider_asyncapi.core.json_values import as_list, freeze
from airflow_provider_asyncapi.core.parameter_names import NOT_FOR_TRIGGERER
from airflow_provider_asyncapi.core.templates import walk_strings
from airflow_provider_asyncapi.tasks.jinja import has_template
from airflow_provider_asyncapi.tasks.stages import STATUS, Stage

#: Seconds from the sensor's deadline to Airflow's own timeout of the deferral, which doesn't poll or cancel the job.
_DEFERRAL_GRACE = 86400.0


class DeferrableTask(Protocol):
    """A task that a trigger may end, with the attributes that decide it; most are attributes of Airflow's operators."""

    outlets: list[Any]
    on_execute_callback: Any
    on_success_callback: Any
    do_xcom_push: bool
    multiple_outputs: bool
    returns_dag_result: bool

    def iter_mapped_dependants(self) -> Iterable[Any]:
        """Return the tasks that are mapped over the result of this one."""

    def effective_params(self, stage: Stage, *, with_connection: bool = ...) -> dict[str, Any]:
        """Return the parameters of a stage that the DAG and the profile set."""


class DeferrableSensor(DeferrableTask, Protocol):
    """A sensor whose wait may begin in the triggerer, with the attributes that decide it."""

    asyncapi_conn_id: str
    job: Any
    job_url: str | None
    profile: str | None
    on_warning_callback: Any
    template_fields: Sequence[str]
    execution_timeout: timedelta | None

    def explicit_params(self, stage: Stage) -> dict[str, Any]:
        """Return the parameters of a stage that the DAG sets."""

    def effective_timeout(self, *, with_connection: bool = ...) -> float:
        """Return the maximum duration of the wait, in seconds."""

    def has_default_timeout(self, *, with_connection: bool = ...) -> bool:
        """Return whether neither the DAG nor a profile sets a timeout."""

    def get_closest_mapped_task_group(self) -> Any:
        """Return the mapped task group that holds the sensor; None if there is none."""

    def execute_complete(self, context: Any, event: Any) -> Any:
        """Continue with the event of the trigger."""


def why_unsupported_start(sensor: DeferrableSensor) -> str | None:
    """
    Return the reason why a wait has to begin on a worker; None if the triggerer can begin it.

    In the triggerer Airflow doesn't render XComs, run callbacks or store extra links.
    """
    return next(_reasons_against_start(sensor), None)


def _reasons_against_start(sensor: DeferrableSensor) -> Iterator[str]:
    if not HAS_TRIGGER_ON_KILL:
        yield "Airflow doesn't support it before 3.3"
    if sensor.get_closest_mapped_task_group() is not None:
        yield "it is in a mapped task group"
    if sensor.execution_timeout is not None:
        yield "it has an execution_timeout"
    if sensor.on_execute_callback or sensor.on_warning_callback or has_pre_execute(sensor):
        yield "it has an on_execute_callback, on_warning_callback or pre_execute"
    if sensor.effective_params(STATUS, with_connection=False).get("callback"):
        yield "callback: a worker pushes the XCom by which a callback finds the task"
    if sensor.job_url or sensor.effective_params(STATUS, with_connection=False).get("job_url"):
        yield "job_url: Airflow stores extra links on workers only"
    for name in sensor.template_fields:
        if name not in ("job", "submit", "repair") and not _is_literal(getattr(sensor, name)):
            yield f"{name}: is a template"
    if _find_job_source(sensor.job) is None:
        yield "job: is neither a literal nor the XCom of an unmapped task"


def why_unsupported_end(task: DeferrableTask) -> str | None:
    """
    Return the reason why a successful wait has to end on a worker; None if it can end in the triggerer.

    In the triggerer Airflow only writes the state of the task.
    """
    return next(_reasons_against_end(task), None)


def _reasons_against_end(task: DeferrableTask) -> Iterator[str]:
    if not HAS_TRIGGER_ON_KILL:
        yield "Airflow doesn't support it before 3.3"
    if task.outlets:
        yield "it has outlets"
    if task.on_success_callback or has_post_execute(task):
        yield "it has an on_success_callback or post_execute"
    if task.on_execute_callback or has_pre_execute(task):
        yield "it has an on_execute_callback or pre_execute"
    cleanup_on = as_list(task.effective_params(STATUS, with_connection=False).get("cleanup_on"))
    if CleanupOn.SUCCESS in cleanup_on:
        yield "cleanup_on: a worker sends the cleanup request after a success"
    if not task.do_xcom_push or task.multiple_outputs or task.returns_dag_result:
        yield "do_xcom_push, multiple_outputs or the DAG's result: a worker has to process its return value"


def why_unsupported_fetch(task: DeferrableTask, described: Mapping[str, Any], destination: str | None) -> str | None:
    """
    Return the reason why a worker has to fetch the result of a job; None if the triggerer can fetch it.

    :param task: the task; it runs on a worker now.
    :param described: the parameters of the fetch.
    :param destination: the target of the result; None for XCom.
    """
    return next(_reasons_against_fetch(task, described, destination), None)


def _reasons_against_fetch(
    task: DeferrableTask, described: Mapping[str, Any], destination: str | None
) -> Iterator[str]:
    yield from _reasons_against_end(task)
    if destination is not None:
        yield "destination: a worker writes files"
    if (output := choose_output(described)) is not RESULT:
        yield f"output_type: the triggerer fetches no {output.name!r}"
    if described.get("cleanup") is not None:
        yield "cleanup: a worker sends the cleanup request"
    if described.get("callback"):
        yield "callback: a worker reads the result from the callback"
    if next(iter(task.iter_mapped_dependants()), None) is not None:
        yield "a task is mapped over its result, whose length Airflow stores on a worker only"


def make_start_args(sensor: DeferrableSensor, *, can_end: bool) -> StartTriggerArgs:
    """
    Return the arguments with which Airflow's scheduler starts the trigger of a sensor.

    :param can_end: whether the trigger may end a successful wait itself.
    """
    params = sensor.effective_params(STATUS, with_connection=False)
    # What the profile of the connection sets is only known in the trigger, and may be switched off, too.
    switched_off = {name: value for name, value in sensor.explicit_params(STATUS).items() if value is False}
    params = {**switched_off, **params}
    timeout = sensor.effective_timeout(with_connection=False)
    until_airflow_ends_it = timeout + _DEFERRAL_GRACE
    return StartTriggerArgs(
        trigger_cls="airflow_provider_asyncapi.triggers.asyncapi.AsyncApiJobTrigger",
        trigger_kwargs={
            "version": TRIGGER_LAYOUT,
            "asyncapi_conn_id": sensor.asyncapi_conn_id,
            "spec": {name: value for name, value in params.items() if name not in NOT_FOR_TRIGGERER},
            "begin": {
                **(_find_job_source(sensor.job) or {}),
                "timeout": timeout,
                "airflow_timeout": until_airflow_ends_it,
                "names_profile": sensor.profile is not None,
                **({"is_default_timeout": True} if sensor.has_default_timeout(with_connection=False) else {}),
            },
            "end_from_trigger": can_end,
        },
        next_method=sensor.execute_complete.__name__,
        timeout=timedelta(seconds=until_airflow_ends_it),
    )


def _find_job_source(job: Any) -> dict[str, Any] | None:
    """Return the place from which the trigger reads the job; None if it can't."""
    if not isinstance(job, XComArg):
        return {"job": job} if _is_literal(job) else None
    operator: Any = getattr(job, "operator", None)
    # An XComArg that is made of others (map, zip, concat) has no operator of its own.
    if operator is None or operator.is_mapped or operator.get_closest_mapped_task_group() is not None:
        return None
    return {"task_id": operator.task_id, "key": job.key}  # type: ignore[attr-defined]  # only XComArgs of operators


def _is_literal(value: Any) -> bool:
    """Return whether a value is plain data without templates."""
    return freeze(value) is not None and not any(map(has_template, walk_strings(value)))
