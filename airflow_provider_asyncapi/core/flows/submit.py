"""Submit a job, and start it where that takes a second request."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_asyncapi.core import rules
from airflow_provider_asyncapi.core.effects import Flow, Log, Sleep
from airflow_provider_asyncapi.core.errors import (
    AmbiguousSubmitError,
    AsyncApiError,
    ConfigurationError,
    ContentError,
    JobFailedError,
    MissingValueError,
    TransportError,
    UnavailableError,
)
from airflow_provider_asyncapi.core.flows.exchange import (
    Patience,
    is_transient,
    rejection,
    send,
    transient,
    was_not_taken,
)
from airflow_provider_asyncapi.core.handle import JobHandle, check_identifier
from airflow_provider_asyncapi.core.messages import Request, Response
from airflow_provider_asyncapi.core.problems import error_message
from airflow_provider_asyncapi.core.redaction import shown_url
from airflow_provider_asyncapi.core.request_templates import RequestTemplate
from airflow_provider_asyncapi.core.rules import Outcome, Rule
from airflow_provider_asyncapi.core.schedule import PollSchedule, parse_error_waits
from airflow_provider_asyncapi.core.selectors import Selection, capture, parse_captures
from airflow_provider_asyncapi.core.settings import Api
from airflow_provider_asyncapi.core.templates import Variables
from airflow_provider_asyncapi.core.values import shorten

IDEMPOTENCY_KEY = "idempotency_key"
#: A worker waits while submitting, so its patience is short: 1, 2, 4, 8 s.
_PATIENCE = PollSchedule(interval=1.0, max_errors=5)
STEP_PARAMETERS = ("rules", "capture", "error_message")


@dataclass(frozen=True, slots=True)
class Step:
    """
    One request that changes something, and what its answer means.

    :param name: for messages.
    :param request: the request.
    :param rules: what an answer means; without a match 2xx is a success.
    :param captures: what to take from the answer.
    :param error_message: where the answer says what is wrong.
    """

    name: str
    request: RequestTemplate
    rules: tuple[Rule, ...] = ()
    captures: Mapping[str, Selection] = field(default_factory=dict)
    error_message: Selection | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any], name: str, *, method: str | None = None) -> Step:
        """
        Read a step from plain data: a request, and beside it the keys of :data:`STEP_PARAMETERS`.

        :raises ConfigurationError: naming the part that is wrong.
        """
        if not isinstance(given, Mapping):
            raise ConfigurationError(f"{name}: has to be a mapping that describes a request, not {given!r}")
        return cls(
            name,
            RequestTemplate.parse(given, name, method=method, also=STEP_PARAMETERS),
            rules.parse_rules(given.get("rules"), f"{name}.rules" if name != "submit" else "rules"),
            parse_captures(given.get("capture"), "capture"),
            Selection.parse_optional(given.get("error_message"), "error_message"),
        )


@dataclass(frozen=True, slots=True)
class SubmitPlan:
    """
    How a job is submitted.

    :param submit: the request that makes the job.
    :param identifier: where the answer says which job it is.
    :param start: the request that starts or enqueues it, for APIs that need one.
    :param schedule: how many transient errors to bear, and how long to wait after each.
    """

    submit: Step
    identifier: Selection
    start: Step | None = None
    schedule: PollSchedule = _PATIENCE

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> SubmitPlan:
        """
        Read the parameters of the trigger operator.

        :raises ConfigurationError: naming the parameter that is wrong.
        """
        if given.get("identifier") is None:
            raise ConfigurationError(
                "identifier: is missing; it is the selector of the job's identifier in the answer, such as 'data.id' or"
                " 'header:Location'"
            )
        schedule = PollSchedule(
            interval=_PATIENCE.interval,
            max_errors=given.get("max_consecutive_errors") or _PATIENCE.max_errors,
            error_waits=parse_error_waits(given.get("error_waits")),
        )
        request = {name: value for name, value in given.items() if name in _STEP_KEYS}
        return cls(
            Step.parse(request, "submit", method="POST"),
            Selection.parse(given["identifier"], "identifier"),
            Step.parse(given["start"], "start", method="POST") if given.get("start") is not None else None,
            schedule,
        )


_STEP_KEYS = frozenset(
    {"method", "endpoint", "params", "headers", "json", "xml", "data", "files", *STEP_PARAMETERS}
)


def submit(api: Api, plan: SubmitPlan, variables: Variables) -> Flow[JobHandle]:
    """
    Submit the job and start it.

    :param variables: what the request may name: the idempotency key, the callback URL.
    :raises AmbiguousSubmitError: where the job may have been submitted, but the answer was lost.
    :raises MissingValueError: where the answer holds no identifier.
    :raises JobFailedError: where a rule says that the answer is a failure.
    :raises RequestRejectedError: where the API refused it.
    """
    scope = {**api.scope, **variables}

    def has_identifier(response: Response) -> bool:
        # A 303 or 201 with the job's Location is the answer; following it would lead past it.
        return not plan.identifier.needs_body and plan.identifier.value(response, scope) is not None

    submitted_at = api.clock()
    response, outcome = yield from _perform(api, plan.submit, scope, plan.schedule, stop=has_identifier)
    handle = JobHandle(
        None,
        outcome=Outcome.RUNNING if outcome is None else outcome,
        submitted_at=submitted_at,
        urls={"submit": _without_query(response.url)},
    )
    handle = handle.with_variables(capture(plan.submit.captures, response, scope))
    handle = _identified(api, plan, response, scope, handle)
    if handle.identifier is not None:
        yield Log(logging.INFO, f"Submitted job {handle.identifier} ({shown_url(response.url)})")
    if handle.outcome.is_final:
        yield Log(logging.INFO, f"The answer to the submission is final already: {handle.outcome}")
        return handle
    if plan.start is not None:
        started, outcome = yield from _perform(api, plan.start, {**scope, **handle.scope()}, plan.schedule, handle)
        handle = handle.with_variables(capture(plan.start.captures, started, {**scope, **handle.scope()}))
        yield Log(logging.INFO, f"Started job {handle.identifier}")
    return handle


def _identified(
    api: Api, plan: SubmitPlan, response: Response, scope: Variables, handle: JobHandle
) -> JobHandle:
    """Put the identifier into the handle; a job that is over may do without one."""
    import dataclasses

    problem: AsyncApiError
    try:
        found = plan.identifier.find(response, scope)
        if found is None:
            raise MissingValueError(f"{plan.identifier} found nothing in it")
        selector, value = found
        identifier = check_identifier(value)
    except (ContentError, MissingValueError) as error:
        problem = error
    else:
        named = handle.with_variables({selector.text: identifier})
        return dataclasses.replace(named, identifier=identifier)
    if handle.outcome.is_final:
        return handle
    raise MissingValueError(
        f"submit: {response.url and shown_url(response.url)} answered {response.status}, but there is no job identifier"
        f" in the answer: {problem}; looked for {plan.identifier}; the body begins:"
        f" {shorten(api.redact(response.text)) or '(empty)'}"
    ) from None


def _perform(
    api: Api,
    step: Step,
    scope: Variables,
    schedule: PollSchedule,
    handle: JobHandle | None = None,
    stop: Any = None,
) -> Flow[tuple[Response, Outcome | None]]:
    """Send a request that must not be repeated blindly; give the answer and what a rule said about it."""
    base = handle.urls.get("submit") if handle else None
    request = step.request.render(scope, api.settings.base_url, reference_base=base)
    repeatable = IDEMPOTENCY_KEY in step.request.names()
    patience = Patience(schedule)

    def is_answer(response: Response) -> bool:
        return any(rule.tests_status_code and rule.matches(response, scope) for rule in step.rules) or (
            stop is not None and stop(response)
        )

    while True:
        response: Response | None = None
        problem: AsyncApiError
        try:
            response = yield from send(api, request, stop=is_answer)
            rule = rules.first_match(step.rules, response, scope)
            if rule is None and not is_transient(response.status):
                if response.status >= 300 and not is_answer(response):  # noqa: PLR2004 - neither 2xx nor 1xx
                    raise rejection(api, request, response, message=step.error_message)
                return response, None
            if rule is not None and rule.outcome is Outcome.FAILURE:
                said = error_message(response, step.error_message, scope) or "no message in the body"
                raise JobFailedError(
                    f"{step.name}: {request} answered {response.status}, and a rule takes it for a failure:"
                    f" {api.redact(said)}"
                )
            if rule is not None and rule.outcome is not Outcome.RETRY:
                return response, rule.outcome
            problem = transient(api, request, response)
            if rule is None and not was_not_taken(response.status) and not repeatable:
                raise _ambiguous(step, request, problem)
        except TransportError as error:
            if error.sent and not repeatable:
                raise _ambiguous(step, request, error) from error
            problem = error
        wait = patience.wait(api, problem, response)
        yield Log(logging.WARNING, f"{problem}; trying again in {wait:.3g} s")
        yield Sleep(wait)


def _ambiguous(step: Step, request: Request, problem: AsyncApiError | UnavailableError) -> AmbiguousSubmitError:
    return AmbiguousSubmitError(
        f"{step.name}: {problem}. {request} may have been carried out, so it isn't repeated: look in the remote system,"
        f" and clear the task if there is no job. Where the API takes an idempotency key, put {{{IDEMPOTENCY_KEY}}} into"
        " the request (a header, a parameter or the body), and it is repeated safely"
    )


def _without_query(url: str) -> str:
    return url.partition("?")[0]
