"""Wait for a job that calls back, and poll it too if the plan has a status request."""

from __future__ import annotations

import dataclasses
import logging
import math

from airflow_provider_asyncapi.core.callbacks.identity import find_other_job
from airflow_provider_asyncapi.core.callbacks.settings import CALLBACK_REQUEST, CallbackMode
from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import FetchCallbacks, Flow, Log, Polled, Sleep
from airflow_provider_asyncapi.core.errors import AsyncApiError, ContentError, DeadlineExceededError
from airflow_provider_asyncapi.core.flow_steps import FlowSteps
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.status.policy import Verdict
from airflow_provider_asyncapi.core.text import shorten
from airflow_provider_asyncapi.core.time_limit import limit_time
from airflow_provider_asyncapi.core.wait.cancel_flow import cancel_job
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.details_flow import PollResult, confirm_success
from airflow_provider_asyncapi.core.wait.ending import build_stall_error, finish_wait
from airflow_provider_asyncapi.core.wait.flow import wait
from airflow_provider_asyncapi.core.wait.handle_updates import update_handle
from airflow_provider_asyncapi.core.wait.job_descriptions import describe_job, warn_unknown_status
from airflow_provider_asyncapi.core.wait.overdue import is_stalled, next_check, warn_if_late
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from airflow_provider_asyncapi.core.wait.poll_times import cap_at_deadline, latest_response_time
from airflow_provider_asyncapi.core.wait.unchanged_polls import perform_each_poll

#: Verdict on a callback if the plan has neither a status selector nor rules.
_CALLED_BACK = Verdict(Outcome.SUCCESS, "called back")


def wait_with_callbacks(api: Api, plan: WaitPlan, state: WaitCheckpoint, *, spread: bool = False) -> Flow[JobHandle]:
    """
    Wait until a callback or a poll ends the wait.

    Callbacks are fetched before the first poll and after each sleep.

    :param spread: as for :func:`~.flow.wait`, which raises the same errors.
    """
    try:
        calls = yield FetchCallbacks(state.callbacks_seen)
        while not state.handle.outcome.is_final:
            for call in calls or ():
                state = yield from _process_callback(api, plan, state, call)
                if state.handle.outcome.is_final:
                    return state.handle
            has_polls = plan.has_status_request
            flow = wait(api, plan, state, spread=spread) if has_polls else _wait_without_polls(api, plan, state)
            with FlowSteps(perform_each_poll(flow)) as steps:
                for effect in steps:
                    if isinstance(effect, Polled):
                        state = state.after_poll(effect)
                    yield from steps.forward(effect)
                    is_pause = isinstance(effect, Sleep) and effect.is_deferrable
                    if is_pause and (calls := (yield FetchCallbacks(state.callbacks_seen))):
                        break
                else:
                    yield Log(logging.INFO, "A poll has ended the wait, no callback")
                    return steps.result
    except AsyncApiError as error:
        error.set_job(state.handle.identifier, state.handle.status)
        raise
    return state.handle


def _process_callback(api: Api, plan: WaitPlan, state: WaitCheckpoint, call: Response) -> Flow[WaitCheckpoint]:
    """Classify a callback as a poll is classified, or poll at once if the callback is only a hint."""
    number, handle = state.callbacks_seen, state.handle
    state = dataclasses.replace(state, callbacks_seen=number + 1)
    scope = api.merge_variables(handle.scope())
    if (other := find_other_job(api.settings.callback, handle, call, scope)) is not None:
        yield Log(
            logging.WARNING,
            f"A callback is about job {api.redact(shorten(other, 80))}, not about job"
            f" {api.redact(str(handle.identifier))}, and is ignored; if that isn't the identifier of a job, set"
            " callback.identifier of the connection to the selector of the identifier (false if there is none)",
        )
        return state
    if plan.callback is CallbackMode.HINT:
        yield Log(logging.INFO, f"{describe_job(api, handle)} and has called back: polling its status")
        return dataclasses.replace(state, next_poll=api.clock())
    try:
        verdict = _CALLED_BACK if plan.policy.is_empty else plan.policy.classify(call, scope)
    except ContentError as error:
        identifier = api.redact(str(handle.identifier))
        yield Log(logging.WARNING, f"A callback of job {identifier} can't be read, and is ignored: {error}")
        return state
    result = PollResult(plan, update_handle(handle, plan, verdict, call, scope), CALLBACK_REQUEST, call, verdict)
    if plan.status_details is not None and verdict.outcome is Outcome.SUCCESS:
        confirming = confirm_success(api, plan.status_details, result, handle)
        result = yield from limit_time(confirming, latest_response_time(api, state))
    handle, request, response, found = result.handle, result.request, result.response, result.verdict
    if isinstance(found, AsyncApiError) or response is None:
        if isinstance(found, AsyncApiError) and not plan.has_status_request:
            raise found
        yield Log(logging.WARNING, f"{found}; polling the status instead")
        return dataclasses.replace(state, handle=handle, next_poll=api.clock())
    yield from warn_unknown_status(api, result.plan, request, response, found)
    if found.outcome.is_final:
        handle = dataclasses.replace(handle, call=number)
        yield Polled(handle, state.polls, 0, changed=True, at=api.clock(), by_callback=True)
        yield Log(logging.INFO, f"{describe_job(api, handle)}: its callback has ended the wait")
        handle = yield from finish_wait(api, result.plan, handle, found, request, response)
        return dataclasses.replace(state, handle=handle)
    yield Log(logging.INFO, f"{describe_job(api, handle)}, according to a callback; waiting on")
    pause = None if state.next_poll is None else max(0.0, state.next_poll - api.clock())
    polled = Polled(handle, state.polls, state.errors, changed=True, at=api.clock(), pause=pause, by_callback=True)
    yield polled
    return dataclasses.replace(state.after_check(polled), handle=handle)


def _wait_without_polls(api: Api, plan: WaitPlan, state: WaitCheckpoint) -> Flow[JobHandle]:
    """
    Wait for callbacks only, since the plan has no status request.

    :raises DeadlineExceededError: at the deadline; the job has been cancelled if the plan has a cancel request.
    :raises JobStalledError: if no callback has reported a change for too long; the job has been cancelled, too.
    """
    handle = state.handle
    while (now := api.clock()) < (math.inf if state.deadline is None else state.deadline):
        unchanged = Polled(handle, state.polls, 0, changed=False, at=now, by_callback=True)
        polled = yield from warn_if_late(api, plan, state, unchanged)
        if polled.warned:
            yield polled
            state = state.after_check(polled)
        if is_stalled(plan, state, now):
            raise (yield from build_stall_error(api, plan, handle, state, state.polls))
        check_at = next_check(plan, state)
        pause = plan.schedule.interval if check_at is None else min(plan.schedule.interval, check_at - now)
        yield Sleep(cap_at_deadline(pause, state, now))
    waited, result = api.clock() - state.started_at, ""
    if plan.cancel is not None:
        cancellation = yield from cancel_job(api, plan, state.handle, "it hasn't called back in time")
        result = f"; {cancellation.summary}"
    raise DeadlineExceededError(
        f"{describe_job(api, state.handle)} and hasn't called back by the deadline, after {waited:.0f} s{result}"
    )
