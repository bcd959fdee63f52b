"""What goes otherwise than in the examples, on a real scheduler and triggerer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from demo.server import DemoServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

#: run → (DAG, conf)
RUNS: dict[str, tuple[str, dict[str, Any] | None]] = {
    "modes ok": ("modes_orders", None),
    "modes broken": ("modes_broken", None),
    "no data": ("cloud_elements_bulk", {"object": "empty"}),
    "completed with errors": ("celigo_flow", {"flow": "partial"}),
    "refused": ("celigo_flow", {"flow": "disabled"}),
    "error in a 200": ("vayana_einvoices", {"gstin": "BAD1234"}),
    "failed": ("vayana_einvoices", {"gstin": "FAIL1234"}),
    "partial": ("vayana_einvoices", {"gstin": "PARTIAL1234"}),
    "fast": ("phixflow_actionflow", {"flow": "Fast Report"}),
    "finish 200": ("standard_soon", {"finish": "200"}),
    "soft fail": ("soft_fail", None),
    "deadline": ("deadline", None),
    "two steps": ("two_steps", None),
    "half filled": ("half_filled_connection", None),
    "deleted": ("deleted_connection", None),
    "secret": ("secret_in_a_header", None),
    "mapped": ("mapped_by_identifier", None),
}


@pytest.fixture(scope="module")
def started(run_dag):
    """All runs at once: one after the other, most of the time would be waiting."""
    return {name: (dag_id, run_dag.start(dag_id, conf)) for name, (dag_id, conf) in RUNS.items()}


@pytest.fixture
def run(started, run_dag):
    return lambda name: run_dag.finish(*started[name])


def test_deferred_poke_and_reschedule_succeed_alike(run):
    result = run("modes ok")
    assert result.state == "success", result.failures()
    handles = [result.xcom(task, "job") for task in ("deferred", "poke", "reschedule")]
    assert handles[0] == handles[1] == handles[2]
    assert handles[0]["status"] == "completed"
    identifiers = {result.xcom(task) for task in ("submit", "deferred", "poke", "reschedule")}
    assert identifiers == {handles[0]["identifier"]}


def test_deferred_poke_and_reschedule_fail_alike(run):
    result = run("modes broken")
    assert {result.task(task).state for task in ("deferred", "poke", "reschedule")} == {"failed"}
    for task in ("deferred", "poke", "reschedule"):
        assert "AsyncApiJobFailed: Job " in result.log(task)
        assert "has status failed" in result.log(task)


def test_a_job_without_data_ends_well_and_its_fetch_is_skipped(run):
    result = run("no data")
    assert result.state == "success"
    assert (result.task("contacts.wait").state, result.task("contacts.fetch").state) == ("success", "skipped")


def test_a_job_that_completes_with_errors_fails_the_wait(run):
    result = run("completed with errors")
    assert (result.state, result.task("orders.wait").state) == ("failed", "failed")
    assert "has status completed" in result.log("orders.wait")


def test_a_refused_submit_says_what_the_api_said(run):
    result = run("refused")
    assert result.task("orders.submit").state == "failed"
    assert "answered 422" in result.log("orders.submit")


def test_an_error_within_a_200_fails_the_submit(run):
    result = run("error in a 200")
    assert result.task("submit").state == "failed"
    assert "AsyncApiJobFailed" in result.log("submit")


def test_a_failed_job_fails_the_wait_and_nothing_is_fetched(run):
    result = run("failed")
    assert (result.task("wait").state, result.task("fetch").state) == ("failed", "upstream_failed")


def test_a_partial_result_fails_and_leaves_nothing(run, results):
    result = run("partial")
    assert result.task("fetch").state == "failed"
    assert "1 of 3 records" in result.log("fetch")
    folder = results / "vayana" / result.run_id
    assert not folder.exists() or not list(folder.iterdir())


def test_a_fast_job_is_never_polled(run, demo_server):
    result = run("fast")
    assert result.state == "success", result.failures()
    assert [row["status"] for row in result.xcom("fetch")]
    assert result.xcom("wait", "job")["outcome"] == "success"


def test_the_resource_that_was_polled_is_the_result(run):
    result = run("finish 200")
    assert result.state == "success", result.failures()
    assert result.xcom("job.fetch")["result"]["rows"]


def test_soft_fail_skips(run):
    result = run("soft fail")
    assert (result.task("broken.wait").state, result.task("broken.fetch").state) == ("skipped", "skipped")


def test_a_job_that_takes_too_long_is_cancelled_once(run, demo_server):
    result = run("deadline")
    assert result.task("stuck.wait").state == "failed"
    log = result.log("stuck.wait")
    assert "AsyncApiTimeout" in log
    identifier = result.xcom("stuck.submit")
    assert demo_server.count("PUT", f"/v1/jobs/{identifier}/cancel", status=200) == 1
    # The page of jobs shows it.
    told = result.xcom("stuck.wait", "job_history")["entries"][-1]
    assert told["kind"] == "deadline"
    assert told["message"].startswith("The job wasn't done in time: the API has accepted the cancel")


def test_a_job_in_two_steps_with_forms_and_xml(run):
    result = run("two steps")
    assert result.state == "success", result.failures()
    assert result.xcom("fetch")


def test_a_half_filled_connection_is_named(run):
    assert "connection 'half_filled': auth 'bearer' needs password" in run("half filled").log("submit")


def test_a_deleted_connection_is_named(run):
    assert "deleted" in run("deleted").log("wait")


def test_a_secret_in_a_header_is_refused_and_not_shown(run):
    result = run("secret")
    assert "'X-Token' looks like a secret" in result.log("wait")
    assert "planted-header-secret" not in result.log("wait")


def test_jobs_are_mapped_by_their_identifiers(run):
    result = run("mapped")
    assert result.state == "success", result.failures()
    assert [result.task("fetch", index).state for index in range(2)] == ["success"] * 2


def test_marking_a_waiting_task_as_failed_cancels_its_job(airflow, run_dag, demo_server):
    run_id, identifier = _start_stuck_job(airflow.client, run_dag, demo_server)
    airflow.client.mark("killed", run_id, "stuck.wait", "failed")
    _until(lambda: _cancels(demo_server, identifier) == 1)
    # The page of jobs shows it.
    _until(lambda: "The task is failed: the API has accepted the cancel" in _last_entry(airflow.client, run_id))


def test_clearing_a_waiting_task_cancels_its_job_and_not_the_next_one(airflow, run_dag, demo_server):
    client = airflow.client
    run_id, identifier = _start_stuck_job(client, run_dag, demo_server)
    client.clear("killed", run_id, "stuck.submit", "stuck.wait")
    _until(lambda: _cancels(demo_server, identifier) == 1)
    _until(lambda: client.xcom("killed", run_id, "stuck.submit", "return_value") not in (None, identifier))
    _until(lambda: _state(client, run_id, "stuck.wait") == "deferred")
    second = client.xcom("killed", run_id, "stuck.submit", "return_value")
    assert _cancels(demo_server, second) == 0
    assert _cancels(demo_server, identifier) == 1


def test_a_task_that_is_cleared_while_it_runs_submits_another_job_though_it_has_retries_left(
    airflow, run_dag, demo_server
):
    dag_id = "cleared_while_running"
    run_id = run_dag.start(dag_id)
    client = airflow.client
    _until(lambda: client.xcom(dag_id, run_id, "job", "job") is not None)
    first = client.xcom(dag_id, run_id, "job", "job")["identifier"]
    _until(lambda: demo_server.count("GET", f"/v1/jobs/{first}") > 1)
    assert _state(client, run_id, "job", dag_id) == "running"
    client.clear(dag_id, run_id, "job")
    _until(lambda: (client.xcom(dag_id, run_id, "job", "job") or {}).get("identifier") not in (None, first))
    client.mark(dag_id, run_id, "job", "failed")
    result = run_dag.finish(dag_id, run_id)
    assert f"Submitting a new job, since the task was cleared; the previous one is {first}" in result.log("job")


def _start_stuck_job(client: Any, run_dag: Any, server: DemoServer) -> tuple[str, str]:
    """Start a run whose job goes on; return the run and the job once a trigger has polled it."""
    run_id = run_dag.start("killed")
    _until(lambda: _state(client, run_id, "stuck.wait") == "deferred")
    identifier = client.xcom("killed", run_id, "stuck.submit", "return_value")
    # The first poll is the worker's; a trigger that hasn't begun can't be told of a kill.
    _until(lambda: server.count("GET", f"/v1/jobs/{identifier}") > 1)
    return run_id, identifier


def _state(client: Any, run_id: str, task_id: str, dag_id: str = "killed") -> str | None:
    return next((task.state for task in client.tasks(dag_id, run_id) if task.task_id == task_id), None)


def _last_entry(client: Any, run_id: str) -> str:
    """Return what the timeline of the page of jobs says last of the wait."""
    entries = (client.xcom("killed", run_id, "stuck.wait", "job_history") or {}).get("entries") or [{}]
    return str(entries[-1].get("message"))


def _cancels(server: DemoServer, identifier: str) -> int:
    return server.count("PUT", f"/v1/jobs/{identifier}/cancel", status=200)


def _until(condition: Callable[[], bool], timeout: float = 180.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "the condition didn't hold in time"
        time.sleep(0.3)
