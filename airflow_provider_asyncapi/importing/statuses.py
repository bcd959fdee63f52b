"""The meanings of statuses by their names, if a document lists them without their meanings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.importing.exploring.status_words import guess_outcome

#: The names of fields that hold a status, the likeliest first.
STATUS_FIELDS = ("status", "state", "job_status", "jobstatus", "phase", "task_status", "taskstatus")


@dataclass(frozen=True, slots=True)
class Meanings:
    """The statuses of a job by the meanings of their names."""

    success: tuple[str, ...]
    failure: tuple[str, ...]
    running: tuple[str, ...]

    def as_parameters(self) -> dict[str, list[str]]:
        """Return the parameters of a wait; a group without statuses is left out."""
        groups = {"completion_value": self.success, "failure_value": self.failure, "running_value": self.running}
        return {key: list(group) for key, group in groups.items() if group}


def guess_meanings(statuses: Sequence[str]) -> Meanings | None:
    """
    Return what statuses mean by their names; None if none of them is a usual word for a success.

    A name without a known word is taken for a running job, which neither loses a result nor makes one up.
    """
    groups: dict[Outcome, list[str]] = {Outcome.SUCCESS: [], Outcome.FAILURE: [], Outcome.RUNNING: []}
    for status in statuses:
        groups[guess_outcome(status) or Outcome.RUNNING].append(status)
    if not groups[Outcome.SUCCESS]:
        return None
    return Meanings(*map(tuple, groups.values()))
