"""Partial results: the rule that counts failed records, and the action if there are some."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_provider_asyncapi.core.errors import ConfigurationError, ResponseError
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.status.rules import Condition
from airflow_provider_asyncapi.core.templates import Variables

ACTIONS = ("fail", "warn", "skip")


@dataclass(frozen=True, slots=True)
class FailedRecordsRule:
    """
    How failed records of a result are counted.

    :param condition: passes for each failed record.
    :param member: the archive's member that holds the records' states; None if the response itself does.
    :param action: one of :data:`ACTIONS`.
    """

    condition: Condition
    member: str | None
    action: str

    @classmethod
    def parse(cls, given: Any, action: str | None) -> FailedRecordsRule | None:
        """
        Parse the parameters ``failed_records`` and ``on_partial``.

        :raises ConfigurationError: naming the one that is wrong.
        """
        action = action or "fail"
        if action not in ACTIONS:
            raise ConfigurationError(f"on_partial: {action!r} isn't one of {', '.join(ACTIONS)}")
        if given is None:
            return None
        condition = Condition.parse(given, "failed_records", also=("member",))
        member = given.get("member")
        if member is not None and (not isinstance(member, str) or not member):
            raise ConfigurationError(f"failed_records: member has to be a file's name in the archive, not {member!r}")
        return cls(condition, member, action)

    def count(self, response: Response, variables: Variables) -> tuple[int, int]:
        """
        Return the number of failed records, and of all records.

        :raises ResponseError: if the response can't be read.
        """
        try:
            values = self.condition.find_values(response, variables)
        except ResponseError as error:
            raise error.with_message(f"failed_records: {error}") from None
        return sum(self.condition.passes(value, variables) for value in values), len(values)

    def matches_member(self, path: tuple[str, ...]) -> bool:
        """Return whether a member of an archive is the one that holds the records' states."""
        return self.member is not None and f"/{'/'.join(path)}".endswith(f"/{self.member}")
