"""Ask further about a job: whether a success is one, and why it failed."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass

from airflow_provider_asyncapi.core.connection.settings import Api
from airflow_provider_asyncapi.core.effects import Flow, Log
from airflow_provider_asyncapi.core.errors import AsyncApiError, ContentError, TransportError
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.json_values import is_scalar
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.requests.exchange import (
    as_unusable,
    is_transient,
    reads_error,
    rejection,
    said_in,
    send,
    speaks_of_status,
    transient,
)
from airflow_provider_asyncapi.core.requests.perform import captured, missing
from airflow_provider_asyncapi.core.status.policy import StatusPolicy, Verdict
from airflow_provider_asyncapi.core.templates import Variables
from airflow_provider_asyncapi.core.wait.details_plan import StatusDetails
from airflow_provider_asyncapi.core.wait.plan import WaitPlan

_NOT_FOUND = 404
#: Seconds after which the requests for the reason of a failure are given up.
LONGEST_EXPLANATION = 60.0


@dataclass(frozen=True, slots=True)
class Answered:
    """
    What came of a poll, of a callback, or of the request for the details of a status.

    :param plan: how the answer is read.
    :param handle: the job as it is known now.
    :param request: what was asked last.
    :param response: what it was answered; None if there was no answer.
    :param found: what that means, or what went wrong in passing.
    """

    plan: WaitPlan
    handle: JobHandle
    request: Request
    response: Response | None
    found: Verdict | AsyncApiError


def judge_answer(
    api: Api, plan: WaitPlan, request: Request, response: Response, scope: Variables, *, may_be_hidden: bool = False
) -> Verdict | AsyncApiError:
    """
    Return what an answer means, or what went wrong in passing.

    :param may_be_hidden: whether a 404 means that the API doesn't know the job yet.
    :raises RequestRejectedError: if no later answer will be better.
    """
    rules = plan.policy.rules
    if not (response.ok or speaks_of_status(rules, response, scope)):
        if may_be_hidden and response.status == _NOT_FOUND:
            return Verdict(Outcome.RUNNING)
        if not reads_error(rules, response, scope):
            if is_transient(response.status):
                return transient(api, request, response)
            raise rejection(api, request, response, message=plan.error_message)
    try:
        verdict = plan.policy.judge(response, scope)
    except ContentError as error:
        return as_unusable(api, request, response, error)
    return transient(api, request, response) if verdict.outcome is Outcome.RETRY else verdict


def confirm_success(api: Api, details: StatusDetails, answered: Answered, before: JobHandle) -> Flow[Answered]:
    """
    Send the request for the details of a status that says success, and judge its answer.

    :param answered: what said success.
    :param before: the job as it was known before that.
    :return: what came of it; the job is running still if that is no success and no failure.
    :raises RequestRejectedError: if the request is refused.
    """
    plan = dataclasses.replace(
        answered.plan,
        policy=details.policy,
        error_message=details.step.error_message or answered.plan.error_message,
    )
    handle = answered.handle
    scope = api.variables(handle.scope())
    request = api.request(details.step.request, scope, reference_base=_base(handle))
    try:
        response = yield from send(
            api, request, stop=lambda response: speaks_of_status(plan.policy.rules, response, scope)
        )
    except TransportError as error:
        return Answered(plan, _running_again(handle, before), request, None, error)
    found = _judge_details(api, plan, details.policy, request, response, scope)
    if isinstance(found, AsyncApiError) or not found.outcome.is_final:
        return Answered(plan, _running_again(handle, before), request, response, found)
    taken = captured(details.step.captures, response, scope)
    handle = dataclasses.replace(handle.with_variables(taken, "status_details: capture"), outcome=found.outcome)
    if found.outcome is Outcome.SUCCESS:
        yield from missing(details.step.captures, taken, request)
    else:
        status = found.value if is_scalar(found.value) else handle.status
        handle = dataclasses.replace(handle, status=status, progress=before.progress)
    return Answered(plan, handle, request, response, found)


def _judge_details(
    api: Api, plan: WaitPlan, policy: StatusPolicy, request: Request, response: Response, scope: Variables
) -> Verdict | AsyncApiError:
    if policy.is_empty and response.ok:
        return Verdict(Outcome.SUCCESS)
    return judge_answer(api, plan, request, response, scope)


def _running_again(handle: JobHandle, before: JobHandle) -> JobHandle:
    """Return the handle of a job whose success isn't confirmed; what was captured is kept."""
    return dataclasses.replace(handle, outcome=Outcome.RUNNING, progress=before.progress)


def explain_failure(api: Api, plan: WaitPlan, handle: JobHandle) -> Flow[tuple[str, str] | None]:
    """
    Send the requests that find out why a job failed.

    Each is sent once only: that the job failed is known, and is told whatever comes of them.

    :return: the message of the last answer, and the same with the request that was answered; None if there is no
        request, or one of them failed.
    """
    scope, base, found_message = api.variables(handle.scope()), _base(handle), None
    for step in plan.failure_details:
        try:
            request = api.request(step.request, scope, reference_base=base)
            response = yield from send(api, request)
            if not response.ok:
                raise rejection(api, request, response, message=step.error_message)
        except AsyncApiError as error:
            yield Log(logging.WARNING, f"failure_details: why the job failed can't be found out: {error}")
            return None
        found = captured(step.captures, response, scope)
        yield from missing(step.captures, found, request)
        scope, base = api.variables(scope, found), response.url
        said = said_in(api, response, step.error_message, scope)
        found_message = said, f"{said} ({request} answered {response.status})"
    return found_message


def _base(handle: JobHandle) -> str | None:
    return handle.urls.get("status") or handle.urls.get("submit")
