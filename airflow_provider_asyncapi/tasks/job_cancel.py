"""Cancel the remote job of a task on a worker: for a user who asks for it, or because the task is killed."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.wait.cancel_flow import cancel_if_running
from airflow_provider_asyncapi.exceptions import AsyncApiCancelled
from airflow_provider_asyncapi.monitoring.tracing import trace_stage
from airflow_provider_asyncapi.monitoring.xcoms import JOB_KEY, push_for_users
from airflow_provider_asyncapi.tasks.job_history import record_cancel
from airflow_provider_asyncapi.tasks.stages import STATUS
from airflow_provider_asyncapi.transports.requests import RequestsDriver
from airflow_provider_asyncapi.triggers.cancel_reasons import reason_to_cancel_on_worker
from airflow_provider_asyncapi.triggers.kill_history import record_kill_on_worker

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_asyncapi.core.jobs.handle import JobHandle
    from airflow_provider_asyncapi.core.plans import WaitPlan
    from airflow_provider_asyncapi.tasks.wait_options import PollingTask


def cancel_for_user(task: PollingTask, context: Context, request: str, handle: JobHandle) -> AsyncApiCancelled:
    """
    Cancel the job of a task for a user; return the exception that fails the task.

    :param request: the message that names the user.
    """
    try:
        plan: WaitPlan = task.build_plan(STATUS)
        hook = task.hook
        with trace_stage("wait", task.asyncapi_conn_id, handle.trace) as trace:
            flow = cancel_if_running(hook.api, plan, handle, request)
            cancellation = hook.run(trace.propagate(hook.api, flow))
            result, handle = cancellation.summary, cancellation.handle
            if cancellation.is_accepted:
                handle = trace.join(dataclasses.replace(handle, outcome=Outcome.FAILURE))
        if cancellation.is_accepted:
            # Airflow tells the trigger that its task was resumed, after which it would cancel the job once more if the
            # API still reports that the job runs.
            push_for_users(context, JOB_KEY, handle.dump())
    except (AsyncApiError, AirflowException) as error:
        # After some of these exceptions, Airflow would retry the task, which would wait for the job again.
        result = f"the job may still be running: {error}"
    cancelled = AsyncApiCancelled(f"{request}: {result}")
    record_cancel(context, str(cancelled), handle)
    cancelled.job, cancelled.status = handle.identifier, handle.status
    return cancelled


def cancel_killed_job(task: PollingTask, ti: Any, plan: WaitPlan, handle: JobHandle) -> None:
    """
    Cancel the job of a task that is killed while it waits on a worker, unless a task still needs the job.

    Airflow also kills a task whose heartbeats it has missed, and when a worker is stopped; then the next try continues
    the wait.

    :param ti: the task instance.
    :param handle: the job as it was seen last.
    """
    if (reason := reason_to_cancel_on_worker(ti, handle)) is None:
        return
    hook = task.hook
    # The signal may have interrupted a request, so the hook's locks and connections can't be used.
    cancelling = cancel_if_running(hook.api, plan, handle, reason)
    cancellation = RequestsDriver(hook.api).run(cancelling, observe=hook.log_events)
    record_kill_on_worker(ti, reason, cancellation)
