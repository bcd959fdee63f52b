"""Fetch a result on the worker: a value for XCom, or complete files at a destination."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException

from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.fetch.flow import NoDataError, ResultFetcher
from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.jobs.cleanup import CleanupOn, classify_end
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.jobs.profile_version import explain_change, warn_of_change
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.exceptions import AsyncApiException, to_airflow
from airflow_provider_asyncapi.monitoring import metrics, tracing
from airflow_provider_asyncapi.results.destination import Destination, Owner
from airflow_provider_asyncapi.results.limits import ResultLimits
from airflow_provider_asyncapi.results.worker_run import WorkerRun
from airflow_provider_asyncapi.results.writers.base import encode_json

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.effects import Flow
    from airflow_provider_asyncapi.core.json_values import JsonValue
    from airflow_provider_asyncapi.hooks.running import FlowRunner
    from airflow_provider_asyncapi.monitoring.tracing import StageTrace
    from airflow_provider_asyncapi.transports.cancellation import Cancellation

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FetchTask:
    """
    One fetch of a task.

    :param plan: the plan of the fetch.
    :param handle: the job.
    :param destination: a file, or a folder with a slash at its end; None for XCom.
    :param limits: the limits of the result.
    :param owner: the task as the owner of files at the destination: one try undoes what another has left.
    :param callback: the job's callback, if it holds the result.
    :param is_last_try: whether a failure is the task's last one.
    :param profile: name and version of the profile that describes the fetch; empty for none.
    :param max_body: bytes of a response that is read into memory for XCom; by default a hundred times
        ``max_xcom_bytes``.
    :param cancellation: stops the writing of files; None if only a signal stops the task.
    """

    plan: FetchPlan
    handle: JobHandle
    destination: str | None = None
    limits: ResultLimits = field(default_factory=ResultLimits)
    owner: Owner | None = None
    callback: Response | None = None
    is_last_try: bool = False
    profile: Mapping[str, str] = field(default_factory=dict)
    max_body: int | None = None
    cancellation: Cancellation | None = None


def fetch(hook: FlowRunner, task: FetchTask, save: Callable[[JsonValue], object] = lambda _: None) -> JsonValue:
    """
    Fetch a result for XCom or to its destination, completely or not at all.

    :param hook: sends the requests.
    :param save: stores the value or the manifest before the cleanup request removes the job.
    :return: the value, or a manifest of the files.
    :raises AirflowException: the failure, as Airflow understands it.
    """
    change = explain_change(task.handle.profile, task.profile)
    if change:
        hook.run(warn_of_change(change))
    with tracing.trace_stage("fetch", hook.asyncapi_conn_id, task.handle.trace) as trace:
        try:
            result = _fetch(_TracedRunner(hook, trace), task, save)
        except AsyncApiException as error:
            if change:
                error.args = (f"{error}; {change}",)
            raise
        if metrics.are_enabled() or tracing.is_enabled():
            size = _measure(task, result)
            metrics.count(metrics.RESULT_BYTES, hook.asyncapi_conn_id, size)
            trace.set_result_size(size)
    return result


class _TracedRunner:
    """Runs flows as another runner does, with the trace context in their requests."""

    def __init__(self, runner: FlowRunner, trace: StageTrace) -> None:
        self.asyncapi_conn_id, self.api = runner.asyncapi_conn_id, runner.api
        self._runner, self._trace = runner, trace

    def run(self, flow: Flow[T], /) -> T:
        return self._runner.run(self._trace.propagate(self.api, flow))


def _measure(task: FetchTask, result: Any) -> int:
    """Return the bytes of a result: those of its files, or of its value as JSON."""
    return len(encode_json(result)) if task.destination is None else int(result["bytes"])


def _fetch(hook: FlowRunner, task: FetchTask, save: Callable[[JsonValue], object]) -> JsonValue:
    plan, handle = task.plan, task.handle
    fetcher = ResultFetcher(hook.api, plan, handle)
    if handle.outcome is Outcome.NO_DATA:
        hook.run(fetcher.clean_up(CleanupOn.NO_DATA))
        raise AirflowSkipException(f"Job {handle.printable_identifier} ended with no data: there is nothing to fetch")
    try:
        target = None if task.destination is None else Destination(task.destination, task.owner, task.cancellation)
        with contextlib.closing(target) if target else contextlib.nullcontext():
            result = WorkerRun(hook, fetcher, target, task.limits, task.max_body).fetch(task.callback)
            if plan.cleanup is not None:
                save(result)
            if target is not None:
                target.finalize()
    except AsyncApiError as error:
        raised = to_airflow(error.set_job(handle.identifier, handle.status))
        _clean_up(hook, fetcher, raised, error, is_last_try=task.is_last_try)
        raise raised from error
    except (AirflowException, AirflowSkipException) as error:
        _clean_up(hook, fetcher, error, error.__cause__, is_last_try=task.is_last_try)
        raise
    hook.run(fetcher.clean_up(CleanupOn.SUCCESS))
    return result


def _clean_up(
    hook: FlowRunner, fetcher: ResultFetcher, raised: BaseException, cause: BaseException | None, *, is_last_try: bool
) -> None:
    """Send the cleanup request after a failed fetch, if no later try needs the job."""
    is_final = is_last_try or isinstance(raised, AirflowFailException)
    end = CleanupOn.NO_DATA if isinstance(cause, NoDataError) else classify_end(cause, is_final=is_final)
    if end is not None:
        hook.run(fetcher.clean_up(end))
