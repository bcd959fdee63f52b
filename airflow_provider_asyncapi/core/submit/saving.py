"""Save each step of a submission, so that a later try can resume it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TypeVar

from airflow_provider_asyncapi.core.effects import Flow, SaveSubmission, Send
from airflow_provider_asyncapi.core.errors import (
    FileUnavailableError,
    JobFailedError,
    RedirectError,
    RequestRejectedError,
    ResultTooLargeError,
    UnavailableError,
    UnstorableValueError,
)
from airflow_provider_asyncapi.core.flow_steps import FlowSteps
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.requests.response_policy import ResponsePolicy
from airflow_provider_asyncapi.core.requests.step_flow import (
    extract_captures,
    warn_missing_captures,
)
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.submit.submission import Submission
from airflow_provider_asyncapi.core.templates import Variables

T = TypeVar("T")

#: Errors after which the API is known to have made no job of the request.
_REJECTED = (RequestRejectedError, RedirectError, JobFailedError)
#: Errors after which a request may not have been carried out.
NOT_SUBMITTED = (*_REJECTED, UnavailableError, FileUnavailableError)


def save_before_sending(record: Submission, sending: Flow[T]) -> Flow[T]:
    """Run a flow, and save just before its first request that the request may have been sent."""
    is_saved = False
    with FlowSteps(sending) as steps:
        for effect in steps:
            # A token request before it doesn't count.
            if isinstance(effect, Send) and not is_saved:
                is_saved = True
                yield SaveSubmission(dataclasses.replace(record, sent=True))
            yield from steps.forward(effect)
    return steps.result


def save_handle(
    record: Submission,
    handle: JobHandle,
    captures: Mapping[str, SelectorChain],
    request: Request,
    response: Response,
    scope: Variables,
) -> Flow[Submission]:
    """Save the handle, with the captures of the response, before the flow continues."""
    handle = dataclasses.replace(handle, profile=record.profile, trace=record.trace)
    record = dataclasses.replace(record, answered=record.answered + 1, sent=False, handle=handle, problem="")
    found = extract_captures(captures, response, scope)
    try:
        handle = handle.with_variables(found)
    except (ResultTooLargeError, UnstorableValueError) as error:
        yield SaveSubmission(record)
        error.set_job(handle.identifier, handle.status)
        raise
    record = dataclasses.replace(record, handle=handle)
    yield SaveSubmission(record)
    yield from warn_missing_captures(captures, found, request)
    return record


def save_if_not_submitted(record: Submission, error: Exception, policy: ResponsePolicy) -> Flow[None]:
    """Save that a request was not carried out, if that is certain."""
    # A repeatable request may have been sent several times, and the last error says nothing about the earlier ones.
    is_unsent = isinstance(error, FileUnavailableError) and not error.sent
    if isinstance(error, _REJECTED) or is_unsent or not policy.is_repeatable:
        yield SaveSubmission(record)
