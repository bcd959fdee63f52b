"""Descriptions of a job and of its status, for messages and logs."""

from __future__ import annotations

import logging

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, Log
from airflow_provider_asyncapi.core.errors import MissingValueError
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.json_values import as_text
from airflow_provider_asyncapi.core.requests.response_errors import describe_bad_response
from airflow_provider_asyncapi.core.status.policy import Verdict
from airflow_provider_asyncapi.core.text import shorten
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from airflow_provider_asyncapi.core.wait.unclear_status import MAX_LENGTH, StatusProblem, StatusProblemKind


def describe_job(api: Api, handle: JobHandle) -> str:
    """Return the identifier, the status and the progress of a job in one phrase."""
    status = "has no status yet" if handle.status is None else f"has status {api.redact(as_text(handle.status))}"
    progress = "" if handle.progress is None else f", {handle.progress:.0%}"
    return f"Job {api.redact(str(handle.identifier))} {status}{progress}"


def warn_unknown_status(
    api: Api,
    plan: WaitPlan,
    request: Request,
    response: Response,
    verdict: Verdict,
    warned_statuses: frozenset[str | None] = frozenset(),
) -> Flow[frozenset[str | None]]:
    """Log a warning for each unknown status once; return ``warned_statuses`` with the new one."""
    status = None if verdict.value is None else as_text(verdict.value)
    if verdict.is_known or status in warned_statuses:
        return warned_statuses
    if status is None:
        nearest = "" if plan.policy.key is None else plan.policy.key.describe_nearest(response, api.scope)
        problem = MissingValueError(
            f"there is no status{name_status_selector(plan)}, so the job counts as running{nearest}"
        )
        yield Log(logging.WARNING, describe_bad_response(api, request, response, problem))
    else:
        shown = api.redact.excerpt(status, 200)
        yield Log(
            logging.WARNING,
            f"{request}: the response says {shown!r}, which none of the given values or rules lists; the job counts as"
            " running",
        )
    return warned_statuses | {status}


def find_warned_statuses(state: WaitCheckpoint) -> frozenset[str | None]:
    """Return the status that another process has warned about if it is unknown."""
    if not state.polls or "status" not in state.handle.urls:
        return frozenset()
    status = state.handle.status
    return frozenset({None if status is None else as_text(status)})


def name_status_selector(plan: WaitPlan) -> str:
    """Return the place where the status should be, as a part of a message; empty if there is no selector."""
    return "" if plan.policy.key is None else f" at {plan.policy.key}"


def find_status_problem(
    api: Api, plan: WaitPlan, response: Response, verdict: Verdict, earlier: StatusProblem | None = None
) -> StatusProblem | None:
    """
    Return why a running job only counts as running; None if its status is known.

    :param earlier: the problem after the poll before, which is returned again if the status is still the same.
    """
    if verdict.is_known:
        return None
    status = None if verdict.value is None else as_text(verdict.value)
    if earlier is not None and earlier.status == status:
        return earlier
    if status is not None:
        shown = api.redact.excerpt(status, 100)
        message = f"Unknown status {shown!r}: none of the given values or rules lists it"
        return StatusProblem(StatusProblemKind.UNKNOWN_STATUS, message, status)
    nearest = "" if plan.policy.key is None else plan.policy.key.describe_nearest(response, api.scope)
    message = shorten(api.redact(f"No status found{name_status_selector(plan)}{nearest}"), MAX_LENGTH)
    return StatusProblem(StatusProblemKind.STATUS_MISSING, message)
