"""Submit the job of a task once, however often the task is tried."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.errors import AsyncApiError, ConfigurationError
from airflow_provider_asyncapi.core.outcome import CALLBACK_URL
from airflow_provider_asyncapi.core.submit.flow import submit
from airflow_provider_asyncapi.core.submit.repair import repair_or_submit
from airflow_provider_asyncapi.exceptions import to_airflow
from airflow_provider_asyncapi.monitoring.xcoms import ATTEMPTS_KEY, push_for_users, task_ids
from airflow_provider_asyncapi.tasks import lazy
from airflow_provider_asyncapi.tasks.stages import STATUS, SUBMIT
from airflow_provider_asyncapi.tasks.submission_state import SubmissionState

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_asyncapi.core.jobs.handle import JobHandle
    from airflow_provider_asyncapi.core.plans import SubmitPlan
    from airflow_provider_asyncapi.tasks.base import JobTask


def submit_job(task: JobTask, context: Context, first: JobHandle | None = None) -> JobHandle:
    """
    Submit the job of a task unless an earlier try has submitted it, and push the job handle.

    :param task: a task that works on the stage ``submit``.
    :param first: a job that another task has submitted, and that this one follows after its failure.
    :return: the job handle; if the submit has made several jobs, the handle that :meth:`~.JobHandle.split` splits.
    """
    plan: SubmitPlan = task.build_plan(SUBMIT)
    reference = lazy.make_reference(context) if plan.callback else None
    state = SubmissionState(context, task.hook, reference.digest if reference else None)
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
        if earlier is not None and earlier.repairs is not None:
            flow = repair_or_submit(task.hook.api, plan, task.build_plan(STATUS).repair, state.new, earlier)
        else:
            flow = submit(task.hook.api, plan, state.new, earlier, variables)
        handle = task.hook.run(flow, observe=state.observe)
    except AsyncApiError as error:
        raise to_airflow(error) from error
    handle = dataclasses.replace(handle, task=task_ids(context["ti"]))
    if first is not None:
        handle = dataclasses.replace(handle, slot_of=first.slot_of or first.task)
    if not plan.has_several_jobs:
        task.push_handle(context, handle)
    if reference:
        lazy.register_job(context, task.asyncapi_conn_id, handle)
        state.publish_callbacks()
    return handle
