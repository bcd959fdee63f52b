"""The request that removes a job from the API, and the ends of the task after which it is sent."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
    ConfigurationError,
    MissingValueError,
    PartialResultError,
    ResultTooLargeError,
)
from airflow_provider_asyncapi.core.json_values import as_list
from airflow_provider_asyncapi.core.requests.request_step import RequestStep

CLEANUP_PARAMETERS = ("cleanup", "cleanup_on")
#: Errors that the DAG author can fix, and then fetch the result after all.
_FIXABLE = (ConfigurationError, MissingValueError, ResultTooLargeError)


class CleanupOn(enum.StrEnum):
    """The end of a task."""

    SUCCESS = "success"
    NO_DATA = "no_data"
    PARTIAL = "partial"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Cleanup:
    """
    The cleanup of a job.

    :param step: the request.
    :param ends: the ends of the task after which it is sent.
    """

    step: RequestStep
    ends: frozenset[CleanupOn]

    @classmethod
    def parse(
        cls,
        given: Mapping[str, Any],
        *,
        default: Collection[CleanupOn],
        possible: Collection[CleanupOn],
        complete: bool,
    ) -> Cleanup | None:
        """
        Parse the parameters ``cleanup`` and ``cleanup_on``.

        :param default: the ends after which the request is sent if ``cleanup_on`` isn't given.
        :param possible: the ends that ``cleanup_on`` may list.
        :param complete: whether a missing parameter is an error; False if a profile may still add it.
        :raises ConfigurationError: if a parameter is invalid; the message names it.
        """
        ends = as_list(given.get("cleanup_on"))
        for end in ends:
            if end not in list(possible):
                raise ConfigurationError(f"cleanup_on: {end!r} isn't one of {', '.join(possible)}")
        if given.get("cleanup") is None:
            if ends and complete:
                raise ConfigurationError("cleanup_on: needs cleanup, the request that is sent then")
            return None
        step = RequestStep.parse(given["cleanup"], "cleanup", method="DELETE")
        return cls(step, frozenset(map(CleanupOn, ends)) if ends else frozenset(default))


def classify_end(error: BaseException | None, *, is_final: bool) -> CleanupOn | None:
    """
    Return the end of a fetch that raised an error; None if the result may still be fetched.

    :param error: the error, of this provider or another one.
    :param is_final: whether this was the last try.
    """
    if isinstance(error, PartialResultError):
        return CleanupOn.PARTIAL
    if not is_final or not isinstance(error, AsyncApiError) or isinstance(error, _FIXABLE):
        return None
    return CleanupOn.FAILURE
