"""Submit a job, and start it where that takes a second request."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_asyncapi.core import rules
from airflow_provider_asyncapi.core.effects import Flow, Log, Polled
from airflow_provider_asyncapi.core.errors import (
    AmbiguousSubmitError,
    AsyncApiError,
    ConfigurationError,
    ContentError,
    JobFailedError,
    MissingValueError,
    ResponseError,
    TransportError,
)
from airflow_provider_asyncapi.core.flows.exchange import (
    Patience,
    Stop,
    is_transient,
    rejection,
    said_in,
    send,
    speaks_of_status,
    transient,
    unusable,
    was_not_taken,
)
from airflow_provider_asyncapi.core.handle import JobHandle, check_identifier
from airflow_provider_asyncapi.core.messages import Request, Response
from airflow_provider_asyncapi.core.redaction import shown_url
from airflow_provider_asyncapi.core.request_templates import REQUEST_PARAMETERS, RequestTemplate
from airflow_provider_asyncapi.core.rules import Outcome, Rule
from airflow_provider_asyncapi.core.schedule import PollSchedule, parse_error_waits
from airflow_provider_asyncapi.core.selectors import Selection, capture, parse_captures
from airflow_provider_asyncapi.core.settings import Api
from airflow_provider_asyncapi.core.templates import Variables
from airflow_provider_asyncapi.core.values import JsonValue

IDEMPOTENCY_KEY = "idempotency_key"
#: These redirects say where to send the request instead; the Location of any other may be the job.
_MOVED = frozenset({301, 307, 308})
#: A worker waits while submitting, so its patience is short: 1, 2, 4, 8 s.
_PATIENCE = PollSchedule(interval=1.0, max_errors=5)
STEP_PARAMETERS = ("rules", "capture", "error_message")
#: What a trigger operator takes.
SUBMIT_PARAMETERS = (
    *REQUEST_PARAMETERS,
    *STEP_PARAMETERS,
    "identifier",
    "start",
    "variables",
    "max_consecutive_errors",
    "error_waits",
)


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
    :param variables: what the author calls by name in this and all later requests.
    :param schedule: how many transient errors to bear, and how long to wait after each.
    """

    submit: Step
    identifier: Selection
    start: Step | None = None
    variables: Mapping[str, JsonValue] = field(default_factory=dict)
    schedule: PollSchedule = _PATIENCE

    @classmethod
    def parse(cls, given: Mapping[str, Any], *, complete: bool = True) -> SubmitPlan:
        """
        Read the parameters of the trigger operator.

        :param complete: whether nothing can be added any more (by a profile), so that what is missing is an error.

        :raises ConfigurationError: naming the parameter that is wrong.
        """
        if complete and given.get("identifier") is None:
            raise ConfigurationError(
                "identifier: is missing; it is the selector of the job's identifier in the answer, such as 'data.id' or"
                " 'header:Location'"
            )
        schedule = PollSchedule(
            interval=_PATIENCE.interval,
            max_errors=given.get("max_consecutive_errors") or _PATIENCE.max_errors,
            error_waits=parse_error_waits(given.get("error_waits")),
        )
        request = {name: value for name, value in given.items() if name in (*REQUEST_PARAMETERS, *STEP_PARAMETERS)}
        return cls(
            Step.parse(request, "submit", method="POST"),
            Selection.parse_optional(given.get("identifier"), "identifier") or Selection(()),
            Step.parse(given["start"], "start", method="POST") if given.get("start") is not None else None,
            _checked_variables(given.get("variables") or {}),
            schedule,
        )


def submit(api: Api, plan: SubmitPlan, variables: Variables) -> Flow[JobHandle]:
    """
    Submit the job and start it.

    As soon as the job has an identifier, :class:`~..effects.Polled` tells it to whoever keeps the state.

    :param variables: what the request may name: the idempotency key, the callback URL.
    :return: the handle; its outcome is final where an answer said so already.
    :raises AmbiguousSubmitError: where the job may have been submitted, but the answer was lost.
    :raises MissingValueError: where the answer holds no identifier.
    :raises JobFailedError: where a rule says that the answer is a failure.
    :raises RequestRejectedError: where the API refused it.
    """
    scope = {**api.scope, **plan.variables, **variables}

    def has_identifier(response: Response) -> bool:
        # A 303 or 201 with the job's Location is the answer; following it would lead past it.
        return (
            response.status < 400  # noqa: PLR2004 - the errors
            and response.status not in _MOVED
            and any(not each.needs_body and each.find(response, scope) for each in plan.identifier.selectors)
        )

    submitted_at = api.clock()
    response, outcome = yield from perform(api, plan.submit, scope, plan.schedule, stop=has_identifier)
    address = shown_url(response.url.partition("?")[0])
    handle = JobHandle(None, outcome or Outcome.RUNNING, submitted_at=submitted_at, urls={"submit": address})
    handle = _identified(api, plan, response, scope, handle.with_variables(plan.variables))
    if handle.identifier is not None:
        yield Log(logging.INFO, f"Submitted job {api.redact(str(handle.identifier))} ({address})")
        yield Polled(handle, 0, 0, changed=True)
    handle = handle.with_variables(captured(plan.submit.captures, response, scope))
    if plan.start is not None and not handle.outcome.is_final:
        scope = {**scope, **handle.scope()}
        started, outcome = yield from perform(api, plan.start, scope, plan.schedule, base=address)
        handle = dataclasses.replace(handle, outcome=outcome or Outcome.RUNNING)
        handle = handle.with_variables(captured(plan.start.captures, started, scope))
        yield Log(logging.INFO, f"Started job {api.redact(str(handle.identifier))}")
    if handle.outcome.is_final:
        yield Log(logging.INFO, f"The job is over already: {handle.outcome}")
    return handle


