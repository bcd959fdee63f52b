"""The end of a wait: the job is over, or the deadline has passed."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, NoReturn, TypeVar

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, Log, Polled
from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
    ContentError,
    DeadlineExceededError,
    JobFailedError,
    JobStalledError,
    MissingValueError,
    ResponseError,
    SlowResponseError,
    UnknownStatusError,
)
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.json_values import as_text
from airflow_provider_asyncapi.core.lazy import LazyModule
from airflow_provider_asyncapi.core.outcome import RESULT_IDENTIFIER, Outcome, Rerun
from airflow_provider_asyncapi.core.requests.response_errors import (
    NO_MESSAGE,
    build_bad_response_error,
    extract_error_message,
    set_error_fields,
)
from airflow_provider_asyncapi.core.requests.step_flow import warn_missing_captures
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.status.policy import Verdict
from airflow_provider_asyncapi.core.templates import Variables
from airflow_provider_asyncapi.core.time_limit import limit_time
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.details_flow import MAX_EXPLANATION_SECONDS, explain_failure
from airflow_provider_asyncapi.core.wait.job_descriptions import (
    describe_job,
    find_warned_statuses,
    name_status_selector,
)
from airflow_provider_asyncapi.core.wait.overdue import is_stalled
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from airflow_provider_asyncapi.core.wait.poll_times import is_last_poll

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.wait import cancel_flow
else:
    # Most jobs end before the deadline.
    cancel_flow = LazyModule("airflow_provider_asyncapi.core.wait.cancel_flow")

_Error = TypeVar("_Error", DeadlineExceededError, JobStalledError)
#: The parameter whose rules allow a way to run a failed job again.
_RERUN_PARAMETERS = {Rerun.SUBMIT: "resubmit_on", Rerun.REPAIR: "repair_on"}


def check_success(api: Api, handle: JobHandle) -> JobHandle:
    """Return the handle of a job that was over before the wait; raise an error if it has failed."""
    if handle.outcome is Outcome.FAILURE:
        raise JobFailedError(f"{describe_job(api, handle)}: it has failed already")
    return handle


def finish_wait(
    api: Api, plan: WaitPlan, handle: JobHandle, verdict: Verdict, request: Request, response: Response
) -> Flow[JobHandle]:
    """Return the handle of a job that is over; raise an error if it has failed, or has no result identifier."""
    if verdict.outcome is Outcome.FAILURE:
        # Before the next request: only until then is a large response read on a thread.
        scope = api.merge_variables(handle.scope())
        message = extract_error_message(api, response, plan.error_message, scope)
        allowed = yield from _match_rerun_rules(plan, response, scope)
        text = f"{message or NO_MESSAGE} ({request} answered {response.status})"
        explained = yield from limit_time(explain_failure(api, plan, handle), api.clock() + MAX_EXPLANATION_SECONDS)
        if explained is not None:
            message, text = explained.message, explained.text
            allowed |= yield from _match_rerun_rules(plan, explained.response, explained.scope)
        what = describe_job(api, handle) if verdict.is_known else _describe_unlisted_status(api, plan, handle, verdict)
        kind = JobFailedError if verdict.is_known else UnknownStatusError
        error = set_error_fields(kind(f"{what}: {text}"), request, response, message)
        error.rerun = None if plan.rerun is None else plan.rerun.choose(allowed)
        raise error
    place = plan.captures.get(RESULT_IDENTIFIER)
    if verdict.outcome is Outcome.SUCCESS and place is not None and RESULT_IDENTIFIER not in handle.variables:
        why = _explain_no_result_identifier(api, handle, place, response)
        problem = build_bad_response_error(api, request, response, why)
        raise problem.with_message(f"{describe_job(api, handle)}, but no {RESULT_IDENTIFIER}: {problem}")
    if verdict.outcome is Outcome.SUCCESS:
        yield from warn_missing_captures(plan.captures, handle.variables, request)
    yield Log(logging.INFO, f"{describe_job(api, handle)}: {handle.outcome}")
    return handle


def _match_rerun_rules(plan: WaitPlan, response: Response, scope: Variables) -> Flow[set[Rerun]]:
    """Return what the plan's rules allow after this response; nothing if they can't be evaluated."""
    allowed, rules = set[Rerun](), plan.rerun
    if rules is None:
        return allowed
    for how, parameter in _RERUN_PARAMETERS.items():
        try:
            if rules.allows(how, response, scope):
                allowed.add(how)
        except AsyncApiError as error:
            yield Log(logging.WARNING, f"The rules in {parameter} can't be evaluated, so none matches: {error}")
    return allowed


def _describe_unlisted_status(api: Api, plan: WaitPlan, handle: JobHandle, verdict: Verdict) -> str:
    """Describe a status that isn't in the closed list of the given values."""
    found = "nothing" if verdict.value is None else repr(api.redact.excerpt(as_text(verdict.value), 200))
    return (
        f"Job {api.redact(str(handle.identifier))}: the response contains {found}{name_status_selector(plan)}, which is"
        " none of the given values (running_value closes the list)"
    )


