"""A wait that the triggerer begins, and ends, holds no worker; what Airflow doesn't carry that way, a worker does."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


#: Each has one task at a time.
SMALL = tuple(f"workerless_{name}" for name in ("by_profile", "no_data", "broken", "stuck"))


@pytest.fixture(scope="module")
def run(run_dag):
    """
    One run of each DAG.

    The small ones run at once when the first of them is asked for: one after the other, most of the time would be
    their initial delay. The large one runs alone: a machine that is busy with all at once loses tasks.
    """
    started: dict[str, str] = {}

    @cache
    def run(dag_id: str) -> Any:
        if dag_id not in SMALL:
            return run_dag(dag_id)
        if not started:
            started.update((small, run_dag.start(small)) for small in SMALL)
        return run_dag.finish(dag_id, started[dag_id])

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


def test_a_job_without_data_is_told_by_a_worker_also_when_it_is_cleared(run, run_dag, airflow):
    result = run("workerless_no_data")
    assert (result.task("wait").state, result.task("fetch").state) == ("success", "skipped")
    assert legs(result, "wait") == 1
    airflow.client.clear(result.dag_id, result.run_id, "wait", "fetch")
    again = run_dag.finish(result.dag_id, result.run_id)
    assert (again.task("wait").state, again.task("fetch").state) == ("success", "skipped")
    assert "start_from_trigger is set, but a worker is needed: this is try 2" in again.log("wait")


def test_a_failure_is_told_by_a_worker(run):
    result = run("workerless_broken")
    assert result.task("wait").state == "failed"
    assert legs(result, "wait") == 1
    assert "AsyncApiJobFailed: Job " in result.log("wait")


def test_a_cleared_wait_begins_on_a_worker_with_nothing_of_the_earlier_try(run, run_dag, airflow):
    result = run("workerless")
    before = legs(result, "both")
    airflow.client.clear("workerless", result.run_id, "both")
    again = run_dag.finish("workerless", result.run_id)
    assert again.state == "success", again.failures()
    task = again.task("both")
    assert task.try_number == 2
    assert task.duration > 0
    assert legs(again, "both") > before
    assert again.xcom("both") == again.xcom("submit")


def test_a_job_that_takes_too_long_is_cancelled_from_the_triggerer(run, demo_server):
    result = run("workerless_stuck")
    assert "AsyncApiTimeout" in result.log("wait")
    assert legs(result, "wait") == 1
    assert demo_server.count("PUT", f"/v1/jobs/{result.xcom('submit')}/cancel", status=200) == 1


def test_killing_a_wait_that_no_worker_has_begun_cancels_its_job(run_dag, airflow, demo_server):
    run_id = run_dag.start("workerless_killed")
    client = airflow.client
    until(lambda: (client.xcom("workerless_killed", run_id, "wait", "job") or {}).get("status") is not None)
    client.mark("workerless_killed", run_id, "wait", "failed")
    identifier = client.xcom("workerless_killed", run_id, "submit")
    until(lambda: demo_server.count("PUT", f"/v1/jobs/{identifier}/cancel", status=200) == 1)


def until(condition: Callable[[], bool], timeout: float = 120.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it didn't come to that"
        time.sleep(0.3)
