"""Decide which of several concurrent flows starts next, and whose result is due."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from airflow_provider_asyncapi.core.effects import Flow, RunConcurrently

R = TypeVar("R")


class ConcurrentFlows(Generic[R]):
    """
    The flows of :class:`~.effects.RunConcurrently`, for the driver that runs them::

        while (task := flows.next_due()) is not None:
            flows.consume(result_of(task))

    At most twice as many flows have started as may run at the same time: a flow that has its turn waits for one that
    is running, and the results that were buffered behind a slow flow are few.

    :param effect: the effect.
    :param start: starts a flow, and returns a task from which the driver gets the result. The driver limits the number
        of flows that run at the same time.
    """

    def __init__(self, effect: RunConcurrently, start: Callable[[Callable[[], Flow[Any]]], R]) -> None:
        self._flows, self._window, self._on_result = iter(effect.flows), 2 * effect.concurrency, effect.on_result
        self._start = start
        #: The tasks that have started and whose results weren't consumed yet, in the order of the flows.
        self.tasks: deque[R] = deque()

    def next_due(self) -> R | None:
        """Start the flows that are due to start; return the task whose result is consumed next, or None at the end."""
        while len(self.tasks) < self._window and (make := next(self._flows, None)) is not None:
            self.tasks.append(self._start(make))
        return self.tasks[0] if self.tasks else None

    def consume(self, result: Any) -> None:
        """Pass on the result of the task that was returned last."""
        self.tasks.popleft()
        self._on_result(result)
