"""Wait for a job: poll, judge, sleep, until it is over or the time is."""

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
    SlowAnswerError,
    ThrottledError,
    TransportError,
    UnavailableError,
)
from airflow_provider_asyncapi.core.http.messages import Part, Request, Response
from airflow_provider_asyncapi.core.http.redaction import shown_url
from airflow_provider_asyncapi.core.jobs.cancel import Cancellation, cancel
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.jobs.storable import to_storable_status
from airflow_provider_asyncapi.core.json_values import as_text, is_blank
from airflow_provider_asyncapi.core.outcome import RESULT_IDENTIFIER, Outcome
from airflow_provider_asyncapi.core.requests.authorizer import RequestAuthorizer
from airflow_provider_asyncapi.core.requests.exchange import (
    RetryBudget,
    about,
    as_unusable,
    said_in,
    send,
    speaks_of_status,
    unusable,
)
from airflow_provider_asyncapi.core.requests.perform import captured, missing
from airflow_provider_asyncapi.core.requests.schedule import SHORTEST_WAIT, retry_after
from airflow_provider_asyncapi.core.status.policy import Verdict
from airflow_provider_asyncapi.core.templates import Variables
from airflow_provider_asyncapi.core.time_limit import within
from airflow_provider_asyncapi.core.wait.batch_plan import Absent, Batch, BatchResponse
from airflow_provider_asyncapi.core.wait.deferral import disallow_deferral
from airflow_provider_asyncapi.core.wait.details_flow import (
    LONGEST_EXPLANATION,
    Answered,
    confirm_success,
    explain_failure,
    judge_answer,
)
from airflow_provider_asyncapi.core.wait.plan import Wait, WaitPlan

#: Longer answers aren't kept from poll to poll, for there may be thousands of waits. Bytes.
_REMEMBERED = 4096
#: Seconds over which polls that are overdue together are spread.
_LONGEST_SPREAD = 60.0
#: Seconds past the deadline that a poll may take.
LAST_POLL = 5.0


def wait(api: Api, plan: WaitPlan, state: Wait, *, spread: bool = False) -> Flow[JobHandle]:
    """
    Poll until the job is over.

    :param spread: whether many wait beside this one: then one whose next poll is overdue waits a moment, left to
        chance, so that those who begin together, after a restart perhaps, don't poll together for ever.
    :return: the handle, its outcome ``success`` or ``no_data``.
    :raises JobFailedError: where it failed.
    :raises DeadlineError: where it took too long; it has been cancelled then, if there is a request for that.
    :raises UnavailableError: after too many transient errors in a row.
    :raises AsyncApiError: on answers that can't be used.
    """
    handle = state.handle
    try:
        if handle.outcome.is_final:
            return _check_success(api, handle)
        budget = RetryBudget(plan.schedule, state.errors)
        doubted, is_first = _warned_before(state), state.polls == 0
        poll = _Poll.of(api, plan, state, handle, state.polls)
        pause = _first_delay(api, plan, state, spread=spread)
        while True:
            if not (yield from _sleep_until_next(api, state, poll.polls, pause)):
                raise (yield from _expired(api, plan, handle, state, poll.polls, None, doubted))
            poll = poll.renewed(handle)
            seen = (handle.status, handle.progress)
            answered = yield from _poll_once(api, plan, poll, state, handle)
            handle, request, response, found = answered.handle, answered.request, answered.response, answered.found
            if isinstance(found, ThrottledError):
                raise (yield from _expired(api, plan, handle, state, poll.polls, found, doubted))
            poll.polls = polls = poll.polls + 1
            problem = found if isinstance(found, AsyncApiError) else None
            error = None if problem is None else str(problem)
            delay = None if response is None else response.delay
            now = api.clock()
            if isinstance(found, Verdict) and response is not None:
                budget.errors = 0
                if found.outcome.is_final:
                    yield Polled(handle, polls, 0, changed=True, at=now, delay=delay)
                    return (yield from ended(api, answered.plan, handle, found, request, response))
                doubted = yield from doubt(api, answered.plan, request, response, found, doubted)
                poll.remember(answered.plan, response, found)
            else:
                # After an error even an answer as before is news: that it is over.
                poll.forget()
            is_new = (handle.status, handle.progress) != seen
            if _is_last(plan, state, polls, now):
                errors = budget.errors + (problem is not None)
                yield Polled(handle, polls, errors, changed=is_new, at=now, error=error, delay=delay)
                raise (yield from _expired(api, plan, handle, state, polls, problem, doubted))
            pause = yield from _pause_after(api, plan, state, budget, polls, request, response, problem)
            if problem is None and (is_new or is_first):
                is_first = False
                yield Log(logging.INFO, f"{described(api, handle)}; {_announced('next poll', pause, state, now)}")
            yield Polled(handle, polls, budget.errors, changed=is_new, at=now, pause=pause, error=error, delay=delay)
            # Thousands may sleep, and none needs what it was answered.
            del answered, response, found, problem
    except AsyncApiError as error:
        error.with_job(handle.identifier, handle.status)
        raise


