"""Find the job of a submit whose response was lost."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, Log, Sleep
from airflow_provider_asyncapi.core.errors import (
    ContentError,
    MissingValueError,
)
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.http.redaction import redact_url
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.jobs.lookup import Lookup
from airflow_provider_asyncapi.core.outcome import IDEMPOTENCY_KEY
from airflow_provider_asyncapi.core.requests.response_errors import (
    build_rejection_error,
    describe_bad_response,
    set_error_fields,
)
from airflow_provider_asyncapi.core.requests.retries import send_with_retries
from airflow_provider_asyncapi.core.submit.identifiers import find_identifiers, set_identifiers
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from airflow_provider_asyncapi.core.submit.saving import save_handle
from airflow_provider_asyncapi.core.submit.submission import Submission
from airflow_provider_asyncapi.core.templates import Variables

T = TypeVar("T")


def look_up_job(api: Api, plan: SubmitPlan, lookup: Lookup, record: Submission, scope: Variables) -> Flow[Submission]:
    """
    Search the API for a job that may have been submitted.

    :return: the submission with the handle, or without one if no job was submitted.
    """
    variables = {**scope, IDEMPOTENCY_KEY: record.key}

    def find(response: Response) -> tuple[str, list[str | int]] | None:
        return find_identifiers(plan, lookup.identifier, response, variables, null_is_none=True)

    request = api.render_request(lookup.request, variables)
    found = yield from search(api, plan, request, find)
    if found is None:
        yield Log(logging.INFO, "The lookup finds no job: it wasn't submitted")
        return dataclasses.replace(record, sent=False)
    response, (selector, identifiers) = found
    yield Log(logging.INFO, f"The lookup has found job {api.redact(', '.join(map(str, identifiers)))}")
    submitted = api.render_address(plan.submit.request, variables)
    address = redact_url(submitted.url.partition("?")[0])
    handle = JobHandle(None, submitted_at=record.sent_at, urls={"submit": address})
    handle = set_identifiers(plan, handle.with_variables({**record.captured, **plan.variables}), selector, identifiers)
    return (yield from save_handle(record, handle, lookup.captures, request, response, variables))


def search(
    api: Api, plan: SubmitPlan, request: Request, find: Callable[[Response], T | None], where: str = "lookup"
) -> Flow[tuple[Response, T] | None]:
    """
    Send the request of a lookup, more than once, since a new job may take a moment to appear.

    :param plan: the plan of the submit.
    :param find: returns what a response contains about the job; None if there is none.
    :param where: the name of the parameter, for messages.
    :return: the response, and what was found; None if there is no job.
    """
    for attempt in range(1, plan.schedule.max_errors + 1):
        response = yield from send_with_retries(api, request, plan.schedule)
        if not response.ok and response.status != HTTPStatus.NOT_FOUND:
            raise build_rejection_error(api, request, response, message=plan.submit.error_message)
        try:
            found = find(response) if response.ok else None
        except (ContentError, MissingValueError) as error:
            missing_one = MissingValueError(f"{where}: {describe_bad_response(api, request, response, error)}")
            raise set_error_fields(missing_one, request, response) from None
        if found is not None:
            return response, found
        if attempt < plan.schedule.max_errors:
            yield Sleep(plan.schedule.delay_after_error(attempt, None, None, api.rng))
    return None
