"""Cancel a remote job, and poll its status afterwards."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, Log, Sleep
from airflow_provider_asyncapi.core.errors import AsyncApiError, JobNotFoundError
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.json_values import as_text
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.requests.request_step import RequestStep
from airflow_provider_asyncapi.core.requests.response_policy import ResponsePolicy
from airflow_provider_asyncapi.core.requests.schedule import PollSchedule
from airflow_provider_asyncapi.core.requests.step_flow import send_step
from airflow_provider_asyncapi.core.time_limit import limit_time

#: The process that cancels is about to end, so there are only a few quick retries.
_RETRY_SCHEDULE = PollSchedule(interval=0.5, max_errors=3, max_retry_delay=5.0)
_POLICY = ResponsePolicy(redirect_accepts=True)
#: Time limit for these retries together, in seconds.
_CANCEL_TIMEOUT = 30.0
#: Seconds before each poll after the cancel. Airflow kills a task about five seconds after it has told the task to end.
_PAUSES = (0.5, 1.5, 2.0)
#: Seconds after which no further poll is made, even if each poll took long.
_POLL_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Cancellation:
    """
    The result of a cancel request.

    :param is_accepted: whether the API has accepted the request, which doesn't mean that the job has ended.
    :param summary: the result in words, for messages.
    :param handle: the job as it was seen last.
    """

    is_accepted: bool
    summary: str
    handle: JobHandle


def cancel(
    api: Api,
    step: RequestStep,
    handle: JobHandle,
    reason: str,
    poll: Callable[[JobHandle], Flow[JobHandle]] | None = None,
) -> Flow[Cancellation]:
    """
    Send the cancel request, and poll the job afterwards; the result is logged, and errors aren't raised.

    :param step: the cancel request; any response that isn't a failure by its rules means that it is accepted.
    :param reason: the reason, for the log.
    :param poll: a flow that polls the job once; None if there is no status request.
    """
    if handle.outcome.is_final:
        return Cancellation(is_accepted=False, summary="the job was over already", handle=handle)
    job = f"Job {api.redact(str(handle.identifier))}"
    scope = api.merge_variables(handle.scope())
    try:
        base = handle.urls.get("submit")
        flow = send_step(api, step, scope, _RETRY_SCHEDULE, _POLICY, base=base)
        yield from limit_time(flow, api.clock() + _CANCEL_TIMEOUT)
    except AsyncApiError as error:
        yield Log(logging.WARNING, f"{job} could not be cancelled ({reason}) and may still be running: {error}")
        summary = f"the cancel failed, so it may still be running: {error}"
        return Cancellation(is_accepted=False, summary=summary, handle=handle)
    if poll is None:
        yield Log(logging.INFO, f"{job}: the API has accepted the cancel ({reason})")
        return Cancellation(is_accepted=True, summary="the API has accepted the cancel", handle=handle)
    level, result, handle = yield from _poll_after_cancel(api, handle, poll)
    yield Log(level, f"{job}: the API has accepted the cancel ({reason}), {result}")
    return Cancellation(is_accepted=True, summary=f"the API has accepted the cancel, {result}", handle=handle)


def _poll_after_cancel(
    api: Api, handle: JobHandle, poll: Callable[[JobHandle], Flow[JobHandle]]
) -> Flow[tuple[int, str, JobHandle]]:
    """Poll until the job is over, or time is up; return a log level, the result in words, and the job."""
    began, result = api.clock(), (logging.WARNING, "", handle)
    for pause in _PAUSES:
        yield Sleep(pause)
        try:
            found = yield from poll(handle)
        except JobNotFoundError:
            return logging.INFO, "and no longer knows the job", handle
        except AsyncApiError as error:
            result = logging.WARNING, f"but the job's status is unknown, so it may still be running: {error}", handle
        else:
            status = "no status" if found.status is None else f"status {api.redact(as_text(found.status))!r}"
            if found.outcome in (Outcome.SUCCESS, Outcome.NO_DATA):
                return logging.INFO, f"but the job was already over: it has {status}", found
            if found.outcome.is_final or found.status != handle.status:
                result = logging.INFO, f"and the job has {status} now", found
            else:
                result = logging.WARNING, f"but the job still has {status}, {api.clock() - began:.0f} s later", found
            if found.outcome.is_final:
                break
        if api.clock() - began > _POLL_TIMEOUT:
            break
    return result