def _check_success(api: Api, handle: JobHandle) -> JobHandle:
    """Return the handle of a job that was over before the wait; raise an error if it has failed."""
    if handle.outcome is Outcome.FAILURE:
        raise JobFailedError(f"{described(api, handle)}: it has failed already")
    return handle


@dataclass(slots=True)
class _Poll:
    """
    The status request, made once for as long as the job's variables stay the same; and what it was answered last.

    Most polls are answered as the one before. Such an answer means what it meant, and isn't read again.

    :param state: where the wait began.
    :param handle: the job, of whose variables the request was made.
    :param polls: how many have been made.
    :param scope: all that selectors may name.
    :param request: the request.
    :param authorizer: puts the credentials on it.
    :param answer: status code and fingerprint of the last answer that the job is running.
    :param said: what that meant.
    """

    api: Api
    plan: WaitPlan
    state: Wait
    handle: JobHandle
    polls: int
    scope: Variables
    request: Request
    authorizer: RequestAuthorizer
    answer: tuple[int, bytes] | None = None
    said: Verdict | None = None

    @classmethod
    def of(cls, api: Api, plan: WaitPlan, state: Wait, handle: JobHandle, polls: int) -> _Poll:
        """Render the status request of a job."""
        scope = api.variables(handle.scope())
        request = api.request(plan.request, scope, reference_base=handle.urls.get("submit"))
        return cls(api, plan, state, handle, polls, scope, request, RequestAuthorizer(api))

    def renewed(self, handle: JobHandle) -> _Poll:
        """Give the poll that fits the job as it is known now."""
        if self.handle.variables is not handle.variables:
            return _Poll.of(self.api, self.plan, self.state, handle, self.polls)
        self.handle = handle
        return self

    def is_answer(self, response: Response) -> bool:
        """Tell whether the plan knows what a status code means, so that it is neither an error nor a redirect."""
        return speaks_of_status(self.plan.policy.rules, response, self.scope)

    def remember(self, plan: WaitPlan, response: Response, verdict: Verdict) -> None:
        """Remember an answer to this request, where all that it says stands in its body, and that isn't large."""
        if verdict is self.said or plan is not self.plan:
            return
        content = response.fingerprint
        if response.ok and not self.plan.reads_headers and content is not None and len(content) <= _REMEMBERED:
            self.answer, self.said = (response.status, content), verdict

    def forget(self) -> None:
        """Forget what was remembered."""
        self.answer = self.said = None

    def remembered(self, response: Response) -> Verdict | None:
        """Give what an answer means that was remembered; None where it is another one."""
        is_known = self.answer is not None and self.answer == (response.status, response.fingerprint)
        return self.said if is_known else None

    def skip_if_unchanged(self, response: Response) -> Polled | None:
        """Count a poll that the flow needn't be woken for: it found nothing new, and others may follow; else None."""
        schedule, said = self.plan.schedule, _retry_after(self.api, response)
        if self.remembered(response) is None or (said is not None and said > schedule.longest_retry_after):
            return None
        return self._counted(schedule.after_poll(self.polls + 1, said, self.api.rng), response)

    def skip_if_unchanged_in_batch(self, answers: BatchResponse) -> Polled | None:
        """Do the same with what the job was answered among others, who all wait the same time."""
        response, schedule = answers.response_for(self.handle.identifier), self.plan.schedule
        if response is None or self.remembered(response) is None or not schedule.is_even:
            return None
        return None if "retry-after" in response.headers else self._counted(schedule.interval, response)

    def _counted(self, pause: float, response: Response) -> Polled | None:
        now = self.api.clock()
        # Two of them, for the next poll, too, takes a moment.
        soon = now + 2 * pause
        if _is_last(self.plan, self.state, self.polls + 1, soon) or not self.authorizer.is_valid_at(soon):
            return None
        self.polls += 1
        return Polled(self.handle, self.polls, 0, changed=False, at=now, pause=pause, delay=response.delay)


