"""The order in which concurrent flows start, and in which their results are consumed."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_asyncapi.core.concurrent_flows import ConcurrentFlows
from airflow_provider_asyncapi.core.effects import RunConcurrently


def flows_of(numbers: Any, concurrency: int, started: list[Any], consumed: list[Any]) -> ConcurrentFlows[Any]:
    def start(number: Any) -> Any:
        started.append(number)
        return number

    return ConcurrentFlows(RunConcurrently(numbers, concurrency, consumed.append), start)


def test_a_slow_flow_blocks_those_that_are_more_than_twice_the_concurrency_behind_it() -> None:
    started: list[Any] = []
    flows = flows_of(iter(range(9)), 2, started, [])
    assert flows.next_due() == 0
    assert flows.next_due() == 0
    assert started == [0, 1, 2, 3]
    flows.consume("a")
    assert flows.next_due() == 1
    assert started == [0, 1, 2, 3, 4]


def test_results_are_consumed_in_the_order_of_the_flows() -> None:
    started: list[Any] = []
    consumed: list[Any] = []
    flows = flows_of(range(5), 1, started, consumed)
    while (number := flows.next_due()) is not None:
        flows.consume(f"result of {number}")
    assert consumed == [f"result of {number}" for number in range(5)]
    assert not flows.tasks


def test_a_flow_whose_result_is_refused_is_over() -> None:
    def refuse(_: Any) -> None:
        raise ValueError

    flows = ConcurrentFlows(RunConcurrently(iter("ab"), 1, refuse), str)  # type: ignore[arg-type]  # the flows aren't run
    flows.next_due()
    with pytest.raises(ValueError):
        flows.consume(1)
    assert list(flows.tasks) == ["b"]
