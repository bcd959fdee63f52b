"""What users read of a poll that has found something new, in addition to the state of the job."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import PauseReason, Polled
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.requests.response_errors import describe_answered_request
from airflow_provider_asyncapi.core.requests.retry_hints import read_retry_after
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.plan import WaitPlan

#: The maximum length of the body of a response that users see, in characters.
MAX_RESPONSE = 2000
#: The query of a URL in a text: it often holds the signature with which anybody may read a file.
_QUERY = re.compile(r"""(?<=[^\s"'<>?])\?(?=[^\s"'<>=]{1,100}=)[^\s"'<>\\]+""")


def add_report(
    api: Api,
    plan: WaitPlan,
    polled: Polled,
    request: Request,
    response: Response | None,
    problem: AsyncApiError | None,
) -> Polled:
    """
    Return a poll with its response, and the reason of the next pause.

    :param problem: the error of the poll, if it failed.
    """
    return dataclasses.replace(
        polled,
        pause_reason=_find_pause_reason(api, plan, response, problem),
        status_code=None if problem is None else problem.status_code,
        shown_response=None if response is None else describe_response(api, request, response, polled.at),
    )


def add_stall_times(plan: WaitPlan, state: WaitCheckpoint, polled: Polled) -> Polled:
    """
    Return a poll with the time from which the job counts as stalled, if it ever does.

    :param state: the state after the poll.
    """
    if plan.stall_timeout is None:
        return polled
    since = state.unchanged_since
    # Half of the time after which the wait ends for that reason.
    return dataclasses.replace(polled, stalled_at=since + plan.stall_timeout / 2, unchanged_since=since)


def describe_response(api: Api, request: Request, response: Response, now: float) -> dict[str, JsonValue]:
    """
    Return a response as users see it: the request without its query, and the beginning of the body, without secrets.

    :param now: current time, in seconds since the epoch.
    """
    return {
        "at": datetime.fromtimestamp(now, UTC).isoformat(),
        "request": describe_answered_request(request, response),
        "status_code": response.status,
        "content_type": response.content_type,
        "text": _QUERY.sub("?…", api.redact.excerpt(response.text, MAX_RESPONSE)),
    }


def _find_pause_reason(
    api: Api, plan: WaitPlan, response: Response | None, problem: AsyncApiError | None
) -> PauseReason:
    """Return what the pause after a poll follows from."""
    if problem is not None:
        return PauseReason.ERROR
    is_requested = read_retry_after(api, plan.schedule, response) is not None
    return PauseReason.REQUESTED if is_requested else PauseReason.INTERVAL
