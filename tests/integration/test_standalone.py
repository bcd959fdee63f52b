"""
`airflow standalone`: submit, wait, fetch, and what is shown of a job while its task is deferred.

It runs on Airflow 3.2, where no browser looks at the page: `make test-3.2`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.airflow import RUN_OVER, LocalAirflow
from tests.unit.fake_airflow import ApiServer, reply

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

STATUS = "GET /jobs/7"


@pytest.fixture(scope="module")
def api() -> Iterator[ApiServer]:
    with ApiServer() as server:
        server.respond_to("POST /jobs", reply({"id": 7}, 201))
        server.respond_to("GET /jobs/7/rows", reply([{"id": 1}]))
        yield server


@pytest.fixture(scope="module")
def standalone(tmp_path_factory: pytest.TempPathFactory, api: ApiServer) -> Iterator[LocalAirflow]:
    home = tmp_path_factory.mktemp("standalone")
    with LocalAirflow(
        home,
        Path(__file__).resolve().parent / "standalone_dags",
        components={"standalone": ("standalone",)},
        connections={"vendor": {"conn_type": "asyncapi", "host": api.url}},
        # It starts the others by the name of the command.
        env={"TMPDIR": str(home), "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))},
        serve_logs=True,
    ) as running:
        yield running


def test_status_progress_and_errors_are_shown_while_the_task_is_deferred(
    standalone: LocalAirflow, api: ApiServer
) -> None:
    client = standalone.client
    api.respond_to(STATUS, reply({"state": "running", "percent": 2}))
    run_id = client.trigger("watched")

    def xcom(key: str) -> dict[str, Any]:
        return client.xcom("watched", run_id, "job.wait", key) or {}

    until(standalone, lambda: state_of(standalone, run_id) == "deferred")
    api.respond_to(STATUS, reply({"state": "running", "percent": 60}))
    until(standalone, lambda: xcom("job").get("progress") == 0.6)
    (row,) = page(standalone)
    assert (row["status"], row["progress"], row["state"]) == ("running", 0.6, "deferred")
    api.respond_to(STATUS, reply({"error": "under maintenance"}, 503))
    until(standalone, lambda: "under maintenance" in (xcom("job_poll").get("error") or ""))
    (row,) = page(standalone)
    assert "under maintenance" in row["error"]
    api.respond_to(STATUS, reply({"state": "done", "percent": 100}))
    until(standalone, lambda: client.run_state("watched", run_id) in RUN_OVER)
    assert client.run_state("watched", run_id) == "success"
    assert client.xcom("watched", run_id, "job.fetch", "return_value") == [{"id": 1}]
    assert xcom("job")["progress"] == 1


def state_of(airflow: LocalAirflow, run_id: str) -> str | None:
    tasks = airflow.client.tasks("watched", run_id)
    return next((task.state for task in tasks if task.task_id == "job.wait"), None)


def page(airflow: LocalAirflow) -> list[dict[str, Any]]:
    """Return the rows of the page Async API jobs."""
    rows: list[dict[str, Any]] = airflow.client.call("GET", "/asyncapi/jobs")["jobs"]
    return rows


def until(airflow: LocalAirflow, condition: Callable[[], bool], timeout: float = 120.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        airflow.check()
        assert time.monotonic() < deadline, "the condition didn't hold in time"
        time.sleep(0.3)
