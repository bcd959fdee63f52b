"""Cancel a job that nobody waits for any more."""

from __future__ import annotations

import logging
from functools import partial

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, Log
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.jobs.cancel import Cancellation, cancel
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.json_values import as_text
from airflow_provider_asyncapi.core.wait.deferral import disallow_deferral
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from airflow_provider_asyncapi.core.wait.poll_flow import poll_without_waiting


def cancel_job(
    api: Api, plan: WaitPlan, handle: JobHandle, reason: str, *, may_poll: bool = True
) -> Flow[Cancellation]:
    """
    Cancel a job, and poll it afterwards if the plan has a status request.

    :param may_poll: whether the job may be polled; False if its response takes too long to read.
    """
    assert plan.cancel is not None, "only called if the plan has a cancel request"  # noqa: S101 - for the type checker
    poll = partial(poll_without_waiting, api, plan) if plan.has_status_request and may_poll else None
    return (yield from disallow_deferral(cancel(api, plan.cancel, handle, reason, poll)))


def cancel_if_running(api: Api, plan: WaitPlan, handle: JobHandle, reason: str) -> Flow[Cancellation]:
    """
    Cancel a job that nobody waits for any more, if the plan has a cancel request.

    The job is polled before that, since the request that cancels a running job may delete the result of a finished one.

    :param reason: the reason, for the log.
    :return: the result; not accepted if no request was sent.
    """
    if plan.cancel is None:
        summary = "there is no cancel request, so it may still be running"
        return Cancellation(is_accepted=False, summary=summary, handle=handle)
    if plan.has_status_request and not handle.outcome.is_final:
        try:
            handle = yield from poll_without_waiting(api, plan, handle)
        except AsyncApiError:
            # It may still run, so it is cancelled.
            pass
        else:
            if handle.outcome.is_final:
                job = f"Job {api.redact(str(handle.identifier))}"
                yield Log(logging.INFO, f"{job} is over, so it isn't cancelled ({reason})")
                status = api.redact(as_text(handle.status))
                summary = f"the job was over already, with status {status!r}"
                return Cancellation(is_accepted=False, summary=summary, handle=handle)
    return (yield from cancel_job(api, plan, handle, reason))
