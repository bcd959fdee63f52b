"""The order in which concurrent tasks start, and in which their results are consumed."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future
from typing import Any

import pytest

from airflow_provider_asyncapi.core.concurrent_tasks import ConcurrentTasks


class Tasks:
    """Tasks, each with a number, that end when the test says so."""

    def __init__(self, numbers: Any, concurrency: int) -> None:
        self.started: list[Future[str]] = []
        self.consumed: list[str] = []
        self.running = ConcurrentTasks(numbers, concurrency, self.consumed.append, self.start)

    def start(self, _: Any) -> Future[str]:
        self.started.append(Future())
        return self.started[-1]

    def end(self, *numbers: int) -> None:
        for number in numbers:
            self.started[number].set_result(f"result of {number}")


def test_a_slow_task_blocks_those_that_are_more_than_twice_the_concurrency_behind_it() -> None:
    tasks = Tasks(iter(range(9)), 2)
    assert tasks.running.advance() == tasks.started
    assert len(tasks.started) == 4
    tasks.end(1, 2, 3)
    assert tasks.running.advance() == tasks.started[:1]
    assert len(tasks.started) == 4
    tasks.end(0)
    assert tasks.running.advance() == tasks.started[4:8]


def test_results_are_consumed_in_the_order_of_the_items() -> None:
    tasks = Tasks(range(5), 2)
    tasks.running.advance()
    tasks.end(2, 1, 3, 0)
    assert tasks.running.advance() == tasks.started[4:]
    tasks.end(4)
    assert tasks.running.advance() == []
    assert tasks.consumed == [f"result of {number}" for number in range(5)]
    assert not tasks.running.started


def test_a_task_whose_result_is_refused_is_over() -> None:
    def refuse(_: Any) -> None:
        raise ValueError

    tasks = Tasks(range(2), 1)
    running = ConcurrentTasks(range(2), 1, refuse, tasks.start)
    running.advance()
    tasks.end(0)
    with pytest.raises(ValueError):
        running.advance()
    assert list(running.started) == tasks.started[1:]


def test_the_error_of_a_task_is_raised_while_earlier_tasks_are_running() -> None:
    tasks = Tasks(range(3), 2)
    tasks.running.advance()
    tasks.started[1].set_exception(KeyError("x"))
    with pytest.raises(KeyError):
        tasks.running.advance()
    assert tasks.consumed == []


def test_a_task_that_was_cancelled_from_outside_ends_all() -> None:
    tasks = Tasks(range(3), 2)
    tasks.running.advance()
    tasks.started[1].cancel()
    with pytest.raises(CancelledError):
        tasks.running.advance()
