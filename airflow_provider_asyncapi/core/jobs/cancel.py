"""Stop a remote job that nobody waits for any more, and find out what became of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_asyncapi.core.connection.settings import Api
from airflow_provider_asyncapi.core.effects import Flow, Log, Sleep
from airflow_provider_asyncapi.core.errors import AsyncApiError, JobNotFoundError
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.json_values import as_text
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.requests.perform import perform
from airflow_provider_asyncapi.core.requests.schedule import PollSchedule
from airflow_provider_asyncapi.core.requests.step import Step
from airflow_provider_asyncapi.core.time_limit import within

#: Whoever cancels is about to end: a few quick tries, and no more.
_PATIENCE = PollSchedule(interval=0.5, max_errors=3, longest_pause=5.0)
#: Seconds that they may take together.
_LONGEST_CANCEL = 30.0
#: Seconds before each poll that tells what became of the job. Airflow kills a task some five seconds after it has told
#: it to end.
_PAUSES = (0.5, 1.5, 2.0)
#: Seconds after which no further poll is made, however long each has taken.
_LONGEST_LOOK = 10.0


@dataclass(frozen=True, slots=True)
class Cancellation:
    """
    What came of an attempt to cancel a job.

    :param is_accepted: whether the API took the request; that alone doesn't end a job.
    :param summary: what the API said, for people.
    """

    is_accepted: bool
    summary: str


def cancel(
    api: Api, step: Step, handle: JobHandle, reason: str, look: Callable[[JobHandle], Flow[JobHandle]] | None = None
) -> Flow[Cancellation]:
    """
    Ask the API to stop a job, and poll to see whether it has; the outcome is logged, and no error leaves.

    :param step: the cancel request; any answer that it doesn't take for a failure is an agreement.
    :param reason: why, for the log.
    :param look: asks for the job's status once; None if nothing can be asked.
    """
    if handle.outcome.is_final:
        return Cancellation(is_accepted=False, summary="the job was over already")
    job = f"Job {api.redact(str(handle.identifier))}"
    scope = api.variables(handle.scope())
    try:
        base = handle.urls.get("submit")
        flow = perform(api, step, scope, _PATIENCE, base=base, repeatable=True, redirect_accepts=True)
        yield from within(flow, api.clock() + _LONGEST_CANCEL)
    except AsyncApiError as error:
        yield Log(logging.WARNING, f"{job} could not be cancelled ({reason}) and may go on: {error}")
        return Cancellation(is_accepted=False, summary=f"the cancel failed, so it may go on: {error}")
    if look is None:
        yield Log(logging.INFO, f"{job}: the API has accepted the cancel ({reason})")
        return Cancellation(is_accepted=True, summary="the API has accepted the cancel")
    level, became = yield from _look_after(api, handle, look)
    yield Log(level, f"{job}: the API has accepted the cancel ({reason}), {became}")
    return Cancellation(is_accepted=True, summary=f"the API has accepted the cancel, {became}")


def _look_after(api: Api, handle: JobHandle, look: Callable[[JobHandle], Flow[JobHandle]]) -> Flow[tuple[int, str]]:
    """Poll until the job is over, or the time is; return how bad that is, and what became of the job."""
    began, became = api.clock(), (logging.WARNING, "")
    for pause in _PAUSES:
        yield Sleep(pause)
        try:
            found = yield from look(handle)
        except JobNotFoundError:
            return logging.INFO, "and knows the job no more"
        except AsyncApiError as error:
            became = logging.WARNING, f"but what became of the job can't be told, so it may go on: {error}"
        else:
            status = "no status" if found.status is None else f"status {api.redact(as_text(found.status))!r}"
            if found.outcome in (Outcome.SUCCESS, Outcome.NO_DATA):
                return logging.INFO, f"but the job was over before: it has {status}"
            if found.outcome.is_final or found.status != handle.status:
                became = logging.INFO, f"and the job has {status} now"
            else:
                became = logging.WARNING, f"but the job still has {status}, {api.clock() - began:.0f} s later"
            if found.outcome.is_final:
                break
        if api.clock() - began > _LONGEST_LOOK:
            break
    return became
