"""The profile ``airflow/dag_runs`` with a real Airflow, which plays the other installation too."""

from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.jobs.handle import JobHandle

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def calling_run(airflow, run_dag):
    login = {"login": airflow.user, "password": airflow.password}
    airflow.client.add_connection(
        "other_airflow",
        {"conn_type": "asyncapi", "host": airflow.url, **login, "extra": {"profile": "airflow/dag_runs"}},
    )
    airflow.client.unpause("called")
    return run_dag("calling")


def called_run(run, outcome: str) -> str:
    """Return the id of the run that a task has started."""
    return str(JobHandle.parse(run.xcom(f"{outcome}.submit", "job")).identifier)


def test_a_dag_run_is_started_once_and_its_xcom_is_fetched(calling_run):
    assert calling_run.task("success.fetch").state == "success", calling_run.failures()
    assert calling_run.xcom("success.fetch") == {"outcome": "success", "days": [1, 2]}
    run_id = called_run(calling_run, "success")
    assert run_id.startswith("api__")
    assert calling_run.airflow.client.run_state("called", run_id) == "success"


def test_a_dag_run_that_fails_fails_the_task(calling_run):
    assert calling_run.task("failed.wait").state == "failed", calling_run.failures()
    run_id = called_run(calling_run, "failed")
    assert f"Job {run_id} has status failed" in calling_run.log("failed.wait")
    assert calling_run.airflow.client.run_state("called", run_id) == "failed"


def test_a_dag_run_that_takes_too_long_is_stopped(calling_run):
    assert calling_run.task("stuck.wait").state == "failed"
    run_id = called_run(calling_run, "stuck")
    client = calling_run.airflow.client
    assert client.run_state("called", run_id) == "failed"
    assert [each.state for each in client.tasks("called", run_id)] == ["failed"]


def test_each_dag_run_is_started_once(calling_run):
    runs = calling_run.airflow.client.call("GET", "/api/v2/dags/called/dagRuns")["dag_runs"]
    assert {run["dag_run_id"] for run in runs} == {
        called_run(calling_run, outcome) for outcome in ("success", "failed", "stuck")
    }
