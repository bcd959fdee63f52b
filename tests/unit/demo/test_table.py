"""The closing table of the demo has a line with the result of each job."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from demo.airflow import TaskState
from demo.table import Row, Run, make_rows

RUN = Run("d", "r", "success")


class Airflow:
    """The tasks of one run in the order of their start, each with its XComs."""

    def __init__(self, *tasks: tuple[str, int, dict[str, Any]]) -> None:
        self._xcoms = {(task_id, map_index): xcoms for task_id, map_index, xcoms in tasks}

    def tasks(self, dag_id: str, run_id: str) -> list[TaskState]:
        return [
            TaskState(dag_id, run_id, task_id, index, "success", 1, 1.0, moment(number), moment(number + 1))
            for number, (task_id, index) in enumerate(self._xcoms)
        ]

    def xcom(self, _dag_id: str, _run_id: str, task_id: str, key: str = "return_value", *, map_index: int = -1) -> Any:
        return self._xcoms[task_id, map_index].get(key)


def moment(seconds: int) -> datetime:
    return datetime(2026, 1, 1, 0, 0, seconds, tzinfo=UTC)


def handle(identifier: str, **variables: Any) -> dict[str, Any]:
    return JobHandle(identifier=identifier, status="done", variables=variables).dump()


def results_of(*tasks: tuple[str, int, dict[str, Any]]) -> list[tuple[str, str]]:
    rows: list[Row] = make_rows(Airflow(*tasks), RUN, "success")  # type: ignore[arg-type]  # has the methods that are used
    return [(row.identifier, row.result) for row in rows]


def test_one_task_for_the_whole_job_has_job_and_result_in_its_own_row() -> None:
    first = {"job": handle("j-1"), "return_value": [1]}
    second = {"job": handle("j-2"), "return_value": [2]}
    assert results_of(("job", 0, first), ("job", 1, second)) == [("j-1", "[1]"), ("j-2", "[2]")]


def test_an_identifier_that_submit_or_sensor_return_is_no_result() -> None:
    submitted = {"job": handle("j-1"), "return_value": "j-1"}
    waited = {"job": handle("j-1", result_identifier="r-1"), "return_value": "r-1"}
    tasks = ("submit", -1, submitted), ("wait", -1, waited)
    assert results_of(*tasks) == [("j-1", "-")]
    assert results_of(*tasks, ("get_rows", -1, {"return_value": [1]})) == [("j-1", "[1]")]


def test_a_return_value_from_before_the_job_is_no_result() -> None:
    listed = ("list_requests", -1, {"return_value": [{"outcome": "ok"}]})
    assert results_of(listed, ("submit", -1, {"job": handle("j-1"), "return_value": "j-1"})) == [("j-1", "-")]
