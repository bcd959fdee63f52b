"""Wait for a job: poll, judge, sleep, until it is over or the time is."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from typing import Any

from airflow_provider_asyncapi.core.batch import Absent, Answers, Batch
from airflow_provider_asyncapi.core.effects import Ask, Flow, Log, Polled, Sleep
from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
    ContentError,
    DeadlineError,
    HeldError,
    JobFailedError,
    MissingValueError,
    TransportError,
    UnavailableError,
)
from airflow_provider_asyncapi.core.flows.cancel import cancel
from airflow_provider_asyncapi.core.flows.exchange import (
    Envelope,
    Patience,
    about,
    as_unusable,
    is_transient,
    rejection,
    said_in,
    send,
    speaks_of_status,
    transient,
    unusable,
)
from airflow_provider_asyncapi.core.flows.perform import captured, missing
from airflow_provider_asyncapi.core.handle import JobHandle
from airflow_provider_asyncapi.core.messages import Part, Request, Response
from airflow_provider_asyncapi.core.names import RESULT_IDENTIFIER, Outcome
from airflow_provider_asyncapi.core.plans.wait import Wait, WaitPlan
from airflow_provider_asyncapi.core.redaction import shown_url
from airflow_provider_asyncapi.core.schedule import SHORTEST_WAIT, retry_after
from airflow_provider_asyncapi.core.settings import Api
from airflow_provider_asyncapi.core.status import Verdict
from airflow_provider_asyncapi.core.templates import Variables
from airflow_provider_asyncapi.core.values import as_text, shorten

_NOT_FOUND = 404
#: Longer answers aren't kept from poll to poll, for there may be thousands of waits. Bytes.
_REMEMBERED = 4096
#: Seconds over which polls that are overdue together are spread.
_LONGEST_SPREAD = 60.0


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
    if handle.outcome is Outcome.FAILURE:
        raise JobFailedError(f"{described(api, handle)}: it has failed already")
    if handle.outcome.is_final:
        return handle
    patience = Patience(plan.schedule, state.errors)
    doubted, is_first = frozenset[str | None](), state.polls == 0
    poll = _Poll.of(api, plan, state, handle, state.polls)
    if (delay := _first_delay(api, plan, state, spread=spread)) > 0:
        yield Sleep(until_deadline(delay, state, api.clock()))
    while True:
        poll = poll.renewed(handle)
        request, response, found = yield from _asked(api, plan, poll, state)
        poll.polls = polls = poll.polls + 1
        seen = (handle.status, handle.progress)
        problem = found if isinstance(found, AsyncApiError) else None
        error = None if problem is None else str(problem)
        now = api.clock()
        if isinstance(found, Verdict) and response is not None:
            patience.errors = 0
            handle = _told(handle, plan, found, response, poll)
            if found.outcome.is_final:
                yield Polled(handle, polls, 0, changed=True, at=now)
                return (yield from ended(api, plan, handle, found, request, response))
            doubted = yield from doubt(api, plan, request, response, found, doubted)
            poll.remember(response, found)
        else:
            # After an error even an answer as before is news: that it is over.
            poll.forget()
        is_new = (handle.status, handle.progress) != seen
        if _is_last(plan, state, polls, now):
            errors = patience.errors + (problem is not None)
            yield Polled(handle, polls, errors, changed=is_new, at=now, error=error)
            never = handle.status is None and doubted == {None}
            raise (yield from _expired(api, plan, handle, state, polls, problem, never_found=never))
        if problem is not None:
            pause = until_deadline(patience.wait(api, problem, response), state, now)
            yield Log(logging.WARNING, f"{problem}; polling again in {pause:.3g} s")
        else:
            pause = until_deadline(_interval(api, plan, polls, response), state, now)
            if is_new or is_first:
                is_first = False
                yield Log(logging.INFO, f"{described(api, handle)}; next poll in {pause:.3g} s")
        yield Polled(handle, polls, patience.errors, changed=is_new, at=now, pause=pause, error=error)
        # Thousands may sleep, and none needs what it was answered.
        del response, found, problem
        yield Sleep(pause)


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
    :param envelope: what it is sent in.
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
    envelope: Envelope
    answer: tuple[int, bytes] | None = None
    said: Verdict | None = None

    @classmethod
    def of(cls, api: Api, plan: WaitPlan, state: Wait, handle: JobHandle, polls: int) -> _Poll:
        """Render the status request of a job."""
        scope = {**api.scope, **handle.scope()}
        request = plan.request.render(scope, api.settings.base_url, reference_base=handle.urls.get("submit"))
        return cls(api, plan, state, handle, polls, scope, request, Envelope(api))

    def renewed(self, handle: JobHandle) -> _Poll:
        """Give the poll that fits the job as it is known now."""
        if self.handle.variables is not handle.variables:
            return _Poll.of(self.api, self.plan, self.state, handle, self.polls)
        self.handle = handle
        return self

    def is_answer(self, response: Response) -> bool:
        """Tell whether the plan knows what a status code means, so that it is neither an error nor a redirect."""
        return speaks_of_status(self.plan.policy.rules, response, self.scope)

    def remember(self, response: Response, verdict: Verdict) -> None:
        """Remember an answer, where all that it says stands in its body, and that isn't large."""
        if verdict is self.said:
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

    def passed(self, response: Response) -> Polled | None:
        """Count a poll that the flow needn't be woken for: it found nothing new, and others may follow; else None."""
        if self.remembered(response) is None:
            return None
        return self._counted(_interval(self.api, self.plan, self.polls + 1, response))

    def passed_in(self, answers: Answers) -> Polled | None:
        """Do the same with what the job was answered among others, who all wait the same time."""
        response, schedule = answers.about(self.handle.identifier), self.plan.schedule
        if response is None or self.remembered(response) is None or not schedule.is_even:
            return None
        return None if "retry-after" in response.headers else self._counted(schedule.interval)

    def _counted(self, pause: float) -> Polled | None:
        now = self.api.clock()
        # Two of them, for the next poll, too, takes a moment.
        soon = now + 2 * pause
        if _is_last(self.plan, self.state, self.polls + 1, soon) or not self.envelope.is_good_at(soon):
            return None
        self.polls += 1
        return Polled(self.handle, self.polls, 0, changed=False, at=now, pause=pause)


