"""Poll a job once, and classify the response."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, Log, PollBatch, Sleep
from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
    BodyTooLargeError,
    ContentError,
    ThrottledError,
    TransportError,
    UnavailableError,
)
from airflow_provider_asyncapi.core.http.messages import Request, Response, ResponsePart
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.lazy import LazyModule
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.requests.classification import rule_decides_without_body
from airflow_provider_asyncapi.core.requests.exchange import send
from airflow_provider_asyncapi.core.status.policy import Verdict
from airflow_provider_asyncapi.core.time_limit import limit_time
from airflow_provider_asyncapi.core.wait.batch_plan import Absent, Batch, BatchResponse
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.details_flow import PollResult, classify_response, confirm_success
from airflow_provider_asyncapi.core.wait.handle_updates import update_handle_from_poll
from airflow_provider_asyncapi.core.wait.job_descriptions import warn_unknown_status
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from airflow_provider_asyncapi.core.wait.poll_times import cap_at_deadline, latest_response_time
from airflow_provider_asyncapi.core.wait.status_request import StatusRequest

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.wait import batch_flow
else:
    # Few tasks poll many jobs with one request.
    batch_flow = LazyModule("airflow_provider_asyncapi.core.wait.batch_flow")


#: What to change if a status is too large; ends the message.
_SMALLER_STATUS = (
    "if the status contains the result, poll a request whose response doesn't, or set a rule that decides by the status"
    " code or a header alone"
)


def poll_with_details(
    api: Api, plan: WaitPlan, poll: StatusRequest, state: WaitCheckpoint, handle: JobHandle
) -> Flow[PollResult]:
    """Poll the status, and confirm a success with the request for details if the plan has one."""
    request, response, verdict = yield from poll_once(api, plan, poll, state)
    if not isinstance(verdict, Verdict) or response is None:
        return PollResult(plan, handle, request, response, verdict)
    after = update_handle_from_poll(handle, plan, verdict, response, poll)
    result = PollResult(plan, after, request, response, verdict)
    if plan.status_details is None or verdict.outcome is not Outcome.SUCCESS:
        return result
    confirming = confirm_success(api, plan.status_details, result, handle)
    return (yield from limit_time(confirming, latest_response_time(api, state)))


def poll_once(
    api: Api, plan: WaitPlan, poll: StatusRequest, state: WaitCheckpoint
) -> Flow[tuple[Request, Response | None, Verdict | AsyncApiError]]:
    """
    Poll once; return the request, the response, and the verdict on it or a transient error.

    The error is a :class:`ThrottledError` if the API accepts no request before the deadline.
    """
    while True:
        try:
            requesting = _request_status(api, plan, poll, state)
            request, response, absent = yield from limit_time(requesting, latest_response_time(api, state))
            return request, response, absent or _classify_response(api, plan, poll, state, request, response)
        except ThrottledError as throttled:
            if state.deadline is not None and api.clock() >= state.deadline:
                yield Log(logging.WARNING, f"{throttled}; no last poll can be made at the deadline")
                return poll.request, None, throttled
            # A random time, so that the waits that were throttled don't all poll again at the same moment.
            pause = throttled.seconds + api.rng() * plan.schedule.interval
            yield Sleep(cap_at_deadline(pause, state, api.clock()))
        except (TransportError, ContentError) as error:
            return poll.request, None, error


def _request_status(
    api: Api, plan: WaitPlan, poll: StatusRequest, state: WaitCheckpoint
) -> Flow[tuple[Request, Response, Verdict | AsyncApiError | None]]:
    """Request the status, in a batch if the plan has one; for a job that is absent from it, return the verdict too."""
    job = state.handle
    if plan.batch is not None and job.identifier is not None:
        batch_response: BatchResponse
        if state.deadline is None or api.clock() < state.deadline:
            batch_response = yield PollBatch(
                plan.batch, job.identifier, plan.schedule.interval, poll.skip_if_unchanged_in_batch
            )
        else:
            # At the deadline there is no time to wait for other jobs.
            batch_response = yield from batch_flow.poll_batch(api, plan.batch, [job.identifier], can_wait=True)
        request, response = batch_response.request, batch_response.response_for(job.identifier)
        if response is not None:
            return request, response, None
        if plan.batch.absent is not Absent.POLL:
            absent = _classify_absent_job(api, plan.batch, request, job)
            return request, ResponsePart(batch_response.response, None), absent
    try:
        response = yield from send(
            api,
            poll.request,
            poll.response_policy,
            can_wait=True,
            skip_if_unchanged=poll.skip_if_unchanged,
            authorizer=poll.authorizer,
        )
    except BodyTooLargeError as error:
        # If the status code is the status, the response of a job that is done may be its result.
        head = error.head
        if not isinstance(head, Response) or not rule_decides_without_body(plan.policy.rules, head, poll.scope):
            raise error.with_message(f"{error}; {_SMALLER_STATUS}") from error
        response = head
        response.url, response.method = poll.request.url, poll.request.method
        yield Log(logging.INFO, f"{error}; a rule decides without it")
    return poll.request, response, None


def _classify_absent_job(api: Api, batch: Batch, request: Request, job: JobHandle) -> Verdict | AsyncApiError:
    """Return the verdict on a job that the response to a batch doesn't contain, or a transient error."""
    if batch.absent is Absent.RETRY:
        return UnavailableError(f"{request}: the response doesn't contain job {api.redact(str(job.identifier))}")
    return Verdict(Outcome(batch.absent), "absent")