def _poll_once(api: Api, plan: WaitPlan, poll: _Poll, state: Wait, handle: JobHandle) -> Flow[Answered]:
    """Ask for the status, and for the details of one that says success if the plan says how."""
    request, response, found = yield from _asked(api, plan, poll, state)
    if not isinstance(found, Verdict) or response is None:
        return Answered(plan, handle, request, response, found)
    answered = Answered(plan, _told(handle, plan, found, response, poll), request, response, found)
    if plan.status_details is None or found.outcome is not Outcome.SUCCESS:
        return answered
    confirming = confirm_success(api, plan.status_details, answered, handle)
    return (yield from within(confirming, latest_answer(api, state)))


def _asked(
    api: Api, plan: WaitPlan, poll: _Poll, state: Wait
) -> Flow[tuple[Request, Response | None, Verdict | AsyncApiError]]:
    """
    Poll once: give what was asked, the answer, and either what it means or what went wrong in passing.

    That is a :class:`ThrottledError` if no request may be sent until after the deadline.
    """
    while True:
        try:
            answered = _answered(api, plan, poll, state)
            request, response, absent = yield from within(answered, latest_answer(api, state))
            return request, response, absent or _judged(api, plan, poll, state, request, response)
        except ThrottledError as held:
            if state.deadline is not None and api.clock() >= state.deadline:
                yield Log(logging.WARNING, f"{held}; no last poll can be made at the deadline")
                return poll.request, None, held
            # Those who held back don't all come again at the same moment.
            pause = held.seconds + api.rng() * plan.schedule.interval
            yield Sleep(until_deadline(pause, state, api.clock()))
        except (TransportError, ContentError) as error:
            return poll.request, None, error


def latest_answer(api: Api, state: Wait) -> float | None:
    """Return when a poll is given up: the deadline holds whatever a server sends, but the last poll takes a moment."""
    return None if state.deadline is None else max(state.deadline, api.clock()) + LAST_POLL


def _answered(
    api: Api, plan: WaitPlan, poll: _Poll, state: Wait
) -> Flow[tuple[Request, Response, Verdict | AsyncApiError | None]]:
    """Ask for the job, among others where that is possible; where it isn't among them, say what that means."""
    job = state.handle
    if plan.batch is not None and job.identifier is not None:
        # At the deadline there is no time to wait for others.
        can_wait = state.deadline is None or api.clock() < state.deadline
        answers: BatchResponse = yield PollBatch(
            plan.batch, job.identifier, plan.schedule.interval, can_wait, poll.skip_if_unchanged_in_batch
        )
        request, response = answers.request, answers.response_for(job.identifier)
        if response is not None:
            return request, response, None
        if plan.batch.absent is not Absent.POLL:
            return request, Part(answers.response, None), _absent(api, plan.batch, request, job)
    stop = poll.is_answer if plan.policy.rules else None
    response = yield from send(
        api,
        poll.request,
        stop=stop,
        can_wait=True,
        skip_if_unchanged=poll.skip_if_unchanged,
        authorizer=poll.authorizer,
    )
    return poll.request, response, None


def _absent(api: Api, batch: Batch, request: Request, job: JobHandle) -> Verdict | AsyncApiError:
    """Say what it means that a job isn't in the answer to a batch."""
    if batch.absent is Absent.RETRY:
        return UnavailableError(f"{request}: the answer doesn't hold job {api.redact(str(job.identifier))}")
    return Verdict(Outcome(batch.absent), "absent")


def _judged(
    api: Api, plan: WaitPlan, poll: _Poll, state: Wait, request: Request, response: Response
) -> Verdict | AsyncApiError:
    """Say what an answer means, or what went wrong in passing."""
    if (said := poll.remembered(response)) is not None:
        return said
    may_be_hidden = _may_be_invisible(plan, state, api.clock())
    return judge_answer(api, plan, request, response, poll.scope, may_be_hidden=may_be_hidden)


