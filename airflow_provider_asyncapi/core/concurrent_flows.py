"""Decide which of several concurrent flows starts next, and whose result is due."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from airflow_provider_asyncapi.core.effects import Flow, RunConcurrently


class FlowTask(Protocol):
    """A flow that runs: a future of a thread, or a task of an event loop."""

    def done(self) -> bool:
        """Return whether the flow has ended."""

    def cancelled(self) -> bool:
        """Return whether it was cancelled."""

    def exception(self) -> BaseException | None:
        """Return its error, if it has failed."""

    def result(self) -> Any:
        """Return its result, or raise its error."""


R = TypeVar("R", bound=FlowTask)


class ConcurrentFlows(Generic[R]):
    """
    The flows of :class:`~.effects.RunConcurrently`, for the driver that runs them::

        while running := flows.advance():
            wait_for_one_of(running)

    At most twice as many flows have started as may run at the same time: a flow that has its turn waits for one that
    is running, and the results that were buffered behind a slow flow are few.

    :param effect: the effect.
    :param start: starts a flow, and returns its task. The driver limits the number of flows that run at the same time.
    """

    def __init__(self, effect: RunConcurrently, start: Callable[[Callable[[], Flow[Any]]], R]) -> None:
        self._flows, self._window, self._on_result = iter(effect.flows), 2 * effect.concurrency, effect.on_result
        self._start = start
        #: The tasks that have started and whose results weren't consumed yet, in the order of the flows.
        self.tasks: deque[R] = deque()

    def advance(self) -> list[R]:
        """
        Consume the results that are due, and start the flows that are due to start.

        :return: the tasks that run; the caller waits until one of them has ended. Empty if all flows have ended.
        :raises BaseException: the error of a flow, even if earlier flows are still running.
        """
        while True:
            while len(self.tasks) < self._window and (make := next(self._flows, None)) is not None:
                self.tasks.append(self._start(make))
            for task in self.tasks:
                if task.done() and (task.cancelled() or task.exception() is not None):
                    task.result()
            if not self.tasks or not self.tasks[0].done():
                return [task for task in self.tasks if not task.done()]
            self._on_result(self.tasks.popleft().result())
