"""Wait for a job: poll, classify the response and sleep, until the job is over or the deadline has passed."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

from airflow_provider_asyncapi.core.connection.settings import Api
from airflow_provider_asyncapi.core.effects import Flow, Log, PollBatch, Polled, Sleep
from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
    ContentError,
    DeadlineError,
    JobFailedError,
    MissingValueError,
    ResponseError,
    SlowResponseError,
    ThrottledError,
    TransportError,
    UnavailableError,
)
from airflow_provider_asyncapi.core.http.messages import Request, Response, ResponsePart
from airflow_provider_asyncapi.core.http.redaction import redact_url
from airflow_provider_asyncapi.core.jobs.cancel import Cancellation, cancel
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.jobs.storable import to_storable_status
from airflow_provider_asyncapi.core.json_values import as_text, is_blank
from airflow_provider_asyncapi.core.outcome import RESULT_IDENTIFIER, Outcome
from airflow_provider_asyncapi.core.requests.authorizer import RequestAuthorizer
from airflow_provider_asyncapi.core.requests.classification import rule_handles_status_code
from airflow_provider_asyncapi.core.requests.exchange import send
from airflow_provider_asyncapi.core.requests.response_errors import (
    build_bad_response_error,
    describe_bad_response,
    extract_error_message,
    set_error_fields,
)
from airflow_provider_asyncapi.core.requests.retries import RetryBudget
from airflow_provider_asyncapi.core.requests.schedule import SHORTEST_WAIT, parse_retry_after
from airflow_provider_asyncapi.core.requests.step_flow import extract_captures, warn_missing_captures
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.status.policy import Verdict
from airflow_provider_asyncapi.core.templates import Variables
from airflow_provider_asyncapi.core.time_limit import limit_time
from airflow_provider_asyncapi.core.wait.batch_plan import Absent, Batch, BatchResponse
from airflow_provider_asyncapi.core.wait.deferral import disallow_deferral
from airflow_provider_asyncapi.core.wait.details_flow import (
    MAX_EXPLANATION_SECONDS,
    PollResult,
    classify_response,
    confirm_success,
    explain_failure,
)
from airflow_provider_asyncapi.core.wait.plan import Wait, WaitPlan

#: Largest response body that is cached from poll to poll, in bytes: there may be thousands of waits.
_MAX_CACHED_BODY = 4096
#: Longest time over which overdue polls are spread, in seconds.
_MAX_SPREAD_SECONDS = 60.0
#: Seconds that the last poll, which begins at the deadline, may take.
LAST_POLL_SECONDS = 5.0


def wait(api: Api, plan: WaitPlan, state: Wait, *, spread: bool = False) -> Flow[JobHandle]:
    """
    Poll until the job is over.

    :param spread: whether to delay an overdue poll by a random time. Waits that begin together, as after a restart of
        the triggerer, would otherwise poll together for ever.
    :return: the handle, with the outcome ``success`` or ``no_data``.
    :raises JobFailedError: if the job has failed.
    :raises DeadlineError: at the deadline; the job has been cancelled if the plan has a cancel request.
    :raises UnavailableError: after too many consecutive transient errors.
    :raises AsyncApiError: if a response is unusable.
    """
    handle = state.handle
    try:
        if handle.outcome.is_final:
            return _check_success(api, handle)
        budget = RetryBudget(plan.schedule, state.errors)
        warned_statuses, is_first = _statuses_warned_before(state), state.polls == 0
        poll = _StatusPoll.render(api, plan, state, handle, state.polls)
        pause = _first_delay(api, plan, state, spread=spread)
        while True:
            if not (yield from _sleep_until_next(api, state, poll.polls, pause)):
                raise (yield from _build_deadline_error(api, plan, handle, state, poll.polls, None, warned_statuses))
            poll = poll.for_handle(handle)
            before = (handle.status, handle.progress)
            result = yield from _poll_with_details(api, plan, poll, state, handle)
            handle, request, response, verdict = result.handle, result.request, result.response, result.verdict
            if isinstance(verdict, ThrottledError):
                raise (yield from _build_deadline_error(api, plan, handle, state, poll.polls, verdict, warned_statuses))
            poll.polls = polls = poll.polls + 1
            problem = verdict if isinstance(verdict, AsyncApiError) else None
            error = None if problem is None else str(problem)
            delay = None if response is None else response.delay
            now = api.clock()
            if isinstance(verdict, Verdict) and response is not None:
                budget.errors = 0
                if verdict.outcome.is_final:
                    yield Polled(handle, polls, 0, changed=True, at=now, delay=delay)
                    return (yield from finish_wait(api, result.plan, handle, verdict, request, response))
                warned_statuses = yield from warn_unknown_status(
                    api, result.plan, request, response, verdict, warned_statuses
                )
                poll.cache(result.plan, response, verdict)
            else:
                # After an error even an unchanged response is reported: the error is over.
                poll.clear_cache()
            has_changed = (handle.status, handle.progress) != before
            if _is_last_poll(plan, state, polls, now):
                errors = budget.errors + (problem is not None)
                yield Polled(handle, polls, errors, changed=has_changed, at=now, error=error, delay=delay)
                raise (yield from _build_deadline_error(api, plan, handle, state, polls, problem, warned_statuses))
            pause = yield from _compute_pause(api, plan, state, budget, polls, request, response, problem)
            if problem is None and (has_changed or is_first):
                is_first = False
                yield Log(
                    logging.INFO, f"{describe_job(api, handle)}; {_announce_pause('next poll', pause, state, now)}"
                )
            yield Polled(
                handle, polls, budget.errors, changed=has_changed, at=now, pause=pause, error=error, delay=delay
            )
            # Thousands of waits may sleep at the same time, so none holds on to its last response.
            del result, response, verdict, problem
    except AsyncApiError as error:
        error.with_job(handle.identifier, handle.status)
        raise


def _check_success(api: Api, handle: JobHandle) -> JobHandle:
    """Return the handle of a job that was over before the wait; raise an error if it has failed."""
    if handle.outcome is Outcome.FAILURE:
        raise JobFailedError(f"{describe_job(api, handle)}: it has failed already")
    return handle


@dataclass(slots=True)
class _StatusPoll:
    """
    The status request of a job, and its last response.

    The request is rendered again only when the variables of the job change. Most polls get the same response as the one
    before, which has the same verdict and isn't read again.

    :param state: the state at the beginning of the wait.
    :param handle: the job as it is known now; the request was rendered from its variables.
    :param polls: number of polls so far.
    :param scope: the variables that selectors may use.
    :param request: the request.
    :param authorizer: adds the credentials to the request.
    :param cached_response: status code and fingerprint of the last response of a running job.
    :param last_verdict: the verdict on that response.
    """

    api: Api
    plan: WaitPlan
    state: Wait
    handle: JobHandle
    polls: int
    scope: Variables
    request: Request
    authorizer: RequestAuthorizer
    cached_response: tuple[int, bytes] | None = None
    last_verdict: Verdict | None = None

    @classmethod
    def render(cls, api: Api, plan: WaitPlan, state: Wait, handle: JobHandle, polls: int) -> _StatusPoll:
        """Render the status request of a job."""
        scope = api.merge_variables(handle.scope())
        request = api.render_request(plan.request, scope, reference_base=handle.urls.get("submit"))
        return cls(api, plan, state, handle, polls, scope, request, RequestAuthorizer(api))

    def for_handle(self, handle: JobHandle) -> _StatusPoll:
        """Return the poll for a handle; the request is rendered again if the variables have changed."""
        if self.handle.variables is not handle.variables:
            return _StatusPoll.render(self.api, self.plan, self.state, handle, self.polls)
        self.handle = handle
        return self

    def handles_status_code(self, response: Response) -> bool:
        """Return whether a rule of the plan handles the status code, so that it is neither an error nor a redirect."""
        return rule_handles_status_code(self.plan.policy.rules, response, self.scope)

    def cache(self, plan: WaitPlan, response: Response, verdict: Verdict) -> None:
        """Cache the verdict on a response if it depends on the body only, and the body isn't large."""
        if verdict is self.last_verdict or plan is not self.plan:
            return
        content = response.fingerprint
        if response.ok and not self.plan.reads_headers and content is not None and len(content) <= _MAX_CACHED_BODY:
            self.cached_response, self.last_verdict = (response.status, content), verdict

    def clear_cache(self) -> None:
        """Clear the cached response and verdict."""
        self.cached_response = self.last_verdict = None

    def cached_verdict(self, response: Response) -> Verdict | None:
        """Return the verdict on a response that equals the cached one, else None."""
        is_known = self.cached_response is not None and self.cached_response == (response.status, response.fingerprint)
        return self.last_verdict if is_known else None

    def skip_if_unchanged(self, response: Response) -> Polled | None:
        """Count a poll that has found nothing new, and return it, if another poll may follow; else return None."""
        schedule, requested = self.plan.schedule, _retry_after(self.api, response)
        if self.cached_verdict(response) is None or (
            requested is not None and requested > schedule.longest_retry_after
        ):
            return None
        return self._count_unchanged_poll(schedule.delay_after_poll(self.polls + 1, requested, self.api.rng), response)

    def skip_if_unchanged_in_batch(self, batch_response: BatchResponse) -> Polled | None:
        """Do the same for a job that is polled in a batch, whose jobs all have the same interval."""
        response, schedule = batch_response.response_for(self.handle.identifier), self.plan.schedule
        if response is None or self.cached_verdict(response) is None or not schedule.has_constant_interval:
            return None
        return None if "retry-after" in response.headers else self._count_unchanged_poll(schedule.interval, response)

    def _count_unchanged_poll(self, pause: float, response: Response) -> Polled | None:
        now = self.api.clock()
        # Twice the pause, since the next poll itself takes time, too.
        latest = now + 2 * pause
        if _is_last_poll(self.plan, self.state, self.polls + 1, latest) or not self.authorizer.is_valid_at(latest):
            return None
        self.polls += 1
        return Polled(self.handle, self.polls, 0, changed=False, at=now, pause=pause, delay=response.delay)


