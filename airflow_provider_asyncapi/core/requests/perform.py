"""One request that changes something: when it may be repeated, and what its answer means."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Container, Mapping
from functools import partial

from airflow_provider_asyncapi.core.connection.settings import Api
from airflow_provider_asyncapi.core.effects import Flow, Log
from airflow_provider_asyncapi.core.errors import (
    AmbiguousSubmitError,
    AsyncApiError,
    ContentError,
    JobFailedError,
    RedirectError,
    ResponseError,
    TransportError,
)
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.outcome import IDEMPOTENCY_KEY, Outcome
from airflow_provider_asyncapi.core.requests.exchange import (
    RetryBudget,
    Stop,
    about,
    answered,
    as_unusable,
    is_transient,
    reads_error,
    rejection,
    said_in,
    send,
    speaks_of_status,
    transient,
    was_not_taken,
)
from airflow_provider_asyncapi.core.requests.schedule import PollSchedule
from airflow_provider_asyncapi.core.requests.step import Step
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain, capture_values
from airflow_provider_asyncapi.core.status import rules
from airflow_provider_asyncapi.core.templates import Variables

#: It leads to a page that is another question: what was asked for is done (RFC 9110, section 15.4.4).
_SEE_OTHER = 303


def perform(
    api: Api,
    step: Step,
    scope: Variables,
    schedule: PollSchedule,
    *,
    base: str | None = None,
    stop: Stop = lambda _: False,
    repeatable: bool | None = None,
    redirect_accepts: bool = False,
) -> Flow[tuple[Response, Outcome | None]]:
    """
    Send a request that changes something.

    :param base: the URL against which references from the API are resolved.
    :param stop: tells that an answer is final although its status code says redirect.
    :param repeatable: whether doing it twice does no harm; by default where the request names the idempotency key.
    :param redirect_accepts: whether a redirect to another page (303) says that the request was carried out, however
        that page is answered.
    :return: a good answer, and the outcome where a rule gave one.
    :raises AsyncApiError: as :func:`submit` does.
    """
    request = api.request(step.request, scope, reference_base=base)
    repeatable = step.is_repeatable if repeatable is None else repeatable
    budget = RetryBudget(schedule)

    def is_answer(response: Response) -> bool:
        return speaks_of_status(step.rules, response, scope) or stop(response)

    while True:
        response: Response | None = None
        problem: AsyncApiError
        try:
            sending = send if not redirect_accepts else partial(_send_accepted, step)
            response = yield from sending(api, request, stop=is_answer, repeatable=repeatable)
        except TransportError as error:
            if error.sent and not repeatable:
                raise ambiguous(step, request, error) from error
            problem = error
        else:
            outcome = _outcome(api, step, request, response, scope)
            if outcome is None and not is_transient(response.status):
                if response.ok or stop(response) or (redirect_accepts and response.status == _SEE_OTHER):
                    return response, None
                raise rejection(api, request, response, message=step.error_message)
            if outcome not in (None, Outcome.RETRY):
                return response, outcome
            problem = transient(api, request, response)
            # What was redirected was taken, whatever the place says that it led to.
            taken = response.url != request.url or not was_not_taken(response.status)
            if outcome is None and taken and not repeatable:
                raise ambiguous(step, request, problem) from problem
        yield from budget.pause(api, problem, response)


def _send_accepted(step: Step, api: Api, request: Request, *, stop: Stop, repeatable: bool) -> Flow[Response]:
    """
    Send a request that counts as carried out if it is answered with a redirect to another page (303).

    :return: the page; the redirect if the page can't be had.
    """
    redirects: list[Response] = []

    def is_answer(response: Response) -> bool:
        is_final = stop(response)
        if response.status == _SEE_OTHER and not is_final:
            redirects.append(response)
        return is_final

    try:
        response = yield from send(api, request, stop=is_answer, repeatable=repeatable)
    except (TransportError, RedirectError) as error:
        if not redirects:
            raise
        problem: AsyncApiError = error
    else:
        if not redirects or response.ok or stop(response):
            return response
        problem = rejection(api, Request("GET", response.url), response)
    yield Log(
        logging.WARNING,
        f"{step.name}: {request} answered {_SEE_OTHER}, so it was carried out; the page after it: {problem}",
    )
    return redirects[-1]


def _outcome(api: Api, step: Step, request: Request, response: Response, scope: Variables) -> Outcome | None:
    """Ask the rules; a failure is raised at once."""
    is_read = speaks_of_status(step.rules, response, scope) or reads_error(step.rules, response, scope)
    if not response.ok and not is_read:
        return None
    try:
        rule = rules.find_match(step.rules, response, scope)
    except ResponseError as error:
        problem = as_unusable(api, request, response, error)
        raise problem.with_message(f"{step.name}: the rules can't be asked: {problem}") from None
    if rule is not None and rule.outcome is Outcome.FAILURE:
        said = said_in(api, response, step.error_message, scope)
        shown = answered(request, response)
        failure = f"{step.name}: {shown} answered {response.status}, and a rule takes it for a failure: {said}"
        raise about(JobFailedError(failure), request, response, said)
    return None if rule is None else rule.outcome


def ambiguous(step: Step, request: Request, problem: AsyncApiError | str) -> AmbiguousSubmitError:
    """Make the error of a request that may have been carried out, and can't be repeated."""
    error = AmbiguousSubmitError(
        f"{step.name}: {problem}. {request} may have been carried out, so it isn't repeated: look in the remote"
        " system, and clear the task if there is no job. Where the API takes an idempotency key, put"
        f" {{{IDEMPOTENCY_KEY}}} into the request (a header, a parameter or the body), and it is repeated safely; where"
        " it can be asked for the job, lookup says how"
    )
    return error.with_fields_of(problem) if isinstance(problem, AsyncApiError) else about(error, request)


def missing(captures: Mapping[str, SelectorChain], found: Container[str], request: Request) -> Flow[None]:
    """Say which captures have found nothing; the job goes on, for perhaps nobody needs them."""
    lacking = [f"{{{name}}} at {selection}" for name, selection in captures.items() if name not in found]
    if lacking:
        yield Log(
            logging.WARNING,
            f"capture: the answer to {request} holds nothing for {', '.join(lacking)}; a request that names it fails",
        )


def captured(captures: Mapping[str, SelectorChain], response: Response, scope: Variables) -> dict[str, JsonValue]:
    """Take from an answer what it holds; one that can't be read holds nothing, but the job goes on."""
    found: dict[str, JsonValue] = {}
    for name, selection in captures.items():
        with contextlib.suppress(ContentError):
            found |= capture_values({name: selection}, response, scope)
    return found
