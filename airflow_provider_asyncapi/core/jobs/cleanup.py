"""The request that removes a job from the API, and after which ends it is sent."""

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
from airflow_provider_asyncapi.core.requests.step import Step

CLEANUP_PARAMETERS = ("cleanup", "cleanup_on")
#: What the author of the DAG mends, and then fetches after all.
_MENDABLE = (ConfigurationError, MissingValueError, ResultTooLargeError)


class CleanupOn(enum.StrEnum):
    """How a task ends."""

    SUCCESS = "success"
    NO_DATA = "no_data"
    PARTIAL = "partial"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Cleanup:
    """
    What removes a job from the API.

    :param step: the request.
    :param ends: the ends of the task after which it is sent.
    """

    step: Step
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
        Read the parameters ``cleanup`` and ``cleanup_on``.

        :param default: the ends after which it is sent if nothing is said.
        :param possible: the ends that the task knows.
        :param complete: whether nothing can be added any more (by a profile), so that what is missing is an error.
        :raises ConfigurationError: naming the parameter that is wrong.
        """
        ends = as_list(given.get("cleanup_on"))
        for end in ends:
            if end not in list(possible):
                raise ConfigurationError(f"cleanup_on: {end!r} isn't one of {', '.join(possible)}")
        if given.get("cleanup") is None:
            if ends and complete:
                raise ConfigurationError("cleanup_on: needs cleanup, the request that is sent then")
            return None
        step = Step.parse(given["cleanup"], "cleanup", method="DELETE")
        return cls(step, frozenset(map(CleanupOn, ends)) if ends else frozenset(default))


def end_of(error: BaseException | None, *, is_final: bool) -> CleanupOn | None:
    """
    Return how a fetch has ended that raised an error; None if its result may still be fetched.

    :param error: an error of ours, or another one.
    :param is_final: whether no other try follows.
    """
    if isinstance(error, PartialResultError):
        return CleanupOn.PARTIAL
    if not is_final or not isinstance(error, AsyncApiError) or isinstance(error, _MENDABLE):
        return None
    return CleanupOn.FAILURE
