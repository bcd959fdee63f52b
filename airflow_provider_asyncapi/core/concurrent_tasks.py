"""Decide which of several concurrent tasks starts next, and whose result is due."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Generic, Protocol, TypeVar


class Task(Protocol):
    """A task that runs: a future of a thread, or a task of an event loop."""

    def done(self) -> bool:
        """Return whether the task has ended."""

    def cancelled(self) -> bool:
        """Return whether it was cancelled."""

    def exception(self) -> BaseException | None:
        """Return its error, if it has failed."""

    def result(self) -> Any:
        """Return its result, or raise its error."""


R = TypeVar("R", bound=Task)


class ConcurrentTasks(Generic[R]):
    """
    Tasks of which some run at the same time, for the code that runs them::

        while running := tasks.advance():
            wait_for_one_of(running)

    At most twice as many tasks have started as may run at the same time: a task that has its turn waits for one that
    is running, and the results that were buffered behind a slow task are few.

    :param items: what the tasks work on, in order.
    :param concurrency: largest number of tasks that run at the same time.
    :param on_result: called with the result of each task, in the order of the items.
    :param start: starts the task of an item, and returns it. The caller limits the number of tasks that run at the same
        time.
    """

    def __init__(
        self, items: Iterable[Any], concurrency: int, on_result: Callable[[Any], object], start: Callable[[Any], R]
    ) -> None:
        self._items, self._window, self._on_result = iter(items), 2 * concurrency, on_result
        self._start = start
        #: The tasks that have started and whose results weren't consumed yet, in the order of the items.
        self.started: deque[R] = deque()

    def advance(self) -> list[R]:
        """
        Consume the results that are due, and start the tasks that are due to start.

        :return: the tasks that run; the caller waits until one of them has ended. Empty if all tasks have ended.
        :raises BaseException: the error of a task, even if earlier tasks are still running.
        """
        while True:
            while len(self.started) < self._window:
                try:
                    item = next(self._items)
                except StopIteration:
                    break
                self.started.append(self._start(item))
            for task in self.started:
                if task.done() and (task.cancelled() or task.exception() is not None):
                    task.result()
            if not self.started or not self.started[0].done():
                return [task for task in self.started if not task.done()]
            self._on_result(self.started.popleft().result())
