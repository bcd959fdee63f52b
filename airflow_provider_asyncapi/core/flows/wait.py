"""Wait for a job: poll, judge, sleep, until it is over or the time is."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_asyncapi.core.effects import Flow, Log, Polled, Sleep
from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
    ConfigurationError,
    ContentError,
    DeadlineError,
    JobFailedError,
    TransportError,
)
from airflow_provider_asyncapi.core.flows.cancel import cancel
from airflow_provider_asyncapi.core.flows.exchange import Patience, is_transient, rejection, send, transient
from airflow_provider_asyncapi.core.flows.submit import Step
from airflow_provider_asyncapi.core.handle import JobHandle
from airflow_provider_asyncapi.core.messages import Request, Response
from airflow_provider_asyncapi.core.problems import error_message
from airflow_provider_asyncapi.core.progress import Progress
from airflow_provider_asyncapi.core.request_templates import REQUEST_PARAMETERS, RequestTemplate
from airflow_provider_asyncapi.core.rules import Outcome
from airflow_provider_asyncapi.core.schedule import SCHEDULE_PARAMETERS, PollSchedule, retry_after
from airflow_provider_asyncapi.core.selectors import Selection, capture, parse_captures
from airflow_provider_asyncapi.core.settings import Api
from airflow_provider_asyncapi.core.status import STATUS_PARAMETERS, StatusPolicy, Verdict
from airflow_provider_asyncapi.core.templates import Variables
from airflow_provider_asyncapi.core.values import as_text, shorten

RESULT_IDENTIFIER = "result_identifier"
WAIT_PARAMETERS = (
    *REQUEST_PARAMETERS,
    *STATUS_PARAMETERS,
    *SCHEDULE_PARAMETERS,
    RESULT_IDENTIFIER,
    "capture",
    "error_message",
    "progress",
    "cancel",
)
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class WaitPlan:
    """
    How a job is waited for.

    :param request: the status request.
    :param policy: what its answers mean.
    :param schedule: how often it is sent.
    :param captures: variables to take from the answers, the result identifier among them.
    :param error_message: where the answer says why the job failed.
    :param progress: where it says how far the job is.
    :param cancel: the request that stops the job.
    """

    request: RequestTemplate
    policy: StatusPolicy
    schedule: PollSchedule = field(default_factory=PollSchedule)
    captures: Mapping[str, Selection] = field(default_factory=dict)
    error_message: Selection | None = None
    progress: Progress | None = None
    cancel: Step | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any], *, complete: bool = True) -> WaitPlan:
        """
        Read the parameters of the sensor.

        :param given: a mapping with keys of :data:`WAIT_PARAMETERS`.
        :param complete: whether nothing can be added any more (by a profile), so that what is missing is an error.
        :raises ConfigurationError: naming the parameter that is wrong.
        """
        policy = StatusPolicy.parse(given, complete=complete)
        if complete and policy.is_empty:
            raise ConfigurationError(
                "completion_key: is missing; it is the selector of the job's status in the answer, such as 'data.status'"
                " (or give rules, or a profile)"
            )
        captures = parse_captures(given.get("capture"), "capture")
        if given.get(RESULT_IDENTIFIER) is not None:
            captures[RESULT_IDENTIFIER] = Selection.parse(given[RESULT_IDENTIFIER], RESULT_IDENTIFIER)
        request = {name: given[name] for name in REQUEST_PARAMETERS if given.get(name) is not None}
        return cls(
            RequestTemplate.parse(request, "status request"),
            policy,
            PollSchedule.parse(given),
            captures,
            Selection.parse_optional(given.get("error_message"), "error_message"),
            Progress.parse(given.get("progress")),
            Step.parse(given["cancel"], "cancel", method="POST") if given.get("cancel") is not None else None,
        )


@dataclass(frozen=True, slots=True)
class Wait:
    """
    Where a wait stands; plain data, so that it can go on in another process.

    :param handle: the job.
    :param started_at: when the wait began, in seconds since the epoch.
    :param deadline: when it ends, in seconds since the epoch; fixed once. None for never.
    :param polls: how many polls have been made.
    :param errors: how many of the last ones failed, in a row.
    """

    handle: JobHandle
    started_at: float
    deadline: float | None = None
    polls: int = 0
    errors: int = 0

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Wait:
        """Read what :meth:`dump` gave."""
        return cls(**{**given, "handle": JobHandle.parse(given["handle"])})

    def dump(self) -> dict[str, Any]:
        """Give the state as plain data."""
        return {**{f.name: getattr(self, f.name) for f in dataclasses.fields(self)}, "handle": self.handle.dump()}


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
    if handle.outcome.is_final:
        return handle
    patience = Patience(plan.schedule, state.errors)
    polls, warned, first = state.polls, set[str](), True
    if polls == 0 and plan.schedule.initial_delay:
        yield Sleep(_until_deadline(plan.schedule.initial_delay, state, api.clock()))
    while True:
        before = handle
        scope = {**api.scope, **handle.scope()}
        request = plan.request.render(scope, api.settings.base_url, reference_base=handle.urls.get("submit"))
        response, verdict, problem = yield from _poll(api, plan, request, scope, state.handle)
        polls += 1
        if verdict is not None:
            patience.errors = 0
            handle = _updated(handle, plan, verdict, response, scope)
            if verdict.outcome.is_final:
                yield Polled(handle, polls, 0, changed=True)
                return (yield from _ended(api, plan, handle, verdict, request, response))
            if not verdict.known and (text := as_text(verdict.value)) not in warned:
                warned.add(text)
                yield Log(logging.WARNING, _unknown(plan, request, verdict))
        if (now := api.clock()) >= (state.deadline or now + 1) or polls >= (plan.schedule.max_polls or polls + 1):
            raise (yield from _expired(api, plan, handle, state, polls, problem))
        if problem is None:
            said = retry_after(response.headers.get("retry-after"), now) if response else None
            pause = plan.schedule.after_poll(polls, said, api.rng)
        else:
            pause = patience.wait(api, problem, response)
        pause = _until_deadline(pause, state, now)
        changed = (handle.status, handle.progress) != (before.status, before.progress)
        if problem is not None:
            yield Log(logging.WARNING, f"{problem}; polling again in {pause:.3g} s")
        elif changed or first:
            first = False
            yield Log(logging.INFO, f"Job {handle.identifier}: {_described(handle)}; next poll in {pause:.3g} s")
        yield Polled(handle, polls, patience.errors, changed=changed)
        yield Sleep(pause)


def _poll(
    api: Api, plan: WaitPlan, request: Request, scope: Variables, submitted: JobHandle
) -> Flow[tuple[Response | None, Verdict | None, AsyncApiError | None]]:
    """Poll once: give the answer, and either what it means or what went wrong in passing."""
    response: Response | None = None
    try:
        response = yield from send(api, request, stop=lambda got: plan.policy.decides_on_status_code(got, scope))
        if response.ok or plan.policy.decides_on_status_code(response, scope):
            verdict = plan.policy.judge(response, scope)
            if verdict.outcome is Outcome.RETRY:
                return response, None, transient(api, request, response)
            return response, verdict, None
    except (TransportError, ContentError) as error:
        said = f"; the body begins: {shorten(api.redact(response.text))}" if response and response.body.strip() else ""
        named = error if response is None else type(error)(f"{request} answered {response.status}: {error}{said}")
        return response, None, named
    if response.status == _NOT_FOUND and _may_be_invisible(plan, submitted, api.clock()):
        return response, Verdict(Outcome.RUNNING, None), None
    if is_transient(response.status):
        return response, None, transient(api, request, response)
    raise rejection(api, request, response, message=plan.error_message)


def _may_be_invisible(plan: WaitPlan, submitted: JobHandle, now: float) -> bool:
    return submitted.submitted_at is not None and now - submitted.submitted_at < plan.schedule.visible_after


def _updated(
    handle: JobHandle, plan: WaitPlan, verdict: Verdict, response: Response | None, scope: Variables
) -> JobHandle:
    """Put into the handle what a poll has told."""
    if response is None or (not response.ok and not verdict.outcome.is_final):
        return handle
    progress = plan.progress.fraction(response, scope) if plan.progress else None
    if verdict.outcome is Outcome.SUCCESS:
        progress = 1.0
    try:
        captured = capture(plan.captures, response, scope)
    except ContentError:
        captured = {}
    status = verdict.value if isinstance(verdict.value, str | int | float | bool) else None
    return dataclasses.replace(
        handle,
        outcome=verdict.outcome if verdict.outcome.is_final else Outcome.RUNNING,
        status=shorten(status, 200) if isinstance(status, str) else status,
        progress=handle.progress if progress is None else progress,
        urls={**handle.urls, "status": response.url.partition("?")[0]},
    ).with_variables(captured)


def _ended(
    api: Api, plan: WaitPlan, handle: JobHandle, verdict: Verdict, request: Request, response: Response | None
) -> Flow[JobHandle]:
    """Return the handle of a job that ended well; raise for one that didn't."""
    if verdict.outcome is Outcome.FAILURE and response is not None:
        said = error_message(response, plan.error_message, {**api.scope, **handle.scope()}) or "no message"
        unknown = "" if verdict.known else ", which is none of the values given (running_value closes the list)"
        raise JobFailedError(
            f"Job {handle.identifier} failed with status {verdict.value!r}{unknown}: {api.redact(said)}"
            f" ({request} answered {response.status})"
        )
    yield Log(logging.INFO, f"Job {handle.identifier} ended: {_described(handle)}, {handle.outcome}")
    return handle


