"""Stop a remote job that nobody waits for any more."""

from __future__ import annotations

import logging

from airflow_provider_asyncapi.core.effects import Flow, Log
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.flows.limits import within
from airflow_provider_asyncapi.core.flows.perform import perform
from airflow_provider_asyncapi.core.handle import JobHandle
from airflow_provider_asyncapi.core.plans.step import Step
from airflow_provider_asyncapi.core.schedule import PollSchedule
from airflow_provider_asyncapi.core.settings import Api

#: Whoever cancels is about to end: a few quick tries, and no more.
_PATIENCE = PollSchedule(interval=0.5, max_errors=3, longest_pause=5.0)
#: Seconds that these may take together.
LONGEST_CANCEL = 30.0


def cancel(api: Api, step: Step, handle: JobHandle, reason: str) -> Flow[bool]:
    """
    Ask the API to stop a job; the outcome is logged, and no error leaves.

    :param step: the cancel request; any answer that it doesn't take for a failure is an agreement.
    :param reason: why, for the log.
    :return: whether the API agreed.
    """
    if handle.outcome.is_final:
        return False
    job = f"Job {api.redact(str(handle.identifier))}"
    scope = api.variables(handle.scope())
    try:
        base = handle.urls.get("submit")
        flow = perform(api, step, scope, _PATIENCE, base=base, repeatable=True, redirect_accepts=True)
        yield from within(flow, api.clock() + LONGEST_CANCEL)
    except AsyncApiError as error:
        yield Log(logging.WARNING, f"{job} could not be cancelled ({reason}) and may go on: {error}")
        return False
    yield Log(logging.INFO, f"{job} was cancelled ({reason})")
    return True
