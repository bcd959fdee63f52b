"""Hints of the API about the time of the next request: ``Retry-After``, and the fields that ``retry_after`` selects."""

from __future__ import annotations

import re

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.errors import ContentError
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.json_values import JsonValue, as_moment, as_number, parse_iso_time
from airflow_provider_asyncapi.core.requests.schedule import LONGEST_PLAUSIBLE, PollSchedule, parse_retry_after

#: Names of fields that APIs send with each response, to say when their count of requests starts again.
_RATE_LIMIT = re.compile(r"rate[-_]?limit", re.IGNORECASE)


def read_retry_after(api: Api, schedule: PollSchedule, response: Response | None) -> float | None:
    """
    Return the seconds that the API asks to wait before the next request; None if it doesn't ask for a wait.

    The fields that ``retry_after`` selects come first. APIs send the fields of a rate limit with each response, so
    these count only if the response isn't 2xx.

    :param response: the last response; None if there was none.
    """
    if response is None:
        return None
    for selector in () if schedule.retry_after is None else schedule.retry_after.selectors:
        if response.ok and _RATE_LIMIT.search(selector.text):
            continue
        try:
            found = selector.find_value(response, api.scope)
        except ContentError:
            # Many errors are HTML.
            continue
        if (seconds := _parse_hint(found, api.clock())) is not None:
            return seconds
    return parse_retry_after(response.headers.get("retry-after"), api.clock())


def _parse_hint(value: JsonValue, now: float) -> float | None:
    """
    Return the seconds from now until the time that a field states; None if it states none.

    :param value: seconds, seconds or milliseconds since the epoch, an HTTP date, or an ISO 8601 time. A time that has
        passed is 0.
    """
    number = as_number(value)
    if number is None:
        if not isinstance(value, str):
            return None
        moment = parse_iso_time(value.strip())
        if moment is None:
            return parse_retry_after(value, now)
    else:
        moment = as_moment(number)
        if moment is None:
            return None if number < 0 else min(number, LONGEST_PLAUSIBLE)
    return min(max(0.0, moment - now), LONGEST_PLAUSIBLE)