def _asked(
    api: Api, plan: WaitPlan, poll: _Poll, state: Wait
) -> Flow[tuple[Request, Response | None, Verdict | AsyncApiError]]:
    """Poll once: give what was asked, the answer, and either what it means or what went wrong in passing."""
    while True:
        # The last poll, at the deadline, is made in any case.
        patient = state.deadline is None or api.clock() < state.deadline
        try:
            request, response, absent = yield from _answered(api, plan, poll, state.handle, patient=patient)
            return request, response, absent or _judged(api, plan, poll, state, request, response)
        except HeldError as held:
            # Those who held back don't all come again at the same moment.
            pause = held.seconds + api.rng() * plan.schedule.interval
            yield Sleep(until_deadline(pause, state, api.clock()))
        except (TransportError, ContentError) as error:
            return poll.request, None, error


def _answered(
    api: Api, plan: WaitPlan, poll: _Poll, job: JobHandle, *, patient: bool
) -> Flow[tuple[Request, Response, Verdict | AsyncApiError | None]]:
    """Ask for the job, among others where that is possible; where it isn't among them, say what that means."""
    if plan.batch is not None and job.identifier is not None:
        answers: Answers = yield Ask(plan.batch, job.identifier, plan.schedule.interval, patient, poll.passed_in)
        request, response = answers.request, answers.about(job.identifier)
        if response is not None:
            return request, response, None
        if plan.batch.absent is not Absent.POLL:
            return request, Part(answers.response, None), _absent(api, plan.batch, request, job)
    stop = poll.is_answer if plan.policy.rules else None
    response = yield from send(
        api, poll.request, stop=stop, patient=patient, passed=poll.passed, envelope=poll.envelope
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
    if response.ok or poll.is_answer(response):
        try:
            verdict = plan.policy.judge(response, poll.scope)
        except ContentError as error:
            return as_unusable(api, request, response, error)
        return transient(api, request, response) if verdict.outcome is Outcome.RETRY else verdict
    if response.status == _NOT_FOUND and _may_be_invisible(plan, state.handle, api.clock()):
        return Verdict(Outcome.RUNNING)
    if is_transient(response.status):
        return transient(api, request, response)
    raise rejection(api, request, response, message=plan.error_message)


def _may_be_invisible(plan: WaitPlan, submitted: JobHandle, now: float) -> bool:
    return submitted.submitted_at is not None and now - submitted.submitted_at < plan.schedule.visible_after


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
    status = verdict.value if isinstance(verdict.value, str | int | float | bool) else None
    changes: dict[str, Any] = {
        "outcome": verdict.outcome if verdict.outcome.is_final else Outcome.RUNNING,
        "status": shorten(status, 200) if isinstance(status, str) else status,
        "progress": handle.progress if progress is None else progress,
    }
    # Most polls find nothing new: then the handle stays the same, and with it the request that was made of it.
    if any(getattr(handle, name) != value for name, value in changes.items()):
        handle = dataclasses.replace(handle, **changes)
    found = captured(plan.captures, response, scope)
    news = {
        name: value for name, value in found.items() if name not in handle.variables or handle.variables[name] != value
    }
    return handle.with_variables(news)


def ended(
    api: Api, plan: WaitPlan, handle: JobHandle, verdict: Verdict, request: Request, response: Response
) -> Flow[JobHandle]:
    """Return the handle of a job that ended well; raise for one that didn't."""
    if verdict.outcome is Outcome.FAILURE:
        said = said_in(api, response, plan.error_message, {**api.scope, **handle.scope()})
        unknown = "" if verdict.known else ", which is none of the values given (running_value closes the list)"
        failure = JobFailedError(f"{described(api, handle)}{unknown}: {said} ({request} answered {response.status})")
        raise about(failure, request, response)
    place = plan.captures.get(RESULT_IDENTIFIER)
    if verdict.outcome is Outcome.SUCCESS and place is not None and RESULT_IDENTIFIER not in handle.variables:
        problem = as_unusable(api, request, response, MissingValueError(f"nothing found at {place}"))
        raise problem.with_message(f"{described(api, handle)}, but no {RESULT_IDENTIFIER}: {problem}")
    if verdict.outcome is Outcome.SUCCESS:
        yield from missing(plan.captures, handle.variables, request)
    yield Log(logging.INFO, f"{described(api, handle)}: {handle.outcome}")
    return handle


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
    *,
    never_found: bool,
) -> Flow[DeadlineError]:
    """Give the error of a wait that took too long, the job being cancelled."""
    waited = api.clock() - state.started_at
    by_count = plan.schedule.max_polls is not None and polls >= plan.schedule.max_polls
    made = f"{polls} poll{'s' * (polls != 1)}"
    limit = "as many polls as allowed (max_iterations)" if by_count else "the deadline"
    last = f"; the last poll failed: {problem}" if problem else ""
    if never_found:
        last += f"; no answer held a status{_where(plan)}, so that may be the wrong selector"
    if plan.cancel is not None:
        yield from cancel(api, plan.cancel, handle, "it wasn't done in time")
    return DeadlineError(f"{described(api, handle)} and wasn't done by {limit}, after {waited:.0f} s and {made}{last}")


def _first_delay(api: Api, plan: WaitPlan, state: Wait, *, spread: bool) -> float:
    """Give the time until the first poll that is made here."""
    delay = state.due(plan.schedule) - api.clock()
    if spread and delay <= 0:
        return api.rng() * min(plan.schedule.interval, _LONGEST_SPREAD)
    return delay


def _interval(api: Api, plan: WaitPlan, polls: int, response: Response | None) -> float:
    """Give the wait after a poll that was answered."""
    said = retry_after(response.headers.get("retry-after"), api.clock()) if response is not None else None
    return plan.schedule.after_poll(polls, said, api.rng)


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
