"""Stop a remote job that nobody waits for any more."""

from __future__ import annotations

import logging

from airflow_provider_asyncapi.core.effects import Flow, Log
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.flows.exchange import persist
from airflow_provider_asyncapi.core.flows.submit import Step
from airflow_provider_asyncapi.core.handle import JobHandle
from airflow_provider_asyncapi.core.problems import error_message
from airflow_provider_asyncapi.core.schedule import PollSchedule
from airflow_provider_asyncapi.core.settings import Api

#: Whoever cancels is about to end: a few quick tries, and no more.
_PATIENCE = PollSchedule(interval=0.5, max_errors=3)


def cancel(api: Api, step: Step, handle: JobHandle, reason: str) -> Flow[bool]:
    """
    Ask the API to stop a job; the outcome is logged, and no error leaves.

    :param step: the cancel request.
    :param reason: why, for the log.
    :return: whether the API agreed.
    """
    if handle.outcome.is_final:
        return False
    try:
        request = step.request.render(
            {**api.scope, **handle.scope()}, api.settings.base_url, reference_base=handle.urls.get("submit")
        )
        response = yield from persist(api, request, _PATIENCE)
        if response.ok:
            yield Log(logging.INFO, f"Cancelled job {handle.identifier} ({reason})")
            return True
        problem = f"{request} answered {response.status}: {api.redact(error_message(response, None, {}) or '')}"
    except AsyncApiError as error:
        problem = str(error)
    yield Log(logging.WARNING, f"Job {handle.identifier} could not be cancelled ({reason}) and may go on: {problem}")
    return False
