"""The usual meanings of the statuses of jobs."""

from __future__ import annotations

import re

from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.outcome import Outcome

_WORDS = {
    Outcome.SUCCESS: (
        "available complete completed done finished ok processed ready succeed succeeded success successful"
    ),
    Outcome.FAILURE: (
        "abort aborted canceled cancelled crashed dead error errored errors exception expired fail failed failure fatal"
        " invalid killed rejected timedout timeout"
    ),
    Outcome.RUNNING: (
        "accepted active created creating enqueued executing finalizing held inprogress inqueue initializing new open"
        " pending preparing processing queued received running scheduled started starting submitted suspended"
        " validating waiting working"
    ),
}
_MEANINGS = {word: outcome for outcome, words in _WORDS.items() for word in words.split()}


def guess_outcome(status: JsonValue) -> Outcome | None:
    """
    Return what a status usually means, such as success for ``COMPLETED``; None if it isn't one of the usual words.

    :param status: the status; True is taken for the value of a field such as ``done``.
    """
    if isinstance(status, bool):
        return Outcome.SUCCESS if status else Outcome.RUNNING
    return _MEANINGS.get(re.sub(r"[\W_]", "", status.lower())) if isinstance(status, str) else None
