"""A user cancels jobs, polls them now, and submits them again, on a real Airflow."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.beside import Begun, begin, beside
from tests.loopback import Asked, Behaviour, Server, reply

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

DAG = "acted_on"
DEFERRED = ("cancelled", "polled", "again", "kept", "killed", "alone", "alone_again", "outlived")
WAITING = {
    **dict.fromkeys(DEFERRED, "deferred"),
    "poked": "running",
    "rescheduled": "up_for_reschedule",
    "rescheduled_polled": "up_for_reschedule",
}
PATIENCE = 300.0


class Vendor:
    """An API whose jobs run until they are cancelled, or until the test ends them."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.statuses: dict[str, str] = {}
        self.server = Server(self.respond)

    def respond(self, asked: Asked) -> Behaviour:
        request = f"{asked.method} {asked.target}"
        self.counts[request] += 1
        _, place, name = asked.target.split("/")
        if place == "submit":
            return reply({"id": f"{name}-{self.counts[request]}"}, 201)
        if asked.method == "DELETE":
            self.statuses[name] = "cancelled"
            return reply({})
        return reply({"status": self.statuses.get(name, "running")})

    def deletes(self, job: str) -> int:
        return self.counts[f"DELETE /jobs/{job}"]

    def polls(self, job: str) -> int:
        return self.counts[f"GET /jobs/{job}"]


@pytest.fixture(scope="module")
def vendor() -> Iterator[Vendor]:
    vendor = Vendor()
    yield vendor
    vendor.server.close()


class Run:
    """A run whose tasks wait."""

    def __init__(self, airflow: Any, run_id: str) -> None:
        self.airflow, self.run_id, self.client = airflow, run_id, airflow.client

    def states(self) -> dict[str, str | None]:
        return {task.task_id: task.state for task in self.client.tasks(DAG, self.run_id)}

    def tries(self) -> dict[str, int]:
        return {task.task_id: task.try_number for task in self.client.tasks(DAG, self.run_id)}

    def wait_until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            self.airflow.check()
            assert time.monotonic() < deadline, self.states()
            time.sleep(0.3)

    def key(self, task_id: str, try_number: int = 1) -> dict[str, Any]:
        ids = {"dag_id": DAG, "run_id": self.run_id, "task_id": task_id, "map_index": -1}
        return {**ids, "try_number": try_number}

    def act(self, action: str, task_id: str, try_number: int = 1) -> dict[str, Any]:
        """Act on the job; a task that has just been deferred is tried again, as its message advises."""
        results: list[dict[str, Any]] = []

        def is_answered() -> bool:
            results[:] = self.client.act(action, self.key(task_id, try_number))
            return not any(text in results[0]["message"] for text in ("only just now", "is busy"))

        self.wait_until(is_answered)
        return results[0]

    def log(self, task_id: str, try_number: int = 1) -> str:
        return str(self.client.log(DAG, self.run_id, task_id, try_number))

    def audit(self, task_id: str) -> list[dict[str, Any]]:
        found = self.client.call(
            "GET", "/api/v2/eventLogs", dag_id=DAG, run_id=self.run_id, task_id=task_id, limit=1000
        )
        return [entry for entry in found["event_logs"] if entry["event"].startswith("asyncapi_")]


@pytest.fixture(scope="module")
def run(run_dag: Any, airflow: Any, vendor: Vendor) -> Iterator[Run]:
    run = Run(airflow, run_dag.start(DAG, {"url": vendor.server.url}))
    run.wait_until(lambda: {name: run.states().get(name) for name in WAITING} == WAITING)
    # Airflow tells no trigger of a Clear that comes before it has started.
    run.wait_until(lambda: all(f"/{name}/-1/1 (ID" in run.log(name) for name in DEFERRED))
    yield run
    airflow.client.mark_run(DAG, run.run_id, "failed")


@pytest.fixture(scope="module")
def begun(request: pytest.FixtureRequest, run: Run, vendor: Vendor) -> Iterator[Begun]:
    with begin(request, run=run, vendor=vendor) as tests:
        yield tests


@beside
def test_a_cancelled_job_is_cancelled_at_the_api_and_its_task_fails(run: Run, vendor: Vendor) -> None:
    result = run.act("cancel", "cancelled")
    assert result["ok"] is True, result
    run.wait_until(lambda: run.states()["cancelled"] == "failed")
    assert vendor.deletes("cancelled-1") == 1
    message = "admin has cancelled the job on the page Async API jobs: the API has accepted the cancel"
    assert f"AsyncApiCancelled: {message}" in run.log("cancelled")
    # Neither tried again, nor skipped by soft_fail.
    run.wait_until(lambda: run.states()["after_cancelled"] == "upstream_failed")
    assert run.tries()["cancelled"] == 1
    (entry,) = [entry for entry in run.audit("cancelled") if json.loads(entry["extra"])["ok"]]
    assert (entry["event"], entry["owner"], entry["map_index"], entry["try_number"]) == (
        "asyncapi_cancel",
        "admin",
        -1,
        1,
    )
    assert vendor.server.url not in entry["extra"]


@beside
def test_a_second_user_is_told_that_the_job_is_cancelled(run: Run, vendor: Vendor) -> None:
    run.wait_until(lambda: run.states()["cancelled"] == "failed")
    result = run.act("cancel", "cancelled")
    assert (result["ok"], result["message"]) == (False, "The task has ended meanwhile: its state is failed.")
    assert vendor.deletes("cancelled-1") == 1


