"""Send the request of a step: repeat it if that is safe, and classify its response."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Container, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, Log
from airflow_provider_asyncapi.core.errors import (
    AmbiguousSubmitError,
    AsyncApiError,
    ContentError,
    FileUnavailableError,
    JobFailedError,
    RedirectError,
    ResponseError,
    TransportError,
)
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.lazy import LazyModule
from airflow_provider_asyncapi.core.outcome import IDEMPOTENCY_KEY, Outcome
from airflow_provider_asyncapi.core.requests.classification import (
    is_transient,
    rule_handles_error_body,
    rule_handles_status_code,
)
from airflow_provider_asyncapi.core.requests.exchange import send
from airflow_provider_asyncapi.core.requests.request_files import build_request, inspect_files
from airflow_provider_asyncapi.core.requests.request_step import RequestStep
from airflow_provider_asyncapi.core.requests.response_errors import (
    NO_MESSAGE,
    build_bad_response_error,
    build_rejection_error,
    build_transient_error,
    describe_answered_request,
    extract_error_message,
    set_error_fields,
)
from airflow_provider_asyncapi.core.requests.response_policy import ResponsePolicy
from airflow_provider_asyncapi.core.requests.retries import RetryBudget
from airflow_provider_asyncapi.core.requests.schedule import PollSchedule
from airflow_provider_asyncapi.core.selectors.captures import capture_values
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.status import rules
from airflow_provider_asyncapi.core.templates import Variables

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.requests import resumable_upload
else:
    # Few requests send a file in parts.
    resumable_upload = LazyModule("airflow_provider_asyncapi.core.requests.resumable_upload")

_NO_VARIABLES: Variables = MappingProxyType({})


def send_step(
    api: Api,
    step: RequestStep,
    scope: Variables,
    schedule: PollSchedule,
    policy: ResponsePolicy,
    *,
    base: str | None = None,
    path_variables: Variables = _NO_VARIABLES,
) -> Flow[tuple[Response, Outcome | None]]:
    """
    Send the request of a step.

    :param policy: what its responses mean, beside the rules of the step.
    :param base: the URL against which references from the API are resolved.
    :param path_variables: the variables that the paths of files may name: the task's, and none of a response.
    :return: the response, and its outcome by the rules; None if no rule matches.
    :raises AmbiguousSubmitError: if the request may have been carried out, and can't be repeated.
    :raises JobFailedError: if a rule classifies the response as a failure.
    :raises RequestRejectedError: if the API rejects the request.
    :raises UnavailableError: after too many transient errors in a row.
    :raises FileUnavailableError: if a file of the body can't be read, or changes while it is sent.
    """
    files = yield from inspect_files(api, step.request, path_variables)
    transfer: _WholeRequest | resumable_upload.ResumableUpload
    if step.resume is None:
        request = yield from build_request(api, step.request, scope, files, reference_base=base)
        transfer = _WholeRequest(api, step, request)
    else:
        transfer = resumable_upload.ResumableUpload(api, step.resume, step.request, scope, files[""], base)
        request = yield from transfer.build_request()
    budget = RetryBudget(schedule)
    sending_policy = policy.also_final(step.rules, scope)
    while True:
        response: Response | None = None
        problem: AsyncApiError
        try:
            response = yield from _mark_repetition(budget, transfer.send(sending_policy))
        except TransportError as error:
            if not policy.may_repeat(request, error):
                raise build_ambiguous_error(step, request, error) from error
            problem = error
        else:
            outcome = _find_outcome(api, step, request, response, scope)
            if outcome is None and not transfer.takes_for_transient(response):
                if policy.accepts(response):
                    return response, None
                raise build_rejection_error(api, request, response, message=step.error_message)
            if outcome not in (None, Outcome.RETRY):
                return response, outcome
            problem = build_transient_error(api, request, response)
            # A rule with the outcome RETRY states that the request wasn't processed.
            if outcome is None and not policy.may_repeat(request, response):
                raise build_ambiguous_error(step, request, problem) from problem
        budget.count_progress(transfer.received)
        yield from budget.wait_before_retry(api, problem, response)


@dataclass(frozen=True, slots=True)
class _WholeRequest:
    """The transfer of a request that is sent as a whole, with the interface of :class:`~.ResumableUpload`."""

    api: Api
    step: RequestStep
    request: Request
    received: int = 0

    def send(self, policy: ResponsePolicy) -> Flow[Response]:
        return _send_until_accepted(self.api, self.step, self.request, policy)

    @staticmethod
    def takes_for_transient(response: Response) -> bool:
        return is_transient(response.status)


def _mark_repetition(budget: RetryBudget, sending: Flow[Response]) -> Flow[Response]:
    """Send a request; if a file can't be read now, note in the error whether the request was sent before."""
    try:
        return (yield from sending)
    except FileUnavailableError as error:
        error.sent = budget.errors > 0
        raise


