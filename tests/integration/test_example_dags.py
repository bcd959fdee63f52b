"""Each example DAG runs on a real scheduler and triggerer, against the demo server."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

FILES = sorted(
    path.name for path in (Path(__file__).resolve().parents[2] / "example_dags").glob("*.py") if path.stem != "__init__"
)


@pytest.fixture(scope="session")
def started(airflow, run_dag):
    """All example DAGs at once: one after the other, most of the time would be waiting."""
    return {dag: run_dag.start(dag.dag_id) for dag in airflow.client.dags() if dag.file in FILES}


@pytest.mark.parametrize("file", FILES)
def test_an_example_runs_to_its_end(file, started, run_dag):
    here = {dag: run_id for dag, run_id in started.items() if dag.file == file}
    assert here, f"{file} holds no DAG"
    for dag, run_id in here.items():
        result = run_dag.finish(dag.dag_id, run_id)
        expected = "failed" if "expected-failure" in dag.tags else "success"
        assert result.state == expected, result.failures()


@pytest.mark.parametrize("task_id", ["job", "steps.wait"])
def test_a_job_that_failed_is_followed_by_another_one(started, run_dag, demo_server, task_id):
    ((dag, run_id),) = ((dag, run_id) for dag, run_id in started.items() if dag.dag_id == "job_run_again")
    result = run_dag.finish(dag.dag_id, run_id)
    (failed,) = result.xcom(task_id, "job_attempts")
    job = result.xcom(task_id, "job")
    assert (failed["status"], failed["message"]) == ("failed", "The source is locked.")
    assert job["outcome"] == "success"
    # The connection's profile takes the address of the last response for the identifier of the result.
    assert result.xcom(task_id).endswith(job["identifier"])
    assert job["identifier"] != failed["identifier"]


def test_an_upload_that_breaks_is_resumed(started, run_dag, demo_server):
    ((dag, run_id),) = ((dag, run_id) for dag, run_id in started.items() if dag.dag_id == "import_file")
    result = run_dag.finish(dag.dag_id, run_id)
    assert result.xcom("orders.fetch")["lines"] == 300_000
    upload = result.xcom("orders.wait", "job")["variables"]["upload"]
    # One transfer that broke, and one of the rest, each after the question how much there is.
    assert [demo_server.count(method, upload) for method in ("PATCH", "HEAD")] == [2, 2]
