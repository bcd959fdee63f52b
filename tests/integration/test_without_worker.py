"""A wait that the triggerer begins, and ends, holds no worker; what Airflow doesn't carry that way, a worker does."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


LARGE = "workerless"
#: Each has one task at a time.
SMALL = tuple(f"workerless_{name}" for name in ("by_profile", "no_data", "broken", "stuck", "killed"))


@pytest.fixture(scope="module")
def started(run_dag) -> dict[str, Any]:
    """
    Return the ids of runs of the small DAGs, and how the run of the large one ended.

    The small ones go on at once: one after the other, most of the time would be their initial delay. The large one
    runs alone: a machine that is busy with all at once loses tasks.
    """
    large = run_dag(LARGE)
    return {LARGE: large, **{small: run_dag.start(small) for small in SMALL}}


@pytest.fixture(scope="module")
def run(run_dag, started):
    """Return what finishes a DAG's run."""

    @cache
    def run(dag_id: str) -> Any:
        return started[LARGE] if dag_id == LARGE else run_dag.finish(dag_id, started[dag_id])

    return run


def legs(result: Any, task_id: str, map_index: int = -1) -> int:
    """Count how often the task has held a worker: Airflow's audit log has a line each time one begins with it."""
    client = result.airflow.client
    given = {"dag_id": result.dag_id, "run_id": result.run_id, "task_id": task_id, "event": "running"}
    events = client.call("GET", "/api/v2/eventLogs", limit=1000, **given)["event_logs"]
    return sum(event["map_index"] == map_index for event in events)


@pytest.mark.parametrize(("task_id", "count"), [("plain", 2), ("start", 1), ("end", 1), ("both", 0)])
def test_a_worker_is_held_only_where_it_is_not_said_otherwise(run, task_id, count):
    result = run("workerless")
    assert result.state == "success", result.failures()
    assert legs(result, task_id) == count
    task = result.task(task_id)
    assert task.state == "success"
    assert task.duration > 0
    # What comes after finds the same, whoever has begun and ended the wait.
    assert result.xcom(task_id) == result.xcom("submit")
    assert result.xcom(task_id, "job") == result.xcom("plain", "job")
    assert result.xcom(f"{task_id}_fetch") == result.xcom("plain_fetch")


def test_outlets_are_told_by_a_worker(run):
    result = run("workerless")
    assert legs(result, "outlets") == 1
    events = result.airflow.client.call("GET", "/api/v2/assets/events", source_dag_id="workerless")["asset_events"]
    assert "outlets" in {event["source_task_id"] for event in events}


@pytest.mark.parametrize("map_index", [0, 1])
def test_a_mapped_wait_begins_on_a_worker_and_ends_without(run, map_index):
    result = run("workerless")
    assert legs(result, "mapped", map_index) == 1
    assert result.xcom("mapped", map_index=map_index) == result.xcom("submit")
    assert "start_from_trigger is set, but a worker is needed: it is mapped" in result.log("mapped", map_index)


def test_a_template_is_rendered_on_a_worker_which_says_why_it_is_needed(run):
    result = run("workerless")
    assert legs(result, "template") == 1
    assert "start_from_trigger is set, but a worker is needed: headers: is a template" in result.log("template")


def test_the_triggerer_finds_the_profile_of_the_connection(run):
    result = run("workerless_by_profile")
    assert result.state == "success", result.failures()
    assert legs(result, "wait") == 0
    assert result.xcom("fetch")


def test_a_job_without_data_is_told_by_a_worker(run):
    result = run("workerless_no_data")
    assert (result.task("wait").state, result.task("fetch").state) == ("success", "skipped")
    assert legs(result, "wait") == 1


def test_a_failure_is_told_by_a_worker(run):
    result = run("workerless_broken")
    assert result.task("wait").state == "failed"
    assert legs(result, "wait") == 1
    assert "AsyncApiJobFailed: Job " in result.log("wait")


def test_a_job_that_takes_too_long_is_cancelled_from_the_triggerer(run, demo_server):
    result = run("workerless_stuck")
    assert "AsyncApiTimeout" in result.log("wait")
    assert legs(result, "wait") == 1
    assert demo_server.count("PUT", f"/v1/jobs/{result.xcom('submit')}/cancel", status=200) == 1


def test_killing_a_wait_that_no_worker_has_begun_cancels_its_job(started, airflow, demo_server):
    run_id = started["workerless_killed"]
    client = airflow.client
    until(lambda: (client.xcom("workerless_killed", run_id, "wait", "job") or {}).get("status") is not None)
    client.mark("workerless_killed", run_id, "wait", "failed")
    identifier = client.xcom("workerless_killed", run_id, "submit")
    until(lambda: demo_server.count("PUT", f"/v1/jobs/{identifier}/cancel", status=200) == 1)


# The first courses have been looked at by now.


@pytest.fixture(scope="module")
def again(run, run_dag, airflow):
    """Return what became of the waits that were cleared once their runs were over: both go on at once."""
    large, no_data = run(LARGE), run("workerless_no_data")
    legs_before = legs(large, "both")
    airflow.client.clear(LARGE, large.run_id, "both")
    airflow.client.clear(no_data.dag_id, no_data.run_id, "wait", "fetch")
    return legs_before, run_dag.finish(LARGE, large.run_id), run_dag.finish(no_data.dag_id, no_data.run_id)


def test_a_cleared_wait_begins_on_a_worker_with_nothing_of_the_earlier_try(again):
    legs_before, result, _ = again
    assert result.state == "success", result.failures()
    task = result.task("both")
    assert task.try_number == 2
    assert task.duration > 0
    assert legs(result, "both") > legs_before
    assert result.xcom("both") == result.xcom("submit")


def test_a_job_without_data_is_told_by_a_worker_when_its_wait_is_cleared(again):
    _, _, result = again
    assert (result.task("wait").state, result.task("fetch").state) == ("success", "skipped")
    assert "start_from_trigger is set, but a worker is needed: this is try 2" in result.log("wait")


def until(condition: Callable[[], bool], timeout: float = 120.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "the condition didn't hold in time"
        time.sleep(0.3)