def _explain_no_result_identifier(
    api: Api, handle: JobHandle, place: SelectorChain, response: Response
) -> ResponseError:
    """Return why the response of a job that has succeeded has no result identifier."""
    scope = api.merge_variables(handle.scope())
    try:
        place.find_only(response, scope)
    except ContentError as error:
        return error
    return MissingValueError(f"nothing found at {place}{place.describe_nearest(response, scope)}")


def build_deadline_error(
    api: Api,
    plan: WaitPlan,
    handle: JobHandle,
    state: WaitCheckpoint,
    polls: int,
    problem: AsyncApiError | None,
    warned_statuses: frozenset[str | None],
) -> Flow[DeadlineExceededError]:
    """
    Cancel the job if the plan has a request for that, and return the error of a wait whose deadline has passed.

    :param problem: the error of the last poll, if it failed.
    :param warned_statuses: the unknown statuses that were logged.
    """
    ended_at = api.clock()
    waited = ended_at - state.started_at
    by_count = plan.schedule.max_polls is not None and polls >= plan.schedule.max_polls
    made = f"{polls} poll{'s' * (polls != 1)}"
    limit = "as many polls as allowed (max_iterations)" if by_count else "the deadline"
    last = f"; the last poll failed: {problem}" if problem else ""
    if handle.status is None and warned_statuses == {None}:
        last += f"; no response contained a status{name_status_selector(plan)}, so that may be the wrong selector"
    error = DeadlineExceededError(
        f"{describe_job(api, handle)} and wasn't done by {limit}, after {waited:.0f} s and {made}{last}"
    )
    may_poll = not isinstance(problem, SlowResponseError)
    return (yield from _cancel_job(api, plan, handle, error, "it wasn't done in time", ended_at, may_poll=may_poll))


def build_stall_error(
    api: Api, plan: WaitPlan, handle: JobHandle, state: WaitCheckpoint, polls: int
) -> Flow[JobStalledError]:
    """Cancel the job if the plan has a request for that, and return the error of a wait for a job that is stalled."""
    now = api.clock()
    unchanged, waited = now - state.unchanged_since, now - state.started_at
    error = JobStalledError(
        f"{describe_job(api, handle)}, unchanged for {unchanged:.0f} s, longer than stall_timeout allows, after"
        f" {waited:.0f} s and {polls} poll{'s' * (polls != 1)}"
    )
    return (yield from _cancel_job(api, plan, handle, error, "it makes no progress", now))


def _cancel_job(
    api: Api, plan: WaitPlan, handle: JobHandle, error: _Error, reason: str, ended_at: float, *, may_poll: bool = True
) -> Flow[_Error]:
    """
    Cancel the job if the plan has a request for that; return the error with the result, and the status after it.

    :param error: the error of the wait, which ended at ``ended_at``, in seconds since the epoch.
    """
    error.ended_at = ended_at
    if plan.cancel is None:
        return error
    cancellation = yield from cancel_flow.cancel_job(api, plan, handle, reason, may_poll=may_poll)
    error = error.with_message(f"{error}; {cancellation.summary}")
    error.cancellation = cancellation.summary
    error.set_job(handle.identifier, cancellation.handle.status)
    return error


def end_if_overdue(
    api: Api,
    plan: WaitPlan,
    state: WaitCheckpoint,
    polled: Polled,
    problem: AsyncApiError | None,
    warned_statuses: frozenset[str | None],
) -> Flow[None]:
    """
    End the wait if its deadline has passed, or if the job makes no progress.

    :param polled: the last poll, which is reported before the wait ends.
    :param problem: the error of that poll, if it failed; then it isn't known whether the job makes progress.
    :raises DeadlineExceededError: if no other poll may be made.
    :raises JobStalledError: if the job makes no progress.
    """
    handle, polls = polled.handle, polled.polls
    if is_last_poll(plan, state, polls, polled.at):
        yield dataclasses.replace(polled, errors=polled.errors + (problem is not None))
        raise (yield from build_deadline_error(api, plan, handle, state, polls, problem, warned_statuses))
    if problem is None and is_stalled(plan, state, polled.at):
        yield polled
        raise (yield from build_stall_error(api, plan, handle, state, polls))


def raise_deadline_error(api: Api, plan: WaitPlan, state: WaitCheckpoint, problem: SlowResponseError) -> Flow[NoReturn]:
    """
    End a wait whose flow is still reading a response at the deadline, and so can't end itself.

    :param state: the state of the wait.
    :param problem: the error about that response.
    :raises DeadlineExceededError: always; the job has been cancelled if the plan has a cancel request.
    """
    expired = build_deadline_error(
        api, plan, state.handle, state, state.polls + 1, problem, find_warned_statuses(state)
    )
    raise (yield from expired)
