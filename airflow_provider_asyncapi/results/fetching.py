"""Fetch a result on the worker: a value for XCom, or complete files at a destination."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException

from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.fetch.flow import NoDataError, ResultFetcher
from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.jobs.cleanup import CleanupOn, classify_end
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.exceptions import to_airflow
from airflow_provider_asyncapi.results.destination import Destination, Owner
from airflow_provider_asyncapi.results.limits import ResultLimits
from airflow_provider_asyncapi.results.worker_run import WorkerRun

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.json_values import JsonValue
    from airflow_provider_asyncapi.hooks.running import FlowRunner


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
    :param max_body: bytes of a response that is read into memory for XCom; by default a hundred times
        ``max_xcom_bytes``.
    """

    plan: FetchPlan
    handle: JobHandle
    destination: str | None = None
    limits: ResultLimits = field(default_factory=ResultLimits)
    owner: Owner | None = None
    callback: Response | None = None
    is_last_try: bool = False
    max_body: int | None = None


def fetch(hook: FlowRunner, task: FetchTask, save: Callable[[JsonValue], object] = lambda _: None) -> JsonValue:
    """
    Fetch a result for XCom or to its destination, completely or not at all.

    :param hook: sends the requests.
    :param save: stores the value or the manifest before the cleanup request removes the job.
    :return: the value, or a manifest of the files.
    :raises AirflowException: the failure, as Airflow understands it.
    """
    plan, handle = task.plan, task.handle
    fetcher = ResultFetcher(hook.api, plan, handle)
    if handle.outcome is Outcome.NO_DATA:
        hook.run(fetcher.clean_up(CleanupOn.NO_DATA))
        raise AirflowSkipException(f"Job {handle.printable_identifier} ended with no data: there is nothing to fetch")
    try:
        target = None if task.destination is None else Destination(task.destination, task.owner)
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
