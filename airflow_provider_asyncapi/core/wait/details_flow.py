"""Confirm the success of a job, or find out why it failed, with further requests."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from http import HTTPStatus

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, Log
from airflow_provider_asyncapi.core.errors import AsyncApiError, ContentError, TransportError
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.json_values import is_scalar
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.requests.classification import (
    is_transient,
    rule_handles_error_body,
    rule_handles_status_code,
)
from airflow_provider_asyncapi.core.requests.exchange import send
from airflow_provider_asyncapi.core.requests.response_errors import (
    NO_MESSAGE,
    build_bad_response_error,
    build_rejection_error,
    build_transient_error,
    extract_error_message,
)
from airflow_provider_asyncapi.core.requests.response_policy import REPEATABLE
from airflow_provider_asyncapi.core.requests.step_flow import extract_captures, warn_missing_captures
from airflow_provider_asyncapi.core.status.policy import StatusPolicy, Verdict
from airflow_provider_asyncapi.core.templates import Variables
from airflow_provider_asyncapi.core.wait.details_plan import StatusDetails
from airflow_provider_asyncapi.core.wait.plan import WaitPlan

#: Time limit for all requests that find out why a job failed, in seconds.
MAX_EXPLANATION_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Explanation:
    """
    The reason of a failure, by the requests that find it out.

    :param message: the message in the last response; None if there is none.
    :param text: the same message with its request.
    :param response: the last response.
    :param scope: the variables that selectors may use.
    """

    message: str | None
    text: str
    response: Response
    scope: Variables


@dataclass(frozen=True, slots=True)
class PollResult:
    """
    The result of a poll, of a callback, or of the request for the details of a status.

    :param plan: the plan by which the response was read.
    :param handle: the job as it is known now.
    :param request: the last request.
    :param response: its response; None if there was none.
    :param verdict: the verdict on the response, or a transient error.
    """

    plan: WaitPlan
    handle: JobHandle
    request: Request
    response: Response | None
    verdict: Verdict | AsyncApiError


def classify_response(
    api: Api, plan: WaitPlan, request: Request, response: Response, scope: Variables, *, may_be_hidden: bool = False
) -> Verdict | AsyncApiError:
    """
    Return the verdict on a response, or a transient error.

    :param may_be_hidden: whether a 404 means that the API doesn't know the job yet.
    :raises RequestRejectedError: if the error isn't transient.
    """
    rules = plan.policy.rules
    if not (response.ok or rule_handles_status_code(rules, response, scope)):
        if may_be_hidden and response.status == HTTPStatus.NOT_FOUND:
            return Verdict(Outcome.RUNNING)
        if not rule_handles_error_body(rules, response, scope):
            if is_transient(response.status):
                return build_transient_error(api, request, response)
            raise build_rejection_error(api, request, response, message=plan.error_message)
    try:
        verdict = plan.policy.classify(response, scope)
    except ContentError as error:
        return build_bad_response_error(api, request, response, error)
    return build_transient_error(api, request, response) if verdict.outcome is Outcome.RETRY else verdict


def confirm_success(api: Api, details: StatusDetails, result: PollResult, before: JobHandle) -> Flow[PollResult]:
    """
    Send the request for the details of a status that means success, and classify its response.

    :param result: the result with that status.
    :param before: the job as it was known before.
    :return: the result of the request; the job is still running if its verdict is neither success nor failure.
    :raises RequestRejectedError: if the API rejects the request.
    """
    plan = dataclasses.replace(
        result.plan,
        policy=details.policy,
        error_message=details.step.error_message or result.plan.error_message,
    )
    handle = result.handle
    scope = api.merge_variables(handle.scope())
    request = api.render_request(details.step.request, scope, reference_base=_base(handle))
    try:
        response = yield from send(api, request, REPEATABLE.also_final(details.policy.rules, scope))
    except TransportError as error:
        return PollResult(plan, _mark_running(handle, before), request, None, error)
    verdict = _classify_details(api, plan, details.policy, request, response, scope)
    if isinstance(verdict, AsyncApiError) or not verdict.outcome.is_final:
        return PollResult(plan, _mark_running(handle, before), request, response, verdict)
    values = extract_captures(details.step.captures, response, scope)
    handle = dataclasses.replace(handle.with_variables(values, "status_details: capture"), outcome=verdict.outcome)
    if verdict.outcome is Outcome.SUCCESS:
        yield from warn_missing_captures(details.step.captures, values, request)
    else:
        status = verdict.value if is_scalar(verdict.value) else handle.status
        handle = dataclasses.replace(handle, status=status, progress=before.progress)
    return PollResult(plan, handle, request, response, verdict)


def _classify_details(
    api: Api, plan: WaitPlan, policy: StatusPolicy, request: Request, response: Response, scope: Variables
) -> Verdict | AsyncApiError:
    if policy.is_empty and response.ok:
        return Verdict(Outcome.SUCCESS)
    return classify_response(api, plan, request, response, scope)


def _mark_running(handle: JobHandle, before: JobHandle) -> JobHandle:
    """Return the handle of a job whose success isn't confirmed; its captures are kept."""
    return dataclasses.replace(handle, outcome=Outcome.RUNNING, progress=before.progress)


def explain_failure(api: Api, plan: WaitPlan, handle: JobHandle) -> Flow[Explanation | None]:
    """
    Send the requests that find out why a job failed.

    Each is sent only once, since the failure itself is known and is reported in any case.

    :return: the reason; None if there is no request, or one of them failed.
    """
    scope, base = api.merge_variables(handle.scope()), _base(handle)
    explained: Explanation | None = None
    for step in plan.failure_details:
        try:
            request = api.render_request(step.request, scope, reference_base=base)
            response = yield from send(api, request)
            if not response.ok:
                raise build_rejection_error(api, request, response, message=step.error_message)
        except AsyncApiError as error:
            yield Log(logging.WARNING, f"failure_details: can't find out why the job failed: {error}")
            return None
        values = extract_captures(step.captures, response, scope)
        yield from warn_missing_captures(step.captures, values, request)
        scope, base = api.merge_variables(scope, values), response.url
        message = extract_error_message(api, response, step.error_message, scope)
        text = f"{message or NO_MESSAGE} ({request} answered {response.status})"
        explained = Explanation(message, text, response, scope)
    return explained


def _base(handle: JobHandle) -> str | None:
    return handle.urls.get("status") or handle.urls.get("submit")