def _may_be_invisible(plan: WaitPlan, state: Wait, now: float) -> bool:
    """Return whether the API may not know the job yet; a bare identifier counts as submitted when the wait began."""
    submitted_at = state.handle.submitted_at
    return now - (state.started_at if submitted_at is None else submitted_at) < plan.schedule.visible_after


def _told(handle: JobHandle, plan: WaitPlan, verdict: Verdict, response: Response, poll: _Poll) -> JobHandle:
    """Put into the handle what a poll has told, and where it was asked."""
    if verdict is poll.said or (not response.ok and not verdict.outcome.is_final):
        return handle
    url = shown_url(response.url.partition("?")[0])
    if handle.urls.get("status") != url:
        handle = dataclasses.replace(handle, urls={**handle.urls, "status": url})
    return updated(handle, plan, verdict, response, poll.scope)


def updated(handle: JobHandle, plan: WaitPlan, verdict: Verdict, response: Response, scope: Variables) -> JobHandle:
    """Put into the handle what a poll or a callback has told."""
    progress = plan.progress.fraction(response, scope) if plan.progress else None
    if verdict.outcome is Outcome.SUCCESS:
        progress = 1.0
    changes: dict[str, Any] = {
        "outcome": verdict.outcome if verdict.outcome.is_final else Outcome.RUNNING,
        "status": to_storable_status(verdict.value),
        "progress": handle.progress if progress is None else progress,
    }
    # Most polls find nothing new: then the handle stays the same, and with it the request that was made of it.
    if any(getattr(handle, name) != value for name, value in changes.items()):
        handle = dataclasses.replace(handle, **changes)
    found = captured(plan.captures, response, scope)
    if is_blank(found.get(RESULT_IDENTIFIER)):
        # Some APIs have the field from the start, and fill it at the end.
        del found[RESULT_IDENTIFIER]
    news = {
        name: value for name, value in found.items() if name not in handle.variables or handle.variables[name] != value
    }
    return handle.with_variables(news)


def ended(
    api: Api, plan: WaitPlan, handle: JobHandle, verdict: Verdict, request: Request, response: Response
) -> Flow[JobHandle]:
    """Return the handle of a job that ended well; raise for one that didn't."""
    if verdict.outcome is Outcome.FAILURE:
        # Before anything else is asked: a large answer is read on a thread, until the next request.
        said = said_in(api, response, plan.error_message, api.variables(handle.scope()))
        explained = yield from within(explain_failure(api, plan, handle), api.clock() + LONGEST_EXPLANATION)
        said, text = explained or (said, f"{said} ({request} answered {response.status})")
        what = described(api, handle) if verdict.known else _unlisted(api, plan, handle, verdict)
        raise about(JobFailedError(f"{what}: {text}"), request, response, said)
    place = plan.captures.get(RESULT_IDENTIFIER)
    if verdict.outcome is Outcome.SUCCESS and place is not None and RESULT_IDENTIFIER not in handle.variables:
        problem = as_unusable(api, request, response, MissingValueError(f"nothing found at {place}"))
        raise problem.with_message(f"{described(api, handle)}, but no {RESULT_IDENTIFIER}: {problem}")
    if verdict.outcome is Outcome.SUCCESS:
        yield from missing(plan.captures, handle.variables, request)
    yield Log(logging.INFO, f"{described(api, handle)}: {handle.outcome}")
    return handle


def _unlisted(api: Api, plan: WaitPlan, handle: JobHandle, verdict: Verdict) -> str:
    """Describe a status that is none of the values given, where these are all that there may be."""
    found = "nothing" if verdict.value is None else repr(api.redact.excerpt(as_text(verdict.value), 200))
    return (
        f"Job {api.redact(str(handle.identifier))}: the answer holds {found}{_where(plan)}, which is none of the values"
        " given (running_value closes the list)"
    )


def _is_last(plan: WaitPlan, state: Wait, polls: int, now: float) -> bool:
    over = state.deadline is not None and now >= state.deadline
    return over or (plan.schedule.max_polls is not None and polls >= plan.schedule.max_polls)


