"""The outcomes of jobs, and the names of variables that tasks and flows share."""

from __future__ import annotations

import enum

#: Names of variables that requests may use.
IDEMPOTENCY_KEY = "idempotency_key"
CALLBACK_URL = "callback_url"
RESULT_IDENTIFIER = "result_identifier"
IDENTIFIERS = "identifiers"
FILE_SIZE = "file_size"


class Outcome(enum.StrEnum):
    """The meaning of a response."""

    RUNNING = "running"
    SUCCESS = "success"
    FAILURE = "failure"
    NO_DATA = "no_data"
    RETRY = "retry"

    @property
    def is_final(self) -> bool:
        """Whether the job is over."""
        return self in (Outcome.SUCCESS, Outcome.FAILURE, Outcome.NO_DATA)


class Rerun(enum.StrEnum):
    """How a failed job may be run again, according to the rules."""

    REPAIR = "repair"
    #: By another job; without ``repair_on`` also by a repair.
    SUBMIT = "submit"
    NEVER = "never"
