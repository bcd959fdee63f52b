"""Submit the job of a task once, however often the task is tried."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, redact

from airflow_provider_asyncapi.core.errors import AsyncApiError, ConfigurationError
from airflow_provider_asyncapi.core.outcome import CALLBACK_URL
from airflow_provider_asyncapi.core.submit.flow import submit
from airflow_provider_asyncapi.core.wait.summaries import PollSummary, summarize_submit
from airflow_provider_asyncapi.exceptions import to_airflow
from airflow_provider_asyncapi.monitoring.xcoms import ATTEMPTS_KEY, POLL_KEY, WAIT_KEY, push_for_users, task_ids
from airflow_provider_asyncapi.tasks import lazy
from airflow_provider_asyncapi.tasks.stages import STATUS, SUBMIT
from airflow_provider_asyncapi.tasks.submission_state import SubmissionState

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_asyncapi.core.jobs.handle import JobHandle
    from airflow_provider_asyncapi.core.plans import SubmitPlan
    from airflow_provider_asyncapi.tasks.base import JobTask


def submit_first_job(task: JobTask, context: Context, *, push: bool = True) -> JobHandle:
    """Submit the job of a task as :func:`submit_job` does; show users a submit that has failed."""
    began = time.time()
    try:
        return submit_job(task, context, push=push)
    except AirflowException as error:
        failed = summarize_submit(task.asyncapi_conn_id, context["ti"].id, began)
        push_for_users(context, WAIT_KEY, failed)
        push_for_users(context, POLL_KEY, PollSummary.ending(time.time(), str(redact(str(error)))).dump())
        raise


def submit_job(task: JobTask, context: Context, first: JobHandle | None = None, *, push: bool = True) -> JobHandle:
    """
    Submit the job of a task unless an earlier try has submitted it.

    :param task: a task that works on the stage ``submit``.
    :param first: a job that another task has submitted, and that this one follows after its failure.
    :param push: whether to push the job handle.
    :return: the job handle; if the submit has made several jobs, the handle that :meth:`~.JobHandle.split` splits.
    """
    plan: SubmitPlan = task.build_plan(SUBMIT)
    reference = lazy.make_reference(context) if plan.callback else None
    digest = reference.digest if reference else None
    state = SubmissionState(context, task.hook, digest, task.profile_version(), first)
    try:
        variables = {CALLBACK_URL: lazy.make_callback_url(reference, task.hook.api)} if reference else {}
        earlier = state.load_earlier(plan, has_resubmits=task.may_resubmit)
        if earlier is not None and earlier.attempts and earlier.generation == state.new.generation:
            # Airflow deletes the XCom of an earlier try.
            push_for_users(context, ATTEMPTS_KEY, [dict(each) for each in earlier.attempts])
        if earlier is not None and (delay := earlier.seconds_until_due(state.new.generation, time.time())):
            lazy.wait_until_due(task, delay)
        # The next job keeps the slot of the first one.
        if first is None and (limit := task.hook.api.settings.max_active_jobs):
            if plan.has_several_jobs:
                raise ConfigurationError(
                    "identifiers: max_active_jobs of the connection counts one job for each submit"
                )
            lazy.get_slot(task, context, limit, is_active=bool(earlier and earlier.may_have_job(state.new.generation)))
        api, earlier_trace = task.hook.api, state.find_trace(earlier)
        ti: Any = context["ti"]
        is_followed = ti.try_number <= ti.max_tries
        with lazy.trace_stage("submit", task.asyncapi_conn_id, earlier_trace, may_be_retried=is_followed) as trace:
            new = dataclasses.replace(state.new, trace=trace.job_trace)
            if earlier is not None and earlier.repairs is not None:
                flow = lazy.repair_or_submit(api, plan, task.build_plan(STATUS).repair, new, earlier)
            else:
                flow = submit(api, plan, new, earlier, variables)
            handle = trace.join(task.hook.run(trace.propagate(api, flow), observe=state.observe))
    except AsyncApiError as error:
        raise to_airflow(error) from error
    handle = dataclasses.replace(handle, task=task_ids(context["ti"]))
    if first is not None:
        handle = dataclasses.replace(handle, slot_of=first.slot_of or first.task)
    if push and not plan.has_several_jobs:
        task.push_handle(context, handle)
    if reference:
        lazy.register_job(context, task.asyncapi_conn_id, handle)
        state.publish_callbacks()
    return handle