def _expired(
    api: Api,
    plan: WaitPlan,
    handle: JobHandle,
    state: Wait,
    polls: int,
    problem: AsyncApiError | None,
    doubted: frozenset[str | None],
) -> Flow[DeadlineError]:
    """
    Give the error of a wait that took too long, the job being cancelled.

    :param problem: what went wrong with the last poll, if anything.
    :param doubted: the statuses that nobody knew.
    """
    waited = api.clock() - state.started_at
    by_count = plan.schedule.max_polls is not None and polls >= plan.schedule.max_polls
    made = f"{polls} poll{'s' * (polls != 1)}"
    limit = "as many polls as allowed (max_iterations)" if by_count else "the deadline"
    last = f"; the last poll failed: {problem}" if problem else ""
    if handle.status is None and doubted == {None}:
        last += f"; no answer held a status{_where(plan)}, so that may be the wrong selector"
    if plan.cancel is not None:
        may_look = not isinstance(problem, SlowAnswerError)
        cancellation = yield from stop(api, plan, handle, "it wasn't done in time", may_look=may_look)
        last += f"; {cancellation.summary}"
    return DeadlineError(f"{described(api, handle)} and wasn't done by {limit}, after {waited:.0f} s and {made}{last}")


def expire(api: Api, plan: WaitPlan, state: Wait, problem: SlowAnswerError) -> Flow[NoReturn]:
    """
    End a wait whose flow looks at an answer beyond the deadline, and so can't end itself.

    :param state: where the wait stands.
    :param problem: which answer.
    :raises DeadlineError: in any case; the job has been cancelled then, if there is a request for that.
    """
    expired = _expired(api, plan, state.handle, state, state.polls + 1, problem, _warned_before(state))
    raise (yield from expired)


def stop(api: Api, plan: WaitPlan, handle: JobHandle, reason: str, *, may_look: bool = True) -> Flow[Cancellation]:
    """
    Cancel a job as its plan says, and ask what became of it if there is a request for that.

    :param may_look: whether its status can be asked for; not if the answer takes too long to look at.
    """
    assert plan.cancel is not None, "whoever stops a job knows how"  # noqa: S101 - for the type checker
    look = partial(ask_once, api, plan) if plan.polls and may_look else None
    return (yield from disallow_deferral(cancel(api, plan.cancel, handle, reason, look)))


def ask_once(api: Api, plan: WaitPlan, handle: JobHandle) -> Flow[JobHandle]:
    """
    Ask for the status of a job once, waiting for nobody.

    :return: the job as it is now; that it failed is no error here.
    :raises AsyncApiError: if that can't be told.
    """
    at_once = Wait(handle, started_at=0.0, deadline=0.0)
    poll = _Poll.of(api, plan, at_once, handle, 0)
    _, response, found = yield from _asked(api, plan, poll, at_once)
    if isinstance(found, AsyncApiError):
        raise found
    assert response is not None, "a verdict is on an answer"  # noqa: S101 - for the type checker
    return _told(handle, plan, found, response, poll)


def get_job(api: Api, plan: WaitPlan, handle: JobHandle) -> Flow[JobHandle]:
    """
    Poll a job once, and send the request for details of a success if the plan has one.

    :return: the job as it is now; that it failed is no error here.
    :raises AsyncApiError: if the answer doesn't say how the job is.
    """
    if handle.outcome.is_final:
        return handle
    now = api.clock()
    # At the deadline nobody waits for other jobs of a batch.
    state = Wait(handle, started_at=now, deadline=now)
    try:
        answered = yield from _poll_once(api, plan, _Poll.of(api, plan, state, handle, 0), state, handle)
        if isinstance(answered.found, AsyncApiError):
            raise answered.found
        assert answered.response is not None, "a verdict is on an answer"  # noqa: S101 - for the type checker
        yield from doubt(api, answered.plan, answered.request, answered.response, answered.found)
    except AsyncApiError as error:
        error.with_job(handle.identifier, handle.status)
        raise
    return answered.handle


def _first_delay(api: Api, plan: WaitPlan, state: Wait, *, spread: bool) -> float:
    """Return the seconds until the first poll that is made here."""
    now = api.clock()
    delay = state.due(plan.schedule) - now
    if spread and delay <= 0:
        delay = api.rng() * min(plan.schedule.interval, _LONGEST_SPREAD)
        # An overdue poll that was allowed before the deadline is allowed at the deadline.
        return delay if state.deadline is None else min(delay, max(0.0, state.deadline - now))
    return delay