def _classify_response(
    api: Api, plan: WaitPlan, poll: StatusRequest, state: WaitCheckpoint, request: Request, response: Response
) -> Verdict | AsyncApiError:
    """Return the verdict on a response, or a transient error."""
    if (cached := poll.cached_verdict(response)) is not None:
        return cached
    may_be_hidden = _may_be_unknown_to_api(plan, state, api.clock())
    return classify_response(api, plan, request, response, poll.scope, may_be_hidden=may_be_hidden)


def _may_be_unknown_to_api(plan: WaitPlan, state: WaitCheckpoint, now: float) -> bool:
    """Return whether the API may not know the job yet; a bare identifier counts as submitted when the wait began."""
    submitted_at = state.handle.submitted_at
    return now - (state.started_at if submitted_at is None else submitted_at) < plan.schedule.visible_after


def poll_without_waiting(api: Api, plan: WaitPlan, handle: JobHandle) -> Flow[JobHandle]:
    """
    Poll a job once and alone, without waiting for other jobs of a batch.

    :return: the job as it is now, also if it has failed.
    :raises AsyncApiError: if the poll failed.
    """
    at_once = WaitCheckpoint(handle, started_at=0.0, deadline=0.0)
    poll = StatusRequest.render(api, plan, at_once, handle, 0)
    _, response, verdict = yield from poll_once(api, plan, poll, at_once)
    if isinstance(verdict, AsyncApiError):
        raise verdict
    assert response is not None, "a verdict has a response"  # noqa: S101 - for the type checker
    return update_handle_from_poll(handle, plan, verdict, response, poll)


def get_job(api: Api, plan: WaitPlan, handle: JobHandle) -> Flow[JobHandle]:
    """
    Poll a job once, and confirm a success with the request for details if the plan has one.

    :return: the job as it is now, also if it has failed.
    :raises AsyncApiError: if the poll failed.
    """
    if handle.outcome.is_final:
        return handle
    now = api.clock()
    # At its deadline a wait doesn't wait for other jobs of a batch.
    state = WaitCheckpoint(handle, started_at=now, deadline=now)
    try:
        result = yield from poll_with_details(
            api, plan, StatusRequest.render(api, plan, state, handle, 0), state, handle
        )
        if isinstance(result.verdict, AsyncApiError):
            raise result.verdict
        assert result.response is not None, "a verdict has a response"  # noqa: S101 - for the type checker
        yield from warn_unknown_status(api, result.plan, result.request, result.response, result.verdict)
    except AsyncApiError as error:
        error.set_job(handle.identifier, handle.status)
        raise
    return result.handle
