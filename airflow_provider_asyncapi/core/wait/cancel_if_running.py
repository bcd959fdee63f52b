"""Cancel a job unless it is over already."""

from __future__ import annotations

import logging

from airflow_provider_asyncapi.core.connection.settings import Api
from airflow_provider_asyncapi.core.effects import Flow, Log
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.wait.flow import cancel_job, poll_without_waiting
from airflow_provider_asyncapi.core.wait.plan import WaitPlan


def cancel_if_running(api: Api, plan: WaitPlan, handle: JobHandle, reason: str) -> Flow[bool]:
    """
    Cancel a job that nobody waits for any more, if the plan has a cancel request.

    The job is polled before that, since the request that cancels a running job may delete the result of a finished one.

    :param reason: the reason, for the log.
    :return: whether the API has accepted the cancel request.
    """
    if plan.cancel is None:
        return False
    if plan.polls and not handle.outcome.is_final:
        try:
            handle = yield from poll_without_waiting(api, plan, handle)
        except AsyncApiError:
            # It may still run, so it is cancelled.
            pass
        else:
            if handle.outcome.is_final:
                job = f"Job {api.redact(str(handle.identifier))}"
                yield Log(logging.INFO, f"{job} is over, so it isn't cancelled ({reason})")
                return False
    return (yield from cancel_job(api, plan, handle, reason)).is_accepted
