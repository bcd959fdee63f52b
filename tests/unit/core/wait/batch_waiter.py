"""A waiter for the rounds of a batch that writes down what happened to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from airflow_provider_asyncapi.core.effects import PollBatch, Polled
from airflow_provider_asyncapi.core.wait.batch_plan import BatchResponse


@dataclass(eq=False)
class Waiter:
    poll: PollBatch
    report: Callable[[Polled], object]
    responses: list[BatchResponse] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    was_cancelled: bool = False

    @property
    def is_gone(self) -> bool:
        return self.was_cancelled or bool(self.responses or self.errors)

    def resume(self, response: BatchResponse) -> None:
        self.responses.append(response)

    def fail(self, error: Exception) -> None:
        self.errors.append(error)

    def outcome(self) -> BatchResponse:
        """Return the response, or raise the error."""
        for error in self.errors:
            raise error
        return self.responses[0]