@beside
def test_of_two_users_who_cancel_at_once_one_does(run: Run, vendor: Vendor) -> None:
    with ThreadPoolExecutor(2) as pool:
        results = [future.result() for future in [pool.submit(run.act, "cancel", "alone") for _ in range(2)]]
    assert sorted(result["ok"] for result in results) == [False, True], results
    run.wait_until(lambda: run.states()["alone"] == "failed")
    assert vendor.deletes("alone-1") == 1
    assert vendor.counts["POST /submit/alone"] == 1


@beside
def test_a_wait_without_a_cancel_request_fails_and_says_so(run: Run, vendor: Vendor) -> None:
    result = run.act("cancel", "kept")
    assert result["message"] == "A worker fails the task. There is no cancel request, so the job may still be running."
    run.wait_until(lambda: run.states()["kept"] == "failed")
    assert "there is no cancel request, so it may still be running" in run.log("kept")
    assert vendor.deletes("kept-1") == 0


@beside
def test_the_next_try_cancels_the_job_if_the_worker_is_killed_before_it_has(run: Run, vendor: Vendor) -> None:
    assert run.act("cancel", "killed")["ok"] is True
    run.wait_until(lambda: run.states()["killed"] == "failed")
    assert vendor.deletes("killed-1") == 1
    assert "AsyncApiCancelled: admin has cancelled the job" in run.log("killed", try_number=2)
    # Not tried a third time, although it has two retries.
    assert run.tries()["killed"] == 2


@beside
def test_a_job_is_polled_on_request_without_a_worker(run: Run, vendor: Vendor) -> None:
    polls = vendor.polls("polled-1")
    assert run.act("poll", "polled")["ok"] is True
    run.wait_until(lambda: vendor.polls("polled-1") > polls)
    assert run.states()["polled"] == "deferred"
    vendor.statuses["polled-1"] = "done"
    assert run.act("poll", "polled")["ok"] is True
    run.wait_until(lambda: run.states()["after_polled"] == "success")
    assert (run.tries()["polled"], vendor.counts["POST /submit/polled"], vendor.deletes("polled-1")) == (1, 1, 0)
    # One for each request: the trigger that was replaced has made none.
    assert vendor.polls("polled-1") == polls + 2


@beside
@pytest.mark.parametrize("name", ["again", "alone_again"])
def test_of_two_users_who_submit_again_at_once_one_does(run: Run, vendor: Vendor, name: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        results = [future.result() for future in [pool.submit(run.act, "submit_again", name) for _ in range(2)]]
    assert sorted(result["ok"] for result in results) == [False, True], results
    run.wait_until(lambda: vendor.polls(f"{name}-2") > 0)
    run.wait_until(lambda: run.states()[name] == "deferred")
    assert vendor.counts[f"POST /submit/{name}"] == 2
    # The page of a user who hasn't looked again shows the try before.
    assert run.act("submit_again", name)["message"] == "The task was run again meanwhile: this is try 2, not 1."
    # Airflow tells the trigger of the first try that its task was cleared.
    run.wait_until(lambda: vendor.deletes(f"{name}-1") == 1)
    vendor.statuses[f"{name}-2"] = "done"
    assert run.act("poll", name, try_number=2)["ok"] is True
    run.wait_until(lambda: run.states()[name] == "success")
    assert (vendor.counts[f"POST /submit/{name}"], vendor.deletes(f"{name}-2")) == (2, 0)


@beside
def test_the_job_of_a_task_that_pokes_on_a_worker_is_cancelled(run: Run, vendor: Vendor) -> None:
    assert "(mode='poke')" in run.act("poll", "poked")["message"]
    assert run.act("cancel", "poked")["ok"] is True
    run.wait_until(lambda: vendor.deletes("poked-1") == 1)
    assert run.states()["poked"] == "failed"


@beside
def test_the_job_of_a_task_between_two_pokes_is_cancelled_and_the_task_fails(run: Run, vendor: Vendor) -> None:
    assert run.act("cancel", "rescheduled")["ok"] is True
    run.wait_until(lambda: run.states()["rescheduled"] == "failed")
    assert vendor.deletes("rescheduled-1") == 1
    assert "AsyncApiCancelled: admin has cancelled the job" in run.log("rescheduled")
    assert run.tries()["rescheduled"] == 1


@beside
def test_a_task_between_two_pokes_polls_on_request(run: Run, vendor: Vendor) -> None:
    vendor.statuses["rescheduled_polled-1"] = "done"
    assert run.act("poll", "rescheduled_polled")["ok"] is True
    run.wait_until(lambda: run.states()["rescheduled_polled"] == "success")
    assert (run.tries()["rescheduled_polled"], vendor.deletes("rescheduled_polled-1")) == (1, 0)


def test_a_job_is_polled_by_the_next_triggerer_if_this_one_dies(run: Run, vendor: Vendor) -> None:
    """
    The request is in the database: the triggerer is killed before it can have seen it.

    This is the last test: the other triggers of the dead triggerer are without one for some seconds.
    """
    polls = vendor.polls("outlived-1")
    processes = run.airflow.processes
    processes.kill("triggerer")
    try:
        assert run.act("poll", "outlived")["ok"] is True
    finally:
        run.airflow.start_component("triggerer")
    run.wait_until(lambda: vendor.polls("outlived-1") > polls)
    assert (run.states()["outlived"], vendor.deletes("outlived-1")) == ("deferred", 0)
