"""How the API server grants slots, on a database with Airflow's tables."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from fastapi import HTTPException
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from airflow_provider_asyncapi.core.jobs.slots import SlotRequest, make_slot_key
from airflow_provider_asyncapi.monitoring.xcoms import SLOT_KEY
from airflow_provider_asyncapi.plugins import job_slots
from airflow_provider_asyncapi.plugins.app import make_app
from tests.unit.plugins.airflow_database import Database

KEY = SLOT_KEY + make_slot_key("vendor")
LIMIT = 2


class Tasks:
    """Tasks of one DAG run that request slots in the order in which they are added."""

    def __init__(self, database: Database, dag_id: str = "dag", *, state: str = "running") -> None:
        self.database, self.run = database, database.add_run(dag_id, state=state)
        self.dag_id = dag_id
        self.requested_at = 0.0

    def add(self, task_id: str, *, granted: bool = False, state: str = "running", **given: Any) -> str:
        """Add a task, and return the id of its task instance."""
        self.requested_at += 1
        request = SlotRequest(LIMIT, self.requested_at, self.requested_at if granted else None)
        xcoms = {KEY: {**request.dump(), **given}}
        identifier = str(uuid.uuid4())
        self.database.add_tasks(self.run, [{"task_id": task_id, "id": identifier, "state": state, "xcoms": xcoms}])
        return identifier

    def add_wait(self, submitter: str, *, state: str, is_next_job: bool = False) -> None:
        """
        Add a task that waits for the job of another one.

        :param is_next_job: whether it has submitted the job itself, after that of the other task has failed.
        """
        task = {"dag_id": self.dag_id, "run_id": "run", "task_id": submitter, "map_index": -1}
        own = {**task, "task_id": f"{submitter}_wait"}
        xcoms = {"job": {"identifier": "7", **({"task": own, "slot_of": task} if is_next_job else {"task": task})}}
        self.database.add_tasks(self.run, [{"task_id": f"{submitter}_wait", "state": state, "xcoms": xcoms}])


def poll(database: Database, task_instance: str) -> tuple[bool, int]:
    """Poll for a slot; return whether it is granted, and the position in the queue."""
    with database.session() as session:
        answer = job_slots.grant_slot(session, task_instance, 100.0)
        session.commit()
    return answer["granted"], answer["position"]


def refusal(database: Database, task_instance: str) -> tuple[int, str]:
    """Poll for a slot that is refused; return the status code and the reason."""
    with pytest.raises(HTTPException) as refused:
        poll(database, task_instance)
    return refused.value.status_code, refused.value.detail


def test_as_many_tasks_as_the_limit_get_a_slot_in_the_order_of_their_requests(database: Database) -> None:
    tasks = Tasks(database)
    first, second, third, fourth = (tasks.add(name) for name in "abcd")
    assert poll(database, third) == (False, 3)
    assert poll(database, second) == (True, 0)
    # The slot of the first is kept for it.
    assert poll(database, third) == (False, 2)
    assert poll(database, first) == (True, 0)
    assert poll(database, fourth) == (False, 2)
    # A task that has a slot keeps it, and may poll again.
    assert poll(database, first) == (True, 0)


@pytest.mark.parametrize("state", ["success", "failed", "skipped", "upstream_failed", "removed", None])
def test_a_slot_is_free_once_its_task_has_ended_or_was_cleared(database: Database, state: Any) -> None:
    tasks = Tasks(database)
    tasks.add("a", granted=True)
    tasks.add("b", granted=True, state=state)
    assert poll(database, tasks.add("c")) == (True, 0)


@pytest.mark.parametrize("state", ["queued", "scheduled", "running", "deferred", "up_for_retry", "up_for_reschedule"])
def test_a_task_that_goes_on_keeps_its_slot(database: Database, state: str) -> None:
    tasks = Tasks(database)
    for name in "ab":
        tasks.add(name, granted=True, state=state)
    assert poll(database, tasks.add("c")) == (False, 1)


@pytest.mark.parametrize(
    ("wait", "run", "expected"),
    [
        # The job runs, and the task that waits for it hasn't begun.
        (None, "running", False),
        ("deferred", "running", False),
        ("success", "running", True),
        ("failed", "running", True),
        # Nobody will wait for it any more.
        (None, "failed", True),
    ],
)
@pytest.mark.parametrize("is_next_job", [False, True])
def test_the_slot_of_a_submit_is_free_once_the_task_that_waits_for_the_job_has_ended(
    database: Database, wait: str | None, run: str, expected: bool, is_next_job: bool
) -> None:
    others = Tasks(database, "other")
    others.add("a", granted=True)
    tasks = Tasks(database, state=run)
    tasks.add("submit", granted=True, state="success", ends_with_task=False)
    if wait is not None:
        tasks.add_wait("submit", state=wait, is_next_job=is_next_job)
    others.requested_at = 10
    assert poll(database, others.add("b")) == (expected, 0 if expected else 1)


@pytest.mark.parametrize("state", ["up_for_retry", "restarting"])
def test_a_task_between_two_tries_that_had_no_slot_blocks_nobody(database: Database, state: str) -> None:
    tasks = Tasks(database)
    for name in "abc":
        tasks.add(name, state=state)
    assert poll(database, tasks.add("d")) == (True, 0)


def test_another_connection_has_slots_of_its_own(database: Database) -> None:
    tasks = Tasks(database)
    for name in "ab":
        tasks.add(name, granted=True)
    identifier = str(uuid.uuid4())
    xcoms = {SLOT_KEY + make_slot_key("other"): SlotRequest(1, 5.0).dump()}
    database.add_tasks(tasks.run, [{"task_id": "c", "id": identifier, "xcoms": xcoms}])
    assert poll(database, identifier) == (True, 0)


def test_a_request_that_some_task_has_made_up_counts_for_nothing(database: Database) -> None:
    tasks = Tasks(database)
    for name in "ab":
        tasks.add(name, granted=True, limit="many")
    assert poll(database, tasks.add("c")) == (True, 0)


@pytest.mark.parametrize("task_instance", ["no-id", str(uuid.UUID(int=3))])
def test_a_task_that_has_requested_nothing_is_refused(database: Database, task_instance: str) -> None:
    assert refusal(database, task_instance)[0] == 410


@pytest.mark.parametrize(("state", "granted"), [("failed", True), ("success", True), ("up_for_retry", False)])
def test_a_task_that_has_ended_or_waits_for_its_next_try_is_refused(
    database: Database, state: str, granted: bool
) -> None:
    task = Tasks(database).add("a", state=state, granted=granted)
    assert refusal(database, task) == (410, "The task instance has ended, or waits for its next try.")


def test_a_request_that_a_custom_xcom_backend_stores_elsewhere_is_refused_with_the_reason(database: Database) -> None:
    tasks = Tasks(database)
    identifier = str(uuid.uuid4())
    stored = {"task_id": "a", "id": identifier, "state": "running", "xcoms": {KEY: "s3://bucket/xcoms/1"}}
    database.add_tasks(tasks.run, [stored])
    status, reason = refusal(database, identifier)
    assert (status, "custom XCom backend" in reason) == (409, True)


def test_only_the_first_in_the_queue_locks_it_and_looks_for_jobs_that_have_ended(database: Database) -> None:
    tasks = Tasks(database)
    for name in "ab":
        tasks.add(name, granted=True, state="success", ends_with_task=False)
    first, _, last = (tasks.add(name) for name in "cde")
    counts = []
    for task in (last, first):
        database.statements.clear()
        assert poll(database, task) == (False, 3 if task is last else 1)
        counts.append(len(database.statements))
    # Only the first one locks the requests, and reads the jobs of the tasks that have slots.
    assert counts[0] < counts[1]


def test_the_route_answers_what_the_flow_reads(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_slots, "create_session", database.session)
    client = TestClient(make_app())
    answer = client.post(f"/slots/{Tasks(database).add('a')}")
    assert (answer.status_code, answer.json()) == (200, {"granted": True, "limit": LIMIT, "position": 0})
    assert client.post("/slots/nobody").status_code == 410


def test_a_busy_database_is_polled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def locked() -> Any:
        raise OperationalError("BEGIN", {}, Exception("database is locked"))

    monkeypatch.setattr(job_slots, "create_session", locked)
    assert TestClient(make_app()).post("/slots/any").status_code == 503
