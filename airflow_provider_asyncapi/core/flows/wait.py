"""Wait for a job: poll, judge, sleep, until it is over or the time is."""

from __future__ import annotations

import dataclasses
import logging

from airflow_provider_asyncapi.core.effects import Flow, Log, Polled, Sleep
from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
    ContentError,
    DeadlineError,
    JobFailedError,
    MissingValueError,
    TransportError,
)
from airflow_provider_asyncapi.core.flows.cancel import cancel
from airflow_provider_asyncapi.core.flows.exchange import (
    Patience,
    is_transient,
    rejection,
    said_in,
    send,
    speaks_of_status,
    transient,
    unusable,
)
from airflow_provider_asyncapi.core.flows.perform import captured
from airflow_provider_asyncapi.core.handle import JobHandle
from airflow_provider_asyncapi.core.messages import Request, Response
from airflow_provider_asyncapi.core.names import RESULT_IDENTIFIER, Outcome
from airflow_provider_asyncapi.core.plans.wait import Wait, WaitPlan
from airflow_provider_asyncapi.core.redaction import shown_url
from airflow_provider_asyncapi.core.schedule import SHORTEST_WAIT, retry_after
from airflow_provider_asyncapi.core.settings import Api
from airflow_provider_asyncapi.core.status import Verdict
from airflow_provider_asyncapi.core.templates import Variables
from airflow_provider_asyncapi.core.values import as_text, shorten

_NOT_FOUND = 404


def wait(api: Api, plan: WaitPlan, state: Wait) -> Flow[JobHandle]:
    """
    Poll until the job is over.

    :return: the handle, its outcome ``success`` or ``no_data``.
    :raises JobFailedError: where it failed.
    :raises DeadlineError: where it took too long; it has been cancelled then, if there is a request for that.
    :raises UnavailableError: after too many transient errors in a row.
    :raises AsyncApiError: on answers that can't be used.
    """
    handle = state.handle
    if handle.outcome is Outcome.FAILURE:
        raise JobFailedError(f"{_described(api, handle)}: it has failed already")
    if handle.outcome.is_final:
        return handle
    patience = Patience(plan.schedule, state.errors)
    polls, doubted, is_first = state.polls, set[str](), state.polls == 0
    due = state.started_at + plan.schedule.initial_delay if polls == 0 else 0.0
    delay = (state.next_poll or due) - api.clock()
    if delay > 0:
        yield Sleep(_until_deadline(delay, state, api.clock()))
    while True:
        scope = {**api.scope, **handle.scope()}
        request = plan.request.render(scope, api.settings.base_url, reference_base=handle.urls.get("submit"))
        response, found = yield from _poll(api, plan, request, scope, state.handle)
        polls += 1
        seen = (handle.status, handle.progress)
        problem = found if isinstance(found, AsyncApiError) else None
        if isinstance(found, Verdict) and response is not None:
            patience.errors = 0
            handle = _updated(handle, plan, found, response, scope)
            if found.outcome.is_final:
                yield Polled(handle, polls, 0, changed=True)
                return (yield from _ended(api, plan, handle, found, request, response))
            yield from _doubt(api, plan, request, found, doubted)
        is_new = (handle.status, handle.progress) != seen
        now = api.clock()
        if _is_last(plan, state, polls, now):
            yield Polled(handle, polls, patience.errors + (problem is not None), changed=is_new)
            raise (yield from _expired(api, plan, handle, state, polls, problem))
        if problem is not None:
            pause = _until_deadline(patience.wait(api, problem, response), state, now)
            yield Log(logging.WARNING, f"{problem}; polling again in {pause:.3g} s")
        else:
            said = retry_after(response.headers.get("retry-after"), now) if response is not None else None
            pause = _until_deadline(plan.schedule.after_poll(polls, said, api.rng), state, now)
            if is_new or is_first:
                is_first = False
                yield Log(logging.INFO, f"{_described(api, handle)}; next poll in {pause:.3g} s")
        yield Polled(handle, polls, patience.errors, changed=is_new)
        yield Sleep(pause)


def _poll(
    api: Api, plan: WaitPlan, request: Request, scope: Variables, submitted: JobHandle
) -> Flow[tuple[Response | None, Verdict | AsyncApiError]]:
    """Poll once: give the answer, and either what it means or what went wrong in passing."""

    def is_answer(response: Response) -> bool:
        return speaks_of_status(plan.policy.rules, response, scope)

    try:
        response = yield from send(api, request, stop=is_answer)
    except TransportError as error:
        return None, error
    if response.ok or is_answer(response):
        try:
            verdict = plan.policy.judge(response, scope)
        except ContentError as error:
            return response, ContentError(unusable(api, request, response, error))
        return response, transient(api, request, response) if verdict.outcome is Outcome.RETRY else verdict
    if response.status == _NOT_FOUND and _may_be_invisible(plan, submitted, api.clock()):
        return response, Verdict(Outcome.RUNNING)
    if is_transient(response.status):
        return response, transient(api, request, response)
    raise rejection(api, request, response, message=plan.error_message)


