"""Submit a job, and start it where that takes a second request."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Mapping

from airflow_provider_asyncapi.core import rules
from airflow_provider_asyncapi.core.effects import Flow, Log, Polled
from airflow_provider_asyncapi.core.errors import (
    AmbiguousSubmitError,
    AsyncApiError,
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
from airflow_provider_asyncapi.core.names import IDEMPOTENCY_KEY, Outcome
from airflow_provider_asyncapi.core.plans.step import Step
from airflow_provider_asyncapi.core.plans.submit import SubmitPlan
from airflow_provider_asyncapi.core.redaction import shown_url
from airflow_provider_asyncapi.core.schedule import PollSchedule
from airflow_provider_asyncapi.core.selectors import Selection, capture
from airflow_provider_asyncapi.core.settings import Api
from airflow_provider_asyncapi.core.templates import Variables
from airflow_provider_asyncapi.core.values import JsonValue

#: These redirects say where to send the request instead; the Location of any other may be the job.
_MOVED = frozenset({301, 307, 308})


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
    for step in plan.start:
        if handle.outcome.is_final:
            break
        scope = {**scope, **handle.scope()}
        started, outcome = yield from perform(api, step, scope, plan.schedule, base=address)
        handle = dataclasses.replace(handle, outcome=outcome or Outcome.RUNNING)
        handle = handle.with_variables(captured(step.captures, started, scope))
        yield Log(logging.INFO, f"Started job {api.redact(str(handle.identifier))}")
    if handle.outcome.is_final:
        yield Log(logging.INFO, f"The job is over already: {handle.outcome}")
    return handle


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
            # What was redirected was taken, whatever the place says that it led to.
            taken = response.url != request.url or not was_not_taken(response.status)
            if outcome is None and taken and not repeatable:
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