def _send_until_accepted(api: Api, step: RequestStep, request: Request, policy: ResponsePolicy) -> Flow[Response]:
    """
    Send a request, and follow its redirects; if one of them accepts the request, the page after it doesn't matter.

    :return: the last response; the redirect that accepts the request if the page after it can't be requested.
    """
    redirects: list[Response] = []

    def is_final(response: Response) -> bool:
        if policy.ends_exchange(response):
            return True
        if policy.accepts_by_redirect(response):
            redirects.append(response)
        return False

    try:
        response = yield from send(api, request, dataclasses.replace(policy, is_final=is_final))
    except (TransportError, RedirectError) as error:
        if not redirects:
            raise
        problem: AsyncApiError = error
    else:
        if not redirects or response.ok or policy.ends_exchange(response):
            return response
        problem = build_rejection_error(api, Request("GET", response.url), response)
    yield Log(
        logging.WARNING,
        f"{step.name}: {request} answered {HTTPStatus.SEE_OTHER}, so it was carried out; the page after it: {problem}",
    )
    return redirects[-1]


def _find_outcome(
    api: Api, step: RequestStep, request: Request, response: Response, scope: Variables
) -> Outcome | None:
    """
    Return the outcome of a response by the rules; None if no rule matches.

    :raises JobFailedError: if it is a failure.
    """
    is_read = rule_handles_status_code(step.rules, response, scope) or rule_handles_error_body(
        step.rules, response, scope
    )
    if not response.ok and not is_read:
        return None
    try:
        rule = rules.find_match(step.rules, response, scope)
    except ResponseError as error:
        problem = build_bad_response_error(api, request, response, error)
        raise problem.with_message(f"{step.name}: the rules can't be evaluated: {problem}") from None
    if rule is not None and rule.outcome is Outcome.FAILURE:
        message = extract_error_message(api, response, step.error_message, scope)
        answered = f"{describe_answered_request(request, response)} answered {response.status}"
        failure = f"{step.name}: {answered}, which is a failure by a rule: {message or NO_MESSAGE}"
        raise set_error_fields(JobFailedError(failure), request, response, message)
    return None if rule is None else rule.outcome


def build_ambiguous_error(step: RequestStep, request: Request, problem: AsyncApiError | str) -> AmbiguousSubmitError:
    """Return the error about a request that may have been carried out, and can't be repeated."""
    status_code = problem.status_code if isinstance(problem, AsyncApiError) else None
    advice = (
        ""
        if status_code is None
        else f". If the API answers {status_code} only when it has done nothing, add a rule for this status code with"
        " the outcome 'retry'"
    )
    error = AmbiguousSubmitError(
        f"{step.name}: {problem}. {request} may have been carried out, so it isn't repeated: look in the remote"
        " system, and clear the task if there is no job. If the API accepts an idempotency key, put"
        f" {{{IDEMPOTENCY_KEY}}} into the request (a header, a parameter or the body): then it can be repeated safely."
        f" If the API can find the job, set lookup{advice}"
    )
    return error.set_fields_from(problem) if isinstance(problem, AsyncApiError) else set_error_fields(error, request)


def warn_missing_captures(captures: Mapping[str, SelectorChain], found: Container[str], request: Request) -> Flow[None]:
    """Log which captures have found nothing; this is no error, since the values may not be needed."""
    missing = [f"{{{name}}} at {selection}" for name, selection in captures.items() if name not in found]
    if missing:
        yield Log(
            logging.WARNING,
            f"capture: the response to {request} contains nothing for {', '.join(missing)};"
            " a request that names it fails",
        )


def extract_captures(
    captures: Mapping[str, SelectorChain], response: Response, scope: Variables
) -> dict[str, JsonValue]:
    """Return the captured values of a response; a capture that can't read the response is left out."""
    found: dict[str, JsonValue] = {}
    for name, selection in captures.items():
        with contextlib.suppress(ContentError):
            found |= capture_values({name: selection}, response, scope)
    return found
