"""Why a running job only counts as running: a response was received, but holds no status, or one that nothing lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.text import shorten

#: The maximum length of a message, in characters; the task's log has the whole message.
MAX_LENGTH = 300


class StatusProblemKind(StrEnum):
    """What is wrong with the status in a response."""

    STATUS_MISSING = "status_missing"
    UNKNOWN_STATUS = "unknown_status"


@dataclass(frozen=True, slots=True)
class StatusProblem:
    """
    Why a job only counts as running.

    :param kind: what is wrong with its status.
    :param message: the message for users, without secrets.
    :param status: the unknown status; None if there is none, or it isn't known any more.
    """

    kind: StatusProblemKind
    message: str
    status: str | None = None

    @classmethod
    def parse(cls, kind: Any, message: Any) -> StatusProblem | None:
        """Return the problem that a summary holds as plain data; None if it holds none."""
        if not isinstance(kind, str) or kind not in set(StatusProblemKind) or not isinstance(message, str):
            return None
        return cls(StatusProblemKind(kind), shorten(message, MAX_LENGTH))

    def dump(self) -> Mapping[str, JsonValue]:
        """Return the fields of a summary."""
        return {"status_problem": str(self.kind), "status_problem_message": self.message}
