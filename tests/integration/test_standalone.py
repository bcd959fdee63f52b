"""
`airflow standalone`: submit, wait, fetch, what is shown of a job while its task is deferred, and what users do to it.

It runs on Airflow 3.1 and 3.2, where no browser looks at the page: `make test-lowest`, `make test-3.2`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_asyncapi.airflow_private.versions import HAS_PLUGIN_PAGES, HAS_TRIGGER_XCOMS
from demo.airflow import RUN_OVER, LocalAirflow
from tests.unit.fake_airflow import ApiServer, reply

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

STATUS = "GET /jobs/7"
#: What Airflow 3.1 lacks.
shows_more = pytest.mark.skipif(not (HAS_PLUGIN_PAGES and HAS_TRIGGER_XCOMS), reason="Airflow shows nothing of it")


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
        # Without an issuer, Airflow 3.1.0 puts an empty list into its tokens, which newer versions of PyJWT refuse.
        config={"api_auth": {"jwt_issuer": "airflow"}},
        # It starts the others by the name of the command.
        env={"TMPDIR": str(home), "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))},
        serve_logs=True,
    ) as running:
        yield running


@pytest.mark.skipif(HAS_TRIGGER_XCOMS, reason="the other tests show more")
def test_a_job_is_waited_for_without_a_worker_and_its_result_is_fetched(
    standalone: LocalAirflow, api: ApiServer
) -> None:
    client = standalone.client
    api.respond_to(
        STATUS, reply({"state": "running"}), reply({"error": "under maintenance"}, 503), reply({"state": "running"})
    )
    run_id = client.trigger("watched")
    until(standalone, lambda: api.count(STATUS) >= 3 and state_of(standalone, "watched", run_id) == "deferred")
    api.respond_to(STATUS, reply({"state": "done", "percent": 100}))
    until(standalone, lambda: client.run_state("watched", run_id) in RUN_OVER)
    assert client.run_state("watched", run_id) == "success"
    assert client.xcom("watched", run_id, "job.fetch", "return_value") == [{"id": 1}]
    assert api.count("POST /jobs") == 1


@shows_more
def test_status_progress_and_errors_are_shown_while_the_task_is_deferred(
    standalone: LocalAirflow, api: ApiServer
) -> None:
    client = standalone.client
    api.respond_to(STATUS, reply({"state": "running", "percent": 2}))
    run_id = client.trigger("watched")

    def xcom(key: str) -> dict[str, Any]:
        return client.xcom("watched", run_id, "job.wait", key) or {}

    until(standalone, lambda: state_of(standalone, "watched", run_id) == "deferred")
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


@shows_more
def test_a_user_polls_a_job_and_cancels_it_although_the_worker_dies(standalone: LocalAirflow, api: ApiServer) -> None:
    """Before Airflow 3.3 the next try finds the request beside the task that has submitted the job."""
    client = standalone.client
    poll, cancel = "GET /jobs/a-1", "DELETE /jobs/a-1"
    api.respond_to("POST /acted_on", reply({"id": "a-1"}, 201))
    api.respond_to(poll, reply({"state": "running"}))
    api.respond_to(cancel, reply(None, 204))
    run_id = client.trigger("acted_on")
    until(standalone, lambda: state_of(standalone, "acted_on", run_id) == "deferred")
    key = {"dag_id": "acted_on", "run_id": run_id, "task_id": "wait", "map_index": -1, "try_number": 1}
    polls = api.count(poll)
    (polled,) = client.act("poll", key)
    assert polled["ok"] is True, polled
    until(standalone, lambda: api.count(poll) > polls)
    # A task that was deferred only just now is cancelled later.
    until(standalone, lambda: bool(client.act("cancel", key)[0]["ok"]))
    until(standalone, lambda: client.run_state("acted_on", run_id) in RUN_OVER)
    assert (state_of(standalone, "acted_on", run_id), api.count(cancel)) == ("failed", 1)
    assert "AsyncApiCancelled: admin has cancelled the job" in client.log("acted_on", run_id, "wait", 2)


def state_of(airflow: LocalAirflow, dag_id: str, run_id: str) -> str | None:
    tasks = airflow.client.tasks(dag_id, run_id)
    return next((task.state for task in tasks if task.task_id in ("wait", "job.wait")), None)


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
