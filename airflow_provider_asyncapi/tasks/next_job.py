"""Run a task's job again after it has failed: submit another one, or resume the failed one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.outcome import Rerun
from airflow_provider_asyncapi.core.submit.resubmit_plan import Attempt
from airflow_provider_asyncapi.core.submit.submission import Submission
from airflow_provider_asyncapi.exceptions import AsyncApiUnknownStatus
from airflow_provider_asyncapi.monitoring import metrics
from airflow_provider_asyncapi.monitoring.xcoms import JOB_KEY
from airflow_provider_asyncapi.tasks import lazy
from airflow_provider_asyncapi.tasks.stages import STATUS
from airflow_provider_asyncapi.tasks.submission_state import (
    count_clears,
    load_record,
    make_idempotency_key,
    store_record,
)
from airflow_provider_asyncapi.tasks.submit_job import submit_job
from airflow_provider_asyncapi.tasks.wait_state import find_start, forget_start, save_start
from airflow_provider_asyncapi.transports.pauses import compute_return, sleep

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_asyncapi.core.plans import WaitPlan
    from airflow_provider_asyncapi.core.submit.resubmit_plan import ResubmitPlan
    from airflow_provider_asyncapi.exceptions import AsyncApiJobFailed
    from airflow_provider_asyncapi.tasks.base import JobTask

#: Seconds up to which a worker waits for the next submit itself.
SHORTEST_DEFERRED_DELAY = 15.0


def resubmit_job(
    task: JobTask,
    context: Context,
    plan: ResubmitPlan,
    error: AsyncApiJobFailed,
    timeout: float,
    first: JobHandle | None = None,
) -> JobHandle | None:
    """
    Submit another job after one has failed, or resume that one, and return the handle; None if there is no further job.

    The record of the next submission, with its own idempotency key, is stored before anything else happens: whenever
    this process is killed, the next one either finds the failed job again, or submits the same next job.

    :param error: the failure of the job.
    :param timeout: seconds for all jobs together.
    :param first: the first job, if another task has submitted it.
    :raises TaskDeferred: if there is a delay, and the task is deferrable.
    """
    if isinstance(error, AsyncApiUnknownStatus):
        # The API hasn't reported a failure: the job may be running.
        return None
    if error.rerun == Rerun.NEVER:
        task.hook.log.info("No further job is submitted, since resubmit_on doesn't match the failure: %s", error)
        return None
    now, generation, record = time.time(), count_clears(context["ti"]), load_record(context, first)
    if record is None or record.generation not in (None, generation):
        record = Submission(make_idempotency_key(context), generation)
    job = record.handle or first
    submitted_at = None if job is None else job.submitted_at
    began = find_start(context, JobHandle(error.job), submitted_at or now)
    failed = len(record.attempts) + 1
    delay = plan.delay_after(failed, now, began + timeout)
    if delay is None:
        task.hook.log.info("Job %s has failed, and no further job is submitted: %s", failed, error)
        return None
    how = Rerun.SUBMIT if record.repairs is None else Rerun.REPAIR
    attempt = Attempt(error.job, error.status, error.message or str(error), submitted_at, now, str(how))
    repairs = _find_job_to_repair(task, context, error, job)
    record = record.for_next_job(attempt, now + delay if delay else None, repairs)
    save_start(context, began)
    store_record(context, record, first)
    task.hook.log.warning(
        "Job %s of %s has failed, and %s in %g s: %s",
        failed,
        plan.limit + 1,
        "the next one follows" if repairs is None else "is repaired",
        delay,
        error,
    )
    metrics.count(metrics.RESUBMITS, task.asyncapi_conn_id)
    return submit_job(task, context, first)


def find_next_job(task: JobTask, context: Context, first: JobHandle) -> JobHandle:
    """
    Return the job that a task has submitted, or has to submit now, since the first one failed; that one if it has none.

    :param first: the first job, which another task has submitted.
    :raises TaskDeferred: if the next job isn't due yet, and the task is deferrable.
    """
    record = load_record(context, first)
    if record is None or not record.attempts or record.generation != count_clears(context["ti"]):
        return first
    return submit_job(task, context, first)


def submit_in_next_try(task: JobTask, context: Context, error: AsyncApiJobFailed) -> None:
    """
    Store that the next try of the task submits a job of its own, or resumes this one, since it has failed.

    Before Airflow 3.3 nothing is stored, so the next try sends the same idempotency key.
    """
    if context.get("task_state_store") is not None and (record := load_record(context)):
        store_record(context, record.for_next_job(repairs=_find_job_to_repair(task, context, error, record.handle)))
        forget_start(context)


def wait_until_due(task: Any, delay: float) -> None:
    """
    Wait until the next job of a task may be submitted, on this worker or without one.

    :param task: a task that may submit another job after its job has failed.
    :param delay: the time to wait, in seconds.
    :raises TaskDeferred: if the time is long, and the task is deferrable.
    :raises AirflowRescheduleException: if the time is long, and each poke is a process of its own.
    """
    # Airflow mustn't resume a task before its executor knows of the deferral.
    if delay > SHORTEST_DEFERRED_DELAY and task.deferrable:
        trigger: Any = lazy.DateTimeTrigger(compute_return(delay))
        raise TaskDeferred(trigger=trigger, method_name=task.execute_next_job.__name__, timeout=task.execution_timeout)
    if delay > SHORTEST_DEFERRED_DELAY and getattr(task, "reschedule", False):
        raise AirflowRescheduleException(compute_return(delay))
    sleep(delay)


def _find_job_to_repair(
    task: JobTask, context: Context, error: AsyncApiJobFailed, submitted: JobHandle | None
) -> JobHandle | None:
    """
    Return the handle of the failed job, with what the wait has captured, if it is to be resumed; else None.

    :param submitted: the handle of the job when it was submitted.
    """
    plan: WaitPlan = task.build_plan(STATUS)
    if plan.repair is None or error.job is None or isinstance(error, AsyncApiUnknownStatus):
        return None
    has_rules = plan.rerun is not None and plan.rerun.repair_on is not None
    if has_rules and error.rerun != Rerun.REPAIR:
        return None
    ti: Any = context["ti"]
    for stored in (ti.xcom_pull(task_ids=ti.task_id, key=JOB_KEY, map_indexes=ti.map_index), submitted):
        try:
            handle = JobHandle.parse(stored)
        except AsyncApiError:
            continue
        if handle.identifier == error.job:
            return handle
    return None