def _poll_with_details(api: Api, plan: WaitPlan, poll: _StatusPoll, state: Wait, handle: JobHandle) -> Flow[PollResult]:
    """Poll the status, and confirm a success with the request for details if the plan has one."""
    request, response, verdict = yield from _poll_once(api, plan, poll, state)
    if not isinstance(verdict, Verdict) or response is None:
        return PollResult(plan, handle, request, response, verdict)
    after = _update_handle_from_poll(handle, plan, verdict, response, poll)
    result = PollResult(plan, after, request, response, verdict)
    if plan.status_details is None or verdict.outcome is not Outcome.SUCCESS:
        return result
    confirming = confirm_success(api, plan.status_details, result, handle)
    return (yield from limit_time(confirming, latest_response_time(api, state)))


def _poll_once(
    api: Api, plan: WaitPlan, poll: _StatusPoll, state: Wait
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


def latest_response_time(api: Api, state: Wait) -> float | None:
    """Return when a poll is given up: at the deadline, even if data still arrives, plus the time of the last poll."""
    return None if state.deadline is None else max(state.deadline, api.clock()) + LAST_POLL_SECONDS


def _request_status(
    api: Api, plan: WaitPlan, poll: _StatusPoll, state: Wait
) -> Flow[tuple[Request, Response, Verdict | AsyncApiError | None]]:
    """Request the status, in a batch if the plan has one; for a job that is absent from it, return the verdict too."""
    job = state.handle
    if plan.batch is not None and job.identifier is not None:
        # At the deadline there is no time to wait for other jobs.
        can_wait = state.deadline is None or api.clock() < state.deadline
        batch_response: BatchResponse = yield PollBatch(
            plan.batch, job.identifier, plan.schedule.interval, can_wait, poll.skip_if_unchanged_in_batch
        )
        request, response = batch_response.request, batch_response.response_for(job.identifier)
        if response is not None:
            return request, response, None
        if plan.batch.absent is not Absent.POLL:
            absent = _classify_absent_job(api, plan.batch, request, job)
            return request, ResponsePart(batch_response.response, None), absent
    stop = poll.handles_status_code if plan.policy.rules else None
    response = yield from send(
        api,
        poll.request,
        is_final=stop,
        can_wait=True,
        skip_if_unchanged=poll.skip_if_unchanged,
        authorizer=poll.authorizer,
    )
    return poll.request, response, None


def _classify_absent_job(api: Api, batch: Batch, request: Request, job: JobHandle) -> Verdict | AsyncApiError:
    """Return the verdict on a job that the response to a batch doesn't contain, or a transient error."""
    if batch.absent is Absent.RETRY:
        return UnavailableError(f"{request}: the answer doesn't contain job {api.redact(str(job.identifier))}")
    return Verdict(Outcome(batch.absent), "absent")


def _classify_response(
    api: Api, plan: WaitPlan, poll: _StatusPoll, state: Wait, request: Request, response: Response
) -> Verdict | AsyncApiError:
    """Return the verdict on a response, or a transient error."""
    if (cached := poll.cached_verdict(response)) is not None:
        return cached
    may_be_hidden = _may_be_unknown_to_api(plan, state, api.clock())
    return classify_response(api, plan, request, response, poll.scope, may_be_hidden=may_be_hidden)


def _may_be_unknown_to_api(plan: WaitPlan, state: Wait, now: float) -> bool:
    """Return whether the API may not know the job yet; a bare identifier counts as submitted when the wait began."""
    submitted_at = state.handle.submitted_at
    return now - (state.started_at if submitted_at is None else submitted_at) < plan.schedule.visible_after


def _update_handle_from_poll(
    handle: JobHandle, plan: WaitPlan, verdict: Verdict, response: Response, poll: _StatusPoll
) -> JobHandle:
    """Return the handle after a poll, with the URL of the poll."""
    if verdict is poll.last_verdict or (not response.ok and not verdict.outcome.is_final):
        return handle
    url = redact_url(response.url.partition("?")[0])
    if handle.urls.get("status") != url:
        handle = dataclasses.replace(handle, urls={**handle.urls, "status": url})
    return update_handle(handle, plan, verdict, response, poll.scope)


def update_handle(
    handle: JobHandle, plan: WaitPlan, verdict: Verdict, response: Response, scope: Variables
) -> JobHandle:
    """Return the handle with the status, the progress and the captures of a poll or a callback."""
    progress = plan.progress.read_fraction(response, scope) if plan.progress else None
    if verdict.outcome is Outcome.SUCCESS:
        progress = 1.0
    changes: dict[str, Any] = {
        "outcome": verdict.outcome if verdict.outcome.is_final else Outcome.RUNNING,
        "status": to_storable_status(verdict.value),
        "progress": handle.progress if progress is None else progress,
    }
    # Most polls find nothing new; then the handle stays the same object, and its request isn't rendered again.
    if any(getattr(handle, name) != value for name, value in changes.items()):
        handle = dataclasses.replace(handle, **changes)
    found = extract_captures(plan.captures, response, scope)
    if is_blank(found.get(RESULT_IDENTIFIER)):
        # Some APIs send the field from the start, and fill it at the end.
        del found[RESULT_IDENTIFIER]
    changed = {
        name: value for name, value in found.items() if name not in handle.variables or handle.variables[name] != value
    }
    return handle.with_variables(changed)


def finish_wait(
    api: Api, plan: WaitPlan, handle: JobHandle, verdict: Verdict, request: Request, response: Response
) -> Flow[JobHandle]:
    """Return the handle of a job that is over; raise an error if it has failed, or has no result identifier."""
    if verdict.outcome is Outcome.FAILURE:
        # Before the next request: only until then is a large response read on a thread.
        message = extract_error_message(api, response, plan.error_message, api.merge_variables(handle.scope()))
        explained = yield from limit_time(explain_failure(api, plan, handle), api.clock() + MAX_EXPLANATION_SECONDS)
        message, text = explained or (message, f"{message} ({request} answered {response.status})")
        what = describe_job(api, handle) if verdict.is_known else _describe_unlisted_status(api, plan, handle, verdict)
        raise set_error_fields(JobFailedError(f"{what}: {text}"), request, response, message)
    place = plan.captures.get(RESULT_IDENTIFIER)
    if verdict.outcome is Outcome.SUCCESS and place is not None and RESULT_IDENTIFIER not in handle.variables:
        why = _explain_no_result_identifier(api, handle, place, response)
        problem = build_bad_response_error(api, request, response, why)
        raise problem.with_message(f"{describe_job(api, handle)}, but no {RESULT_IDENTIFIER}: {problem}")
    if verdict.outcome is Outcome.SUCCESS:
        yield from warn_missing_captures(plan.captures, handle.variables, request)
    yield Log(logging.INFO, f"{describe_job(api, handle)}: {handle.outcome}")
    return handle


def _describe_unlisted_status(api: Api, plan: WaitPlan, handle: JobHandle, verdict: Verdict) -> str:
    """Describe a status that isn't in the closed list of the given values."""
    found = "nothing" if verdict.value is None else repr(api.redact.excerpt(as_text(verdict.value), 200))
    return (
        f"Job {api.redact(str(handle.identifier))}: the answer contains {found}{_at_status_selector(plan)}, which is"
        " none of the given values (running_value closes the list)"
    )


def _is_last_poll(plan: WaitPlan, state: Wait, polls: int, now: float) -> bool:
    has_passed = state.deadline is not None and now >= state.deadline
    return has_passed or (plan.schedule.max_polls is not None and polls >= plan.schedule.max_polls)


def _explain_no_result_identifier(
    api: Api, handle: JobHandle, place: SelectorChain, response: Response
) -> ResponseError:
    """Return why the response of a job that has succeeded has no result identifier."""
    try:
        place.find_only(response, api.merge_variables(handle.scope()))
    except ContentError as error:
        return error
    return MissingValueError(f"nothing found at {place}")


def _build_deadline_error(
    api: Api,
    plan: WaitPlan,
    handle: JobHandle,
    state: Wait,
    polls: int,
    problem: AsyncApiError | None,
    warned_statuses: frozenset[str | None],
) -> Flow[DeadlineError]:
    """
    Cancel the job if the plan has a request for that, and return the error of a wait whose deadline has passed.

    :param problem: the error of the last poll, if it failed.
    :param warned_statuses: the unknown statuses that were logged.
    """
    waited = api.clock() - state.started_at
    by_count = plan.schedule.max_polls is not None and polls >= plan.schedule.max_polls
    made = f"{polls} poll{'s' * (polls != 1)}"
    limit = "as many polls as allowed (max_iterations)" if by_count else "the deadline"
    last = f"; the last poll failed: {problem}" if problem else ""
    if handle.status is None and warned_statuses == {None}:
        last += f"; no answer contained a status{_at_status_selector(plan)}, so that may be the wrong selector"
    if plan.cancel is not None:
        may_poll = not isinstance(problem, SlowResponseError)
        cancellation = yield from cancel_job(api, plan, handle, "it wasn't done in time", may_poll=may_poll)
        last += f"; {cancellation.summary}"
    return DeadlineError(
        f"{describe_job(api, handle)} and wasn't done by {limit}, after {waited:.0f} s and {made}{last}"
    )


def raise_deadline_error(api: Api, plan: WaitPlan, state: Wait, problem: SlowResponseError) -> Flow[NoReturn]:
    """
    End a wait whose flow is still reading a response at the deadline, and so can't end itself.

    :param state: the state of the wait.
    :param problem: the error about that response.
    :raises DeadlineError: always; the job has been cancelled if the plan has a cancel request.
    """
    expired = _build_deadline_error(
        api, plan, state.handle, state, state.polls + 1, problem, _statuses_warned_before(state)
    )
    raise (yield from expired)


def cancel_job(
    api: Api, plan: WaitPlan, handle: JobHandle, reason: str, *, may_poll: bool = True
) -> Flow[Cancellation]:
    """
    Cancel a job, and poll it afterwards if the plan has a status request.

    :param may_poll: whether the job may be polled; False if its response takes too long to read.
    """
    assert plan.cancel is not None, "only called if the plan has a cancel request"  # noqa: S101 - for the type checker
    poll = partial(poll_without_waiting, api, plan) if plan.polls and may_poll else None
    return (yield from disallow_deferral(cancel(api, plan.cancel, handle, reason, poll)))


def poll_without_waiting(api: Api, plan: WaitPlan, handle: JobHandle) -> Flow[JobHandle]:
    """
    Poll a job once and alone, without waiting for other jobs of a batch.

    :return: the job as it is now, also if it has failed.
    :raises AsyncApiError: if the poll failed.
    """
    at_once = Wait(handle, started_at=0.0, deadline=0.0)
    poll = _StatusPoll.render(api, plan, at_once, handle, 0)
    _, response, verdict = yield from _poll_once(api, plan, poll, at_once)
    if isinstance(verdict, AsyncApiError):
        raise verdict
    assert response is not None, "a verdict has a response"  # noqa: S101 - for the type checker
    return _update_handle_from_poll(handle, plan, verdict, response, poll)


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
    state = Wait(handle, started_at=now, deadline=now)
    try:
        result = yield from _poll_with_details(
            api, plan, _StatusPoll.render(api, plan, state, handle, 0), state, handle
        )
        if isinstance(result.verdict, AsyncApiError):
            raise result.verdict
        assert result.response is not None, "a verdict has a response"  # noqa: S101 - for the type checker
        yield from warn_unknown_status(api, result.plan, result.request, result.response, result.verdict)
    except AsyncApiError as error:
        error.with_job(handle.identifier, handle.status)
        raise
    return result.handle


def _first_delay(api: Api, plan: WaitPlan, state: Wait, *, spread: bool) -> float:
    """Return the seconds until the first poll of this process."""
    now = api.clock()
    delay = state.next_poll_due(plan.schedule) - now
    if spread and delay <= 0:
        delay = api.rng() * min(plan.schedule.interval, _MAX_SPREAD_SECONDS)
        # An overdue poll that was allowed before the deadline is allowed at the deadline.
        return delay if state.deadline is None else min(delay, max(0.0, state.deadline - now))
    return delay


def _sleep_until_next(api: Api, state: Wait, polls: int, pause: float) -> Flow[bool]:
    """
    Sleep until the next poll, or until the deadline.

    :param polls: number of polls so far.
    :param pause: seconds until the next poll.
    :return: whether the poll may be made now; False if it is due only after the deadline.
    """
    now = api.clock()
    due = now + pause
    is_too_late = polls > 0 and state.deadline is not None and due > state.deadline + SHORTEST_WAIT
    if pause > 0 and not (is_too_late and state.deadline is not None and now >= state.deadline):
        yield Sleep(cap_at_deadline(pause, state, now))
    return not is_too_late or api.clock() > due - SHORTEST_WAIT


def _compute_pause(
    api: Api,
    plan: WaitPlan,
    state: Wait,
    budget: RetryBudget,
    polls: int,
    request: Request,
    response: Response | None,
    problem: AsyncApiError | None,
) -> Flow[float]:
    """
    Return the seconds from a poll to the next one, and log the error if the poll failed.

    :raises UnavailableError: after too many consecutive transient errors.
    """
    requested, now = _retry_after(api, response), api.clock()
    if requested is not None and requested > (limit := plan.schedule.longest_retry_after):
        asked = f"Retry-After asks for a wait of {requested:.0f} s"
        yield Log(logging.WARNING, f"{request}: {asked}; waiting {limit:.0f} s at most (max_interval)")
    if problem is None:
        return _fit_to_deadline(plan.schedule.delay_after_poll(polls, requested, api.rng), plan, state, requested, now)
    pause = _fit_to_deadline(budget.next_delay(api, problem, response), plan, state, requested, now)
    yield Log(logging.WARNING, f"{problem}; {_announce_pause('polling again', pause, state, now)}")
    return pause


def _retry_after(api: Api, response: Response | None) -> float | None:
    """Return the wait in seconds that ``Retry-After`` asks for; None if the response doesn't have it."""
    return None if response is None else parse_retry_after(response.headers.get("retry-after"), api.clock())


def _fit_to_deadline(pause: float, plan: WaitPlan, state: Wait, requested: float | None, now: float) -> float:
    """
    Return the pause after a poll, changed so that the last poll is made at the deadline if that isn't too early.

    :param pause: seconds, from the schedule.
    :param requested: seconds that ``Retry-After`` asks for, if any.
    :return: seconds; they end after the deadline if no other poll is allowed before it.
    """
    if state.deadline is None:
        return pause
    shortest, left = plan.schedule.min_delay_after_response(requested), state.deadline - now
    # Another poll in between would leave too little time before the last one.
    return left if shortest <= left < pause + shortest else pause


def _announce_pause(what: str, pause: float, state: Wait, now: float) -> str:
    is_possible = state.deadline is None or now + pause < state.deadline + SHORTEST_WAIT
    return f"{what} in {pause:.3g} s" if is_possible else "no other poll is allowed before the deadline"


def _statuses_warned_before(state: Wait) -> frozenset[str | None]:
    """Return the status that another process has warned about if it is unknown."""
    if not state.polls or "status" not in state.handle.urls:
        return frozenset()
    status = state.handle.status
    return frozenset({None if status is None else as_text(status)})


def cap_at_deadline(pause: float, state: Wait, now: float) -> float:
    """Return a pause that ends at the deadline at the latest, but isn't shorter than the shortest wait."""
    return pause if state.deadline is None else min(pause, max(SHORTEST_WAIT, state.deadline - now))


def warn_unknown_status(
    api: Api,
    plan: WaitPlan,
    request: Request,
    response: Response,
    verdict: Verdict,
    warned_statuses: frozenset[str | None] = frozenset(),
) -> Flow[frozenset[str | None]]:
    """Log a warning for each unknown status once; return ``warned_statuses`` with the new one."""
    status = None if verdict.value is None else as_text(verdict.value)
    if verdict.is_known or status in warned_statuses:
        return warned_statuses
    if status is None:
        problem = MissingValueError(f"there is no status{_at_status_selector(plan)}, so the job counts as running")
        yield Log(logging.WARNING, describe_bad_response(api, request, response, problem))
    else:
        shown = api.redact.excerpt(status, 200)
        yield Log(
            logging.WARNING,
            f"{request}: the answer says {shown!r}, which none of the given values or rules lists; the job counts as"
            " running",
        )
    return warned_statuses | {status}


def _at_status_selector(plan: WaitPlan) -> str:
    return "" if plan.policy.key is None else f" at {plan.policy.key}"


def describe_job(api: Api, handle: JobHandle) -> str:
    """Return the identifier, the status and the progress of a job in one phrase."""
    status = "has no status yet" if handle.status is None else f"has status {api.redact(as_text(handle.status))}"
    progress = "" if handle.progress is None else f", {handle.progress:.0%}"
    return f"Job {api.redact(str(handle.identifier))} {status}{progress}"
