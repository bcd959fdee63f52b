"""Wait for a job that calls back; beside that, poll it where there is a request for its status."""

from __future__ import annotations

import dataclasses
import logging

from airflow_provider_asyncapi.core.callbacks.calls import CALL, Callback
from airflow_provider_asyncapi.core.callbacks.identity import find_other_job
from airflow_provider_asyncapi.core.connection.settings import Api
from airflow_provider_asyncapi.core.effects import FetchCallbacks, Flow, Log, Polled, Sleep
from airflow_provider_asyncapi.core.errors import AsyncApiError, ContentError, DeadlineError
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.json_values import shorten
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.status.policy import Verdict
from airflow_provider_asyncapi.core.steps import Steps
from airflow_provider_asyncapi.core.time_limit import within
from airflow_provider_asyncapi.core.wait.details_flow import Answered, confirm_success
from airflow_provider_asyncapi.core.wait.flow import (
    described,
    doubt,
    ended,
    latest_answer,
    stop,
    until_deadline,
    updated,
    wait,
)
from airflow_provider_asyncapi.core.wait.plan import Wait, WaitPlan

#: What a callback means where nothing says what it does.
_CALLED = Verdict(Outcome.SUCCESS, "called back")


def wait_or_hear(api: Api, plan: WaitPlan, state: Wait, *, spread: bool = False) -> Flow[JobHandle]:
    """
    Wait until a callback or a poll says that the job is over.

    Whether there was a call is asked before the first poll and after each pause.

    :param spread: as for :func:`~.flow.wait`, which raises what this does.
    """
    try:
        calls = yield FetchCallbacks(state.callbacks_seen)
        while not state.handle.outcome.is_final:
            for call in calls or ():
                state = yield from _heard(api, plan, state, call)
                if state.handle.outcome.is_final:
                    return state.handle
            flow = wait(api, plan, state, spread=spread) if plan.polls else _silence(api, plan, state)
            with Steps(flow) as steps:
                for effect in steps:
                    if isinstance(effect, Polled):
                        state = dataclasses.replace(
                            state, handle=effect.handle, polls=effect.polls, errors=effect.errors, next_poll=None
                        )
                    try:
                        steps.reply = yield effect
                    except AsyncApiError as error:
                        steps.error = error
                    is_pause = isinstance(effect, Sleep) and effect.is_deferrable
                    if is_pause and (calls := (yield FetchCallbacks(state.callbacks_seen))):
                        break
                else:
                    yield Log(logging.INFO, "A poll has ended the wait, no callback")
                    return steps.result
    except AsyncApiError as error:
        error.with_job(state.handle.identifier, state.handle.status)
        raise
    return state.handle


def _heard(api: Api, plan: WaitPlan, state: Wait, call: Response) -> Flow[Wait]:
    """Judge a callback as a poll is judged, or take it for a hint to poll at once."""
    number, handle = state.callbacks_seen, state.handle
    state = dataclasses.replace(state, callbacks_seen=number + 1)
    scope = api.variables(handle.scope())
    if (other := find_other_job(api.settings.callback, handle, call, scope)) is not None:
        yield Log(
            logging.WARNING,
            f"A callback is about job {api.redact(shorten(other, 80))}, not about job"
            f" {api.redact(str(handle.identifier))}, and is passed over; if that is no job's identifier,"
            " callback.identifier of the connection says where callbacks name their job (false: nowhere)",
        )
        return state
    if plan.callback is Callback.HINT:
        yield Log(logging.INFO, f"{described(api, handle)} and has called back: asking for its status")
        return dataclasses.replace(state, next_poll=api.clock())
    try:
        verdict = _CALLED if plan.policy.is_empty else plan.policy.judge(call, scope)
    except ContentError as error:
        yield Log(logging.WARNING, f"A callback of job {handle.identifier} can't be read, and is passed over: {error}")
        return state
    answered = Answered(plan, updated(handle, plan, verdict, call, scope), CALL, call, verdict)
    if plan.status_details is not None and verdict.outcome is Outcome.SUCCESS:
        confirming = confirm_success(api, plan.status_details, answered, handle)
        answered = yield from within(confirming, latest_answer(api, state))
    handle, request, response, found = answered.handle, answered.request, answered.response, answered.found
    if isinstance(found, AsyncApiError) or response is None:
        if isinstance(found, AsyncApiError) and not plan.polls:
            raise found
        yield Log(logging.WARNING, f"{found}; asking for the status instead")
        return dataclasses.replace(state, handle=handle, next_poll=api.clock())
    yield from doubt(api, answered.plan, request, response, found)
    if found.outcome.is_final:
        handle = dataclasses.replace(handle, call=number)
        yield Polled(handle, state.polls, 0, changed=True, at=api.clock(), by_callback=True)
        yield Log(logging.INFO, f"{described(api, handle)}: its callback has ended the wait")
        handle = yield from ended(api, answered.plan, handle, found, request, response)
        return dataclasses.replace(state, handle=handle)
    yield Log(logging.INFO, f"{described(api, handle)}, says a callback; waiting on")
    pause = None if state.next_poll is None else state.next_poll - api.clock()
    yield Polled(handle, state.polls, state.errors, changed=True, at=api.clock(), pause=pause, by_callback=True)
    return dataclasses.replace(state, handle=handle)


def _silence(api: Api, plan: WaitPlan, state: Wait) -> Flow[JobHandle]:
    """
    Wait where there is nothing to ask.

    :raises DeadlineError: once the time is over; the job has been cancelled then, if there is a request for that.
    """
    while state.deadline is None or api.clock() < state.deadline:
        yield Sleep(until_deadline(plan.schedule.interval, state, api.clock()))
    waited, became = api.clock() - state.started_at, ""
    if plan.cancel is not None:
        cancellation = yield from stop(api, plan, state.handle, "it hasn't called back in time")
        became = f"; {cancellation.summary}"
    raise DeadlineError(
        f"{described(api, state.handle)} and hasn't called back by the deadline, after {waited:.0f} s{became}"
    )