def _may_be_invisible(plan: WaitPlan, submitted: JobHandle, now: float) -> bool:
    return submitted.submitted_at is not None and now - submitted.submitted_at < plan.schedule.visible_after


def _updated(handle: JobHandle, plan: WaitPlan, verdict: Verdict, response: Response, scope: Variables) -> JobHandle:
    """Put into the handle what a poll has told."""
    if not response.ok and not verdict.outcome.is_final:
        return handle
    progress = plan.progress.fraction(response, scope) if plan.progress else None
    if verdict.outcome is Outcome.SUCCESS:
        progress = 1.0
    status = verdict.value if isinstance(verdict.value, str | int | float | bool) else None
    return dataclasses.replace(
        handle,
        outcome=verdict.outcome if verdict.outcome.is_final else Outcome.RUNNING,
        status=shorten(status, 200) if isinstance(status, str) else status,
        progress=handle.progress if progress is None else progress,
        urls={**handle.urls, "status": shown_url(response.url.partition("?")[0])},
    ).with_variables(captured(plan.captures, response, scope))


def _ended(
    api: Api, plan: WaitPlan, handle: JobHandle, verdict: Verdict, request: Request, response: Response
) -> Flow[JobHandle]:
    """Return the handle of a job that ended well; raise for one that didn't."""
    if verdict.outcome is Outcome.FAILURE:
        said = said_in(api, response, plan.error_message, {**api.scope, **handle.scope()})
        unknown = "" if verdict.known else ", which is none of the values given (running_value closes the list)"
        raise JobFailedError(f"{_described(api, handle)}{unknown}: {said} ({request} answered {response.status})")
    place = plan.captures.get(RESULT_IDENTIFIER)
    if verdict.outcome is Outcome.SUCCESS and place is not None and RESULT_IDENTIFIER not in handle.variables:
        problem = MissingValueError(f"nothing found at {place}")
        raise MissingValueError(
            f"{_described(api, handle)}, but no {RESULT_IDENTIFIER}: {unusable(api, request, response, problem)}"
        )
    yield Log(logging.INFO, f"{_described(api, handle)}: {handle.outcome}")
    return handle


def _is_last(plan: WaitPlan, state: Wait, polls: int, now: float) -> bool:
    over = state.deadline is not None and now >= state.deadline
    return over or (plan.schedule.max_polls is not None and polls >= plan.schedule.max_polls)


def _expired(
    api: Api, plan: WaitPlan, handle: JobHandle, state: Wait, polls: int, problem: AsyncApiError | None
) -> Flow[DeadlineError]:
    """Give the error of a wait that took too long, the job being cancelled."""
    waited = api.clock() - state.started_at
    by_count = plan.schedule.max_polls is not None and polls >= plan.schedule.max_polls
    limit = f"{polls} polls (max_iterations)" if by_count else "the deadline"
    last = f"; the last poll failed: {problem}" if problem else ""
    if plan.cancel is not None:
        yield from cancel(api, plan.cancel, handle, "it wasn't done in time")
    return DeadlineError(
        f"{_described(api, handle)}, and not done by {limit}, after {waited:.0f} s and {polls} polls{last}"
    )


def _until_deadline(pause: float, state: Wait, now: float) -> float:
    """Shorten a pause so that the last poll is made at the deadline; but a moment always passes."""
    return pause if state.deadline is None else min(pause, max(SHORTEST_WAIT, state.deadline - now))


def _doubt(api: Api, plan: WaitPlan, request: Request, verdict: Verdict, doubted: set[str]) -> Flow[None]:
    """Say that a status isn't known, once for each."""
    text = as_text(verdict.value)
    if verdict.known or text in doubted:
        return
    doubted.add(text)
    shown = api.redact(shorten(text, 200))
    found = f"holds nothing at {plan.policy.key}" if verdict.value is None else f"says {shown!r}"
    yield Log(
        logging.WARNING,
        f"{request}: the answer {found}, which none of the given values or rules knows; taken for running",
    )


def _described(api: Api, handle: JobHandle) -> str:
    """Say which job, its status and its progress."""
    status = "has no status yet" if handle.status is None else f"has status {api.redact(as_text(handle.status))}"
    progress = "" if handle.progress is None else f", {handle.progress:.0%}"
    return f"Job {api.redact(str(handle.identifier))} {status}{progress}"
