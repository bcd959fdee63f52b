"""The names that tasks and flows have in common."""

from __future__ import annotations

import enum

#: Variables of a request.
IDEMPOTENCY_KEY = "idempotency_key"
CALLBACK_URL = "callback_url"
RESULT_IDENTIFIER = "result_identifier"


class Outcome(enum.StrEnum):
    """What an answer means."""

    RUNNING = "running"
    SUCCESS = "success"
    FAILURE = "failure"
    NO_DATA = "no_data"
    RETRY = "retry"

    @property
    def is_final(self) -> bool:
        """Whether the job is over."""
        return self in (Outcome.SUCCESS, Outcome.FAILURE, Outcome.NO_DATA)
