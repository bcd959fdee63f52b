"""The decision whether another job is submitted after one has failed, and when."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.jobs.storable import to_storable_status
from airflow_provider_asyncapi.core.json_values import JsonValue, as_list
from airflow_provider_asyncapi.core.text import shorten

#: Largest number of further jobs: the record of the submission keeps a line about each.
MAX_RESUBMITS = 20
#: Longest message of a failed job in that record, in characters.
_LONGEST_MESSAGE = 300


@dataclass(frozen=True, slots=True)
class ResubmitPlan:
    """
    The jobs that are submitted after one has failed.

    :param limit: the largest number of further jobs.
    :param delays: seconds between the failure of a job and the next submit; the last one is repeated.
    """

    limit: int = 0
    delays: tuple[float, ...] = (0.0,)

    @classmethod
    def parse(cls, limit: Any, delay: Any = None) -> ResubmitPlan:
        """
        Parse the parameters ``resubmit`` and ``resubmit_delay``; if they are None, no further job is submitted.

        :param delay: a number of seconds, or a list of them.
        :raises ConfigurationError: if one of them is invalid; the message names it.
        """
        limit = 0 if limit is None else limit
        if isinstance(limit, bool) or not isinstance(limit, int) or not 0 <= limit <= MAX_RESUBMITS:
            raise ConfigurationError(
                f"resubmit: has to be the number of further jobs, from 0 to {MAX_RESUBMITS}, not {limit!r}"
            )
        if delay is None:
            return cls(limit)
        delays = as_list(delay)
        if not delays or not all(_is_seconds(each) for each in delays):
            raise ConfigurationError(f"resubmit_delay: has to be a number of seconds, or a list of them, not {delay!r}")
        return cls(limit, tuple(map(float, delays)))

    def delay_after(self, failed: int, now: float, deadline: float) -> float | None:
        """
        Return the seconds until the next submit; None if there is no further job.

        :param failed: number of the jobs that have failed, at least 1.
        :param now: the current time, in seconds since the epoch.
        :param deadline: the deadline of all jobs together; no job is submitted at or after it.
        """
        delay = self.delays[min(failed, len(self.delays)) - 1]
        return delay if failed <= self.limit and now + delay < deadline else None


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    A job that has failed, after which another one was submitted.

    :param identifier: the identifier of the job.
    :param status: its last status.
    :param message: the reason of the failure.
    :param submitted_at: the time of its submit, in seconds since the epoch; None if it isn't known.
    :param ended_at: the time at which its failure was found.
    :param how: ``submit`` or ``repair``, by which the job was begun.
    """

    identifier: str | int | None
    status: JsonValue
    message: str
    submitted_at: float | None
    ended_at: float
    how: str = "submit"

    def dump(self) -> dict[str, JsonValue]:
        """Return the job as plain data."""
        return {
            "identifier": self.identifier,
            "status": to_storable_status(self.status),
            "message": shorten(self.message, _LONGEST_MESSAGE),
            "submitted_at": self.submitted_at,
            "ended_at": self.ended_at,
            "how": self.how,
        }


def read_attempts(stored: Any) -> tuple[Mapping[str, JsonValue], ...]:
    """Return the failed jobs of a stored record, each as :meth:`Attempt.dump` wrote it."""
    attempts: Sequence[Any] = stored if isinstance(stored, list) else ()
    return tuple(dict(each) for each in attempts)


def _is_seconds(given: Any) -> bool:
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    return is_number and math.isfinite(given) and given >= 0
