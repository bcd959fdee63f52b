"""What a response changes in the handle of a job."""

from __future__ import annotations

import dataclasses
from typing import Any

from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.http.redaction import redact_url
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.jobs.storable import to_storable_status
from airflow_provider_asyncapi.core.json_values import is_blank
from airflow_provider_asyncapi.core.outcome import RESULT_IDENTIFIER, Outcome
from airflow_provider_asyncapi.core.requests.step_flow import extract_captures
from airflow_provider_asyncapi.core.status.policy import Verdict
from airflow_provider_asyncapi.core.templates import Variables
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from airflow_provider_asyncapi.core.wait.status_request import StatusRequest


def update_handle_from_poll(
    handle: JobHandle, plan: WaitPlan, verdict: Verdict, response: Response, poll: StatusRequest
) -> JobHandle:
    """Return the handle after a poll, with the URL of the poll."""
    if verdict is poll.last_verdict or (not response.ok and not verdict.outcome.is_final):
        return handle
    url = redact_url(response.url.partition("?")[0])
    if handle.urls.get("status") != url:
        handle = dataclasses.replace(handle, urls={**handle.urls, "status": url})
    return update_handle(handle, plan, verdict, response, poll.scope)


def update_handle(
    handle: JobHandle, plan: WaitPlan, verdict: Verdict, response: Response, scope: Variables
) -> JobHandle:
    """Return the handle with the status, the progress and the captures of a poll or a callback."""
    progress = plan.progress.read_fraction(response, scope) if plan.progress else None
    if verdict.outcome is Outcome.SUCCESS:
        progress = 1.0
    changes: dict[str, Any] = {
        "outcome": verdict.outcome if verdict.outcome.is_final else Outcome.RUNNING,
        "status": to_storable_status(verdict.value),
        "progress": handle.progress if progress is None else progress,
    }
    # Most polls find nothing new; then the handle stays the same object, and its request isn't rendered again.
    if any(getattr(handle, name) != value for name, value in changes.items()):
        handle = dataclasses.replace(handle, **changes)
    found = extract_captures(plan.captures, response, scope)
    if is_blank(found.get(RESULT_IDENTIFIER)):
        # Some APIs send the field from the start, and fill it at the end.
        del found[RESULT_IDENTIFIER]
    changed = {
        name: value for name, value in found.items() if name not in handle.variables or handle.variables[name] != value
    }
    return handle.with_variables(changed)