def _sleep_until_next(api: Api, state: Wait, polls: int, pause: float) -> Flow[bool]:
    """
    Wait for the next poll, or until the deadline.

    :param polls: how many polls have been made.
    :param pause: seconds until the next poll.
    :return: whether the poll may be made now: not if it is due after the deadline only.
    """
    now = api.clock()
    due = now + pause
    is_too_late = polls > 0 and state.deadline is not None and due > state.deadline + SHORTEST_WAIT
    if pause > 0 and not (is_too_late and state.deadline is not None and now >= state.deadline):
        yield Sleep(until_deadline(pause, state, now))
    return not is_too_late or api.clock() > due - SHORTEST_WAIT


def _pause_after(
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
    Return the seconds from a poll to the next one, and log what went wrong.

    :raises UnavailableError: after too many transient errors in a row.
    """
    said, now = _retry_after(api, response), api.clock()
    if said is not None and said > (limit := plan.schedule.longest_retry_after):
        asked = f"Retry-After asks for a wait of {said:.0f} s"
        yield Log(logging.WARNING, f"{request}: {asked}; waiting {limit:.0f} s at most (max_interval)")
    if problem is None:
        return _fit(plan.schedule.after_poll(polls, said, api.rng), plan, state, said, now)
    pause = _fit(budget.wait(api, problem, response), plan, state, said, now)
    yield Log(logging.WARNING, f"{problem}; {_announced('polling again', pause, state, now)}")
    return pause


def _retry_after(api: Api, response: Response | None) -> float | None:
    """Return the seconds for which an answer asks for no other request; None if it doesn't."""
    return None if response is None else retry_after(response.headers.get("retry-after"), api.clock())


def _fit(pause: float, plan: WaitPlan, state: Wait, said: float | None, now: float) -> float:
    """
    Return the pause after a poll such that the last one can be made at the deadline, and no sooner than allowed.

    :param pause: seconds, as the schedule gives them.
    :param said: what ``Retry-After`` said, if anything.
    :return: seconds; beyond the deadline if no other poll is allowed before.
    """
    if state.deadline is None:
        return pause
    shortest, left = plan.schedule.shortest_pause(said), state.deadline - now
    # Another poll in between would leave too little time to the last one.
    return left if shortest <= left < pause + shortest else pause


def _announced(what: str, pause: float, state: Wait, now: float) -> str:
    is_possible = state.deadline is None or now + pause < state.deadline + SHORTEST_WAIT
    return f"{what} in {pause:.3g} s" if is_possible else "no other poll is allowed before the deadline"


def _warned_before(state: Wait) -> frozenset[str | None]:
    """Return the status of which another process has said that it isn't known, if it is unknown."""
    if not state.polls or "status" not in state.handle.urls:
        return frozenset()
    status = state.handle.status
    return frozenset({None if status is None else as_text(status)})


def until_deadline(pause: float, state: Wait, now: float) -> float:
    """Shorten a pause so that the last poll is made at the deadline; but a moment always passes."""
    return pause if state.deadline is None else min(pause, max(SHORTEST_WAIT, state.deadline - now))


def doubt(
    api: Api,
    plan: WaitPlan,
    request: Request,
    response: Response,
    verdict: Verdict,
    doubted: frozenset[str | None] = frozenset(),
) -> Flow[frozenset[str | None]]:
    """Say that a status isn't known, once for each; give ``doubted``, with the new one."""
    status = None if verdict.value is None else as_text(verdict.value)
    if verdict.known or status in doubted:
        return doubted
    if status is None:
        problem = MissingValueError(f"there is no status{_where(plan)}, so the job is taken for running")
        yield Log(logging.WARNING, unusable(api, request, response, problem))
    else:
        shown = api.redact.excerpt(status, 200)
        yield Log(
            logging.WARNING,
            f"{request}: the answer says {shown!r}, which none of the given values or rules knows; taken for running",
        )
    return doubted | {status}


def _where(plan: WaitPlan) -> str:
    return "" if plan.policy.key is None else f" at {plan.policy.key}"


def described(api: Api, handle: JobHandle) -> str:
    """Say which job, its status and its progress."""
    status = "has no status yet" if handle.status is None else f"has status {api.redact(as_text(handle.status))}"
    progress = "" if handle.progress is None else f", {handle.progress:.0%}"
    return f"Job {api.redact(str(handle.identifier))} {status}{progress}"
