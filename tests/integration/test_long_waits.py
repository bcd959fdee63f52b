"""The log of a remote job, a warning about a late one, and the end of a stalled one, on a real Airflow."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.loopback import Asked, Behaviour, Server, reply

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


class Vendor:
    """An API with jobs whose logs have one line more at each request."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        #: The jobs that are done.
        self.done: set[str] = set()
        self.server = Server(self.respond)

    def respond(self, asked: Asked) -> Behaviour:
        self.counts[asked.target] += 1
        count = self.counts[asked.target]
        match asked.target:
            case "/logs/late" | "/logs/logged":
                return reply("".join(f"line {number}\n" for number in range(1, count + 1)).encode())
            case "/jobs/late" | "/jobs/logged":
                is_done = asked.target.removeprefix("/jobs/") in self.done
                return reply({"status": "done" if is_done else "running"})
            case "/loads/orders":
                # The load begins with the second request. The second time is the same as the first one.
                times = ["2026-01-31T10:00:00Z"] * 2 + ["2026-01-31T12:00:00+02:00"] * 2 + ["2026-01-31T11:30:00+01:00"]
                return reply({"table": "orders", "loaded_at": times[min(count, len(times)) - 1]})
            case "/jobs/limited":
                return reply({"status": "done" if count > 1 else "running", "again_in": 2})
        return reply({"status": "queued"})


@pytest.fixture(scope="module")
def vendor() -> Iterator[Vendor]:
    vendor = Vendor()
    yield vendor
    vendor.server.close()


@pytest.fixture(scope="module")
def result(run_dag: Any, airflow: Any, vendor: Vendor) -> Any:
    run_id = run_dag.start("long_waits", {"url": vendor.server.url})
    deadline = time.monotonic() + 300
    # The jobs are done once their tasks have logged these while they were waiting in the triggerer.
    for task_id, expected in (("logged", "log | line 3"), ("late", "told about job late")):
        while not is_deferred(airflow, run_id, task_id) or expected not in log_of(airflow, run_id, task_id):
            airflow.check()
            assert time.monotonic() < deadline, f"{task_id}: {log_of(airflow, run_id, task_id)}"
            time.sleep(0.5)
        vendor.done.add(task_id)
    return run_dag.finish("long_waits", run_id)


def is_deferred(airflow: Any, run_id: str, task_id: str) -> bool:
    states = {task.task_id: task.state for task in airflow.client.tasks("long_waits", run_id)}
    return states.get(task_id) == "deferred"


def log_of(airflow: Any, run_id: str, task_id: str) -> str:
    return str(airflow.client.log("long_waits", run_id, task_id, 1))


@pytest.mark.parametrize("task_id", ["logged", "late"])
def test_the_new_lines_of_the_log_appear_in_order_while_the_task_waits(
    result: Any, vendor: Vendor, task_id: str
) -> None:
    assert result.task(task_id).state == "success", result.failures()
    shown = [int(number) for number in re.findall(r"log \| line (\d+)\b", result.log(task_id))]
    assert shown == list(range(1, vendor.counts[f"/logs/{task_id}"] + 1))


def test_a_late_wait_is_warned_about_once_and_a_worker_calls_the_callback(result: Any) -> None:
    log = result.log("late")
    assert log.count("The wait for job late takes longer than warn_after") == 1
    assert log.count("told about job late") == 1
    assert result.xcom("late", "job_wait")["warned_at"]
    jobs = result.airflow.client.call("GET", "/asyncapi/jobs", dag_id="long_waits", run_id=result.run_id)["jobs"]
    assert {job["task_id"]: job["warned_at"] is not None for job in jobs}["late"] is True


def test_a_job_that_makes_no_progress_fails_the_task(result: Any) -> None:
    assert result.task("stalled").state == "failed"
    assert "AsyncApiJobStalled: Job stalled has status queued, unchanged for" in result.log("stalled")


def test_a_hint_in_the_body_replaces_the_poke_interval(result: Any, vendor: Vendor) -> None:
    assert result.task("limited").state == "success"
    assert vendor.counts["/jobs/limited"] == 2


def test_rules_compare_with_what_was_captured_before_the_submit(result: Any, vendor: Vendor) -> None:
    assert result.task("compared").state == "success", result.failures()
    # The baseline, the submit, two polls with the same time in another zone, and one with a later time.
    assert vendor.counts["/loads/orders"] == 5