def _checked_variables(given: Any) -> Mapping[str, JsonValue]:
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"variables: has to be a mapping of names to values, not {type(given).__name__}")
    return given


def captured(captures: Mapping[str, Selection], response: Response, scope: Variables) -> dict[str, JsonValue]:
    """Take from an answer what it holds; one that can't be read holds nothing, but the job goes on."""
    found: dict[str, JsonValue] = {}
    for name, selection in captures.items():
        with contextlib.suppress(ContentError):
            found |= capture({name: selection}, response, scope)
    return found


def _identified(api: Api, plan: SubmitPlan, response: Response, scope: Variables, handle: JobHandle) -> JobHandle:
    """Put the identifier into the handle; a job that is over may do without one."""
    try:
        found = plan.identifier.find(response, scope)
        if found is None:
            raise MissingValueError("nothing found")  # noqa: TRY301 - one message for all that can be wrong
        selector, value = found
        identifier = check_identifier(value)
    except (ContentError, MissingValueError) as error:
        if handle.outcome.is_final:
            return handle
        request = Request(plan.submit.request.method, response.url)
        raise MissingValueError(
            f"submit: there is no job identifier at {plan.identifier}: {unusable(api, request, response, error)}"
        ) from None
    return dataclasses.replace(handle.with_variables({selector.text: identifier}), identifier=identifier)


def perform(
    api: Api,
    step: Step,
    scope: Variables,
    schedule: PollSchedule,
    *,
    base: str | None = None,
    stop: Stop = lambda _: False,
    repeatable: bool = False,
) -> Flow[tuple[Response, Outcome | None]]:
    """
    Send a request that changes something.

    :param base: the URL against which references from the API are resolved.
    :param stop: tells that an answer is final although its status code says redirect.
    :param repeatable: whether doing it twice does no harm; so it is with an idempotency key in the request.
    :return: a good answer, and the outcome where a rule gave one.
    :raises AsyncApiError: as :func:`submit` does.
    """
    request = step.request.render(scope, api.settings.base_url, reference_base=base)
    repeatable = repeatable or IDEMPOTENCY_KEY in step.request.names()
    patience = Patience(schedule)

    def is_answer(response: Response) -> bool:
        return speaks_of_status(step.rules, response, scope) or stop(response)

    while True:
        response: Response | None = None
        problem: AsyncApiError
        try:
            response = yield from send(api, request, stop=is_answer)
        except TransportError as error:
            if error.sent and not repeatable:
                raise _ambiguous(step, request, error) from error
            problem = error
        else:
            outcome = _outcome(api, step, request, response, scope)
            if outcome is None and not is_transient(response.status):
                if response.ok or stop(response):
                    return response, None
                raise rejection(api, request, response, message=step.error_message)
            if outcome not in (None, Outcome.RETRY):
                return response, outcome
            problem = transient(api, request, response)
            if outcome is None and not was_not_taken(response.status) and not repeatable:
                raise _ambiguous(step, request, problem)
        yield from patience.pause(api, problem, response)


def _outcome(api: Api, step: Step, request: Request, response: Response, scope: Variables) -> Outcome | None:
    """Ask the rules; a failure is raised at once."""
    if not response.ok and not speaks_of_status(step.rules, response, scope):
        return None
    try:
        rule = rules.first_match(step.rules, response, scope)
    except ResponseError as error:
        problem = unusable(api, request, response, error)
        raise type(error)(f"{step.name}: the rules can't be asked: {problem}") from None
    if rule is not None and rule.outcome is Outcome.FAILURE:
        raise JobFailedError(
            f"{step.name}: {request} answered {response.status}, and a rule takes it for a failure:"
            f" {said_in(api, response, step.error_message, scope)}"
        )
    return None if rule is None else rule.outcome


def _ambiguous(step: Step, request: Request, problem: AsyncApiError) -> AmbiguousSubmitError:
    return AmbiguousSubmitError(
        f"{step.name}: {problem}. {request} may have been carried out, so it isn't repeated: look in the remote"
        " system, and clear the task if there is no job. Where the API takes an idempotency key, put"
        f" {{{IDEMPOTENCY_KEY}}} into the request (a header, a parameter or the body), and it is repeated safely"
    )
