"""A whole job in one task, on a real scheduler and triggerer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def legs_run(run_dag):
    return run_dag("one_task_legs")


def legs(result: Any, task_id: str, map_index: int = -1) -> int:
    """Count how often the task has held a worker: Airflow's audit log has a line each time one begins with it."""
    client = result.airflow.client
    given = {"dag_id": result.dag_id, "run_id": result.run_id, "task_id": task_id, "event": "running"}
    events = client.call("GET", "/api/v2/eventLogs", limit=1000, **given)["event_logs"]
    return sum(event["map_index"] == map_index for event in events)


@pytest.mark.parametrize(
    ("task_id", "map_index", "count"),
    [("plain", -1, 2), ("in_trigger", -1, 1), ("mapped", 0, 1), ("mapped", 1, 1)],
)
def test_a_deferred_job_needs_two_worker_processes_or_one_if_the_triggerer_fetches(
    legs_run, demo_server, task_id, map_index, count
):
    assert legs_run.state == "success", legs_run.failures()
    assert legs(legs_run, task_id, map_index) == count
    job = legs_run.xcom(task_id, "job", map_index=map_index)
    assert (job["outcome"], job["task"]["map_index"]) == ("success", map_index)
    result = legs_run.xcom(task_id, map_index=map_index)
    assert (result["_id"], result["status"]) == (job["identifier"], "completed")


def test_a_job_without_deferral_has_the_same_result(legs_run):
    assert legs_run.xcom("poke")["_id"] == legs_run.xcom("poke", "job")["identifier"]


def test_the_next_task_takes_the_handle(legs_run):
    assert legs_run.xcom("next") == legs_run.xcom("plain")


def test_the_page_shows_each_job_of_such_a_task(legs_run):
    client = legs_run.airflow.client
    client.run_state(legs_run.dag_id, legs_run.run_id)
    jobs = client.call("GET", "/asyncapi/jobs", dag_id=legs_run.dag_id, run_id=legs_run.run_id)["jobs"]
    shown = {(job["task_id"], job["map_index"]): (job["identifier"], job["status"], job["group"]) for job in jobs}
    for key in (("plain", -1), ("in_trigger", -1), ("poke", -1), ("mapped", 0), ("mapped", 1)):
        task_id, map_index = key
        identifier = legs_run.xcom(task_id, "job", map_index=map_index)["identifier"]
        assert shown[key] == (identifier, "completed", "done")


def test_a_retry_after_a_failed_job_submits_another(run_dag, demo_server):
    before = demo_server.count("POST", "/v1/flows/broken/run", status=201)
    result = run_dag("one_task_failed")
    task = result.task("job")
    assert (task.state, task.try_number) == ("failed", 2)
    assert demo_server.count("POST", "/v1/flows/broken/run", status=201) - before == 2
    assert "AsyncApiAttemptFailed: Job " in result.log("job")


def test_killing_the_task_cancels_its_job(run_dag, airflow, demo_server):
    run_id = run_dag.start("one_task_killed")
    client = airflow.client
    identifier = started(client, "one_task_killed", run_id)
    client.mark("one_task_killed", run_id, "job", "failed")
    until(lambda: cancels(demo_server, identifier) == 1)


def test_a_cleared_task_submits_another_job_and_the_old_one_is_cancelled(run_dag, airflow, demo_server):
    run_id = run_dag.start("one_task_cleared")
    client = airflow.client
    first = started(client, "one_task_cleared", run_id)
    client.clear("one_task_cleared", run_id, "job")
    until(lambda: cancels(demo_server, first) == 1)
    until(lambda: (client.xcom("one_task_cleared", run_id, "job", "job") or {}).get("identifier") not in (None, first))
    second = started(client, "one_task_cleared", run_id)
    assert second != first
    client.mark("one_task_cleared", run_id, "job", "failed")
    until(lambda: cancels(demo_server, second) == 1)


def started(client: Any, dag_id: str, run_id: str) -> str:
    """Return the job once the task waits for it in the triggerer."""

    def job() -> Any:
        return client.xcom(dag_id, run_id, "job", "job") or {}

    until(lambda: job().get("status") is not None and client.tasks(dag_id, run_id)[0].state == "deferred")
    return str(job()["identifier"])


def cancels(server: Any, identifier: str) -> int:
    return int(server.count("PUT", f"/v1/jobs/{identifier}/cancel", status=200))


def until(condition: Callable[[], bool], timeout: float = 180.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "the condition didn't hold in time"
        time.sleep(1.0)
