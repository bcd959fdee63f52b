"""The identifier of a submitted job in a response, or the identifiers of several jobs."""

from __future__ import annotations

import dataclasses

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.errors import (
    ContentError,
    MissingValueError,
)
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle, check_identifier
from airflow_provider_asyncapi.core.json_values import as_list
from airflow_provider_asyncapi.core.outcome import IDENTIFIERS
from airflow_provider_asyncapi.core.requests.response_errors import (
    describe_bad_response,
    set_error_fields,
)
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from airflow_provider_asyncapi.core.templates import Variables


def add_identifier(api: Api, plan: SubmitPlan, response: Response, scope: Variables, handle: JobHandle) -> JobHandle:
    """Return the handle with the identifier; a job that is over needs none."""
    try:
        found = find_identifiers(plan, plan.identifier, response, scope)
        if found is None:
            nearest = plan.identifier.describe_nearest(response, scope)
            raise MissingValueError(f"nothing found{nearest}")  # noqa: TRY301 - one message for all that can be wrong
    except (ContentError, MissingValueError) as error:
        if handle.outcome.is_final:
            return handle
        request = Request(plan.submit.request.method, response.url)
        answer = describe_bad_response(api, request, response, error)
        problem = MissingValueError(f"submit: there is no job identifier at {plan.identifier}: {answer}")
        raise set_error_fields(problem, request, response) from None
    return set_identifiers(plan, handle, *found)


def find_identifiers(
    plan: SubmitPlan, chain: SelectorChain, response: Response, scope: Variables, *, null_is_none: bool = False
) -> tuple[str, list[str | int]] | None:
    """
    Return the selector that finds identifiers, and the identifiers: of one job, or of each if the submit makes several.

    :param null_is_none: whether null instead of an identifier means that there is no job.
    :return: None if there are none.
    :raises MissingValueError: if a value can't be an identifier.
    """
    several = plan.has_several_jobs
    found = chain.find_first_keeping_lists(response, scope) if several else chain.find_only(response, scope)
    if found is None or (null_is_none and found[1] is None):
        return None
    values = as_list(found[1]) if several else [found[1]]
    return (found[0].text, [check_identifier(value) for value in values]) if values else None


def set_identifiers(plan: SubmitPlan, handle: JobHandle, selector: str, identifiers: list[str | int]) -> JobHandle:
    """Return the handle with what :func:`find_identifiers` has found."""
    if plan.has_several_jobs:
        handle = handle.with_variables({IDENTIFIERS: list(identifiers)})
    else:
        handle = handle.with_variables({selector: identifiers[0]})
    return dataclasses.replace(handle, identifier=identifiers[0])