def _expired(
    api: Api, plan: WaitPlan, handle: JobHandle, state: Wait, polls: int, problem: AsyncApiError | None
) -> Flow[DeadlineError]:
    """Give the error of a wait that took too long, the job being cancelled."""
    waited = api.clock() - state.started_at
    by_count = plan.schedule.max_polls is not None and polls >= plan.schedule.max_polls
    limit = f"max_iterations ({polls})" if by_count else "its deadline"
    last = f"; the last poll failed: {problem}" if problem else ""
    if plan.cancel is not None:
        yield from cancel(api, plan.cancel, handle, "it wasn't done in time")
    return DeadlineError(
        f"Job {handle.identifier} wasn't done by {limit}: {_described(handle)} after {waited:.0f} s and {polls} polls{last}"
    )


def _until_deadline(pause: float, state: Wait, now: float) -> float:
    """Shorten a pause so that the last poll is made at the deadline."""
    return pause if state.deadline is None else min(pause, max(0.0, state.deadline - now))


def _unknown(plan: WaitPlan, request: Request, verdict: Verdict) -> str:
    found = f"holds nothing at {plan.policy.key}" if verdict.value is None else f"says {shorten(as_text(verdict.value), 200)!r}"
    return f"{request}: the answer {found}, which none of the given values or rules knows; taken for running"


def _described(handle: JobHandle) -> str:
    status = "no status yet" if handle.status is None else f"status {handle.status}"
    return status if handle.progress is None else f"{status}, {handle.progress:.0%}"
