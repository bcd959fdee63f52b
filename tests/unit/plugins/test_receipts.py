from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import create_engine, select
from sqlalchemy.pool import StaticPool

from airflow_provider_asyncapi.core.callbacks import Call, Reference, by_identifier, by_task
from airflow_provider_asyncapi.core.errors import ForgedCallError
from airflow_provider_asyncapi.core.messages import Headers
from airflow_provider_asyncapi.core.submission import Submission
from airflow_provider_asyncapi.plugins import receipts
from airflow_provider_asyncapi.plugins.receipts import Incoming, TooManyCallsError
from airflow_provider_asyncapi.xcoms import AWAITED_KEY, CALLS_KEY, JOB_OF_KEY, SUBMISSION_KEY
from tests.unit.plugins.airflow_database import Database

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

pytestmark = pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning")

SUBMIT, WAIT = uuid.UUID(int=7), uuid.UUID(int=8)
REFERENCE = Reference.make(SUBMIT, bytes(range(32)))
TASK = {"dag_id": "exports", "run_id": "run", "task_id": "submit", "map_index": 2}
JSON = Headers([("content-type", "application/json")])


class World:
    """One job that was submitted with a callback URL, and the task that waits for it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        run = database.add_run("exports")
        awaited = {"task_instance": str(WAIT), "heard": 0}
        self.submission = Submission("key-1", callbacks=(REFERENCE.digest,), connection="vendor")
        database.add_tasks(
            run,
            [
                {
                    "id": str(SUBMIT),
                    "task_id": "submit",
                    "map_index": 2,
                    "state": "success",
                    "xcoms": {JOB_OF_KEY + by_identifier("vendor", 7): 7},
                },
                {
                    "id": str(WAIT),
                    "task_id": "wait",
                    "map_index": 2,
                    "state": "deferred",
                    "xcoms": {AWAITED_KEY + by_task(TASK): awaited},
                },
            ],
        )
        self.keep(self.submission)

    def keep(self, submission: Submission) -> None:
        """Store what the submitting task has kept, where this version of Airflow has it."""
        with self.database.session() as session:
            if receipts.TaskScope is None:
                receipts._push(session, TASK, SUBMISSION_KEY, submission.dump())
            else:
                kept = json.dumps(submission.dump())
                receipts.get_state_backend().set(receipts.TaskScope(**TASK), SUBMISSION_KEY, kept, session=session)
            session.commit()

    def calls(self) -> list[Call]:
        with self.database.session() as session:
            sql = select(XComModel.value).where(XComModel.key == CALLS_KEY, XComModel.task_id == "submit")
            return Call.parse_all(session.scalar(sql))

    def waiting(self, **changes: Any) -> TaskInstance:
        """Give the task that waits, changed if that is asked for."""
        with self.database.session() as session:
            task = session.get(TaskInstance, receipts._id(WAIT))
            for name, value in changes.items():
                setattr(task, name, value)
            session.commit()
            session.refresh(task)
            session.expunge_all()
            return task


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    database = Database(create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}))

    @contextmanager
    def create_session() -> Iterator[Session]:
        with database.session() as session:
            yield session
            session.commit()

    monkeypatch.setattr(receipts, "create_session", create_session)
    monkeypatch.setattr(receipts, "_known", {})
    monkeypatch.setenv("AIRFLOW_CONN_VENDOR", json.dumps({"conn_type": "asyncapi", "host": "https://api.example.com"}))
    return World(database)


def call(body: Any = None) -> Incoming:
    return Incoming(JSON, json.dumps(body or {"state": "done"}).encode(), 1.0)


def take(incoming: Incoming) -> None:
    receipts.take(receipts.place_of(REFERENCE), incoming)


def test_a_call_is_kept_and_resumes_the_task_that_waits(world: World) -> None:
    take(call())
    (kept,) = world.calls()
    assert kept.response().json == {"state": "done"}
    task = world.waiting()
    assert task.state == "scheduled"
    assert "called" in json.dumps(task.next_kwargs)


def test_a_call_that_is_repeated_is_kept_once(world: World) -> None:
    take(call())
    take(call())
    take(call({"state": "running"}))
    assert len(world.calls()) == 2


@pytest.mark.parametrize("state", ["running", "success", "failed", "up_for_retry", None])
def test_a_task_that_is_not_deferred_stays_as_it_is(world: World, state: str | None) -> None:
    world.waiting(state=state)
    take(call())
    assert world.waiting().state == state
    assert len(world.calls()) == 1


def test_a_task_that_was_deferred_just_now_is_left_to_its_trigger(world: World) -> None:
    world.waiting(state="deferred", updated_at=receipts.datetime.now(receipts.UTC))
    take(call())
    assert world.waiting().state == "deferred"
    assert len(world.calls()) == 1


def test_a_task_that_knows_of_all_calls_is_not_resumed(world: World) -> None:
    with world.database.session() as session:
        row = session.scalar(select(XComModel).where(XComModel.key.startswith(AWAITED_KEY)))
        row.value = {"task_instance": str(WAIT), "heard": 1}
        session.commit()
    take(call())
    assert world.waiting().state == "deferred"
    take(call({"state": "failed"}))
    assert world.waiting().state == "scheduled"


@pytest.mark.parametrize(
    "reference",
    [
        Reference.make(SUBMIT, bytes(32)),
        Reference.make(uuid.UUID(int=9), bytes(range(32))),
        Reference.make(WAIT, b"x" * 32),
    ],
    ids=["another token", "no task instance", "a task that submits nothing"],
)
def test_a_url_that_was_not_given_away_is_refused(world: World, reference: Reference) -> None:
    with pytest.raises(ForgedCallError):
        receipts.place_of(reference)


def test_a_call_that_comes_in_while_its_task_is_cleared_is_refused(world: World) -> None:
    place = receipts.place_of(REFERENCE)
    world.keep(Submission("key-2", callbacks=("another",), connection="vendor"))
    with pytest.raises(ForgedCallError, match="cleared"):
        receipts.take(place, call())
    assert world.calls() == []
    assert world.waiting().state == "deferred"
    with pytest.raises(ForgedCallError, match="another submission"):
        receipts.place_of(REFERENCE)


def test_a_job_that_calls_without_end_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "_MOST_CALLS", 2)
    take(call({"n": 1}))
    take(call({"n": 2}))
    with pytest.raises(TooManyCallsError):
        take(call({"n": 3}))
    take(call({"n": 1}))
    assert len(world.calls()) == 2


def test_a_large_body_goes_to_the_folder_that_is_set_for_it(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__CALLBACK_FOLDER", tmp_path.as_uri())
    take(call({"rows": "x" * 100_000}))
    take(call({"rows": "x"}))
    large, small = world.calls()
    assert (large.body, small.path) == (b"", None)
    assert json.loads((tmp_path / "key-1" / large.identity).read_bytes()) == {"rows": "x" * 100_000}


def test_a_call_finds_its_job_by_the_identifier(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    signed = {"signature": {"header": "X-Signature"}, "identifier": "id"}
    stored = {"conn_type": "asyncapi", "host": "https://h", "extra": {"callback": signed, "callback_secret": "k" * 8}}
    monkeypatch.setenv("AIRFLOW_CONN_VENDOR", json.dumps(stored))

    def sign(body: Any) -> Incoming:
        import hmac

        content = json.dumps(body).encode()
        code = hmac.digest(b"k" * 8, content, "sha256").hex()
        return Incoming(Headers([("content-type", "application/json"), ("x-signature", code)]), content, 1.0)

    receipts.expect("vendor")
    with pytest.raises(ForgedCallError, match="nobody has submitted"):
        receipts.take_by_identifier("vendor", sign({"id": 8}))
    receipts.take_by_identifier("vendor", sign({"id": "7"}))
    assert len(world.calls()) == 1
    assert world.waiting().state == "scheduled"


def test_made_up_connections_are_looked_up_once_in_a_while_and_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "_MOST_KNOWN", 3)
    for number in range(10):
        with pytest.raises(ForgedCallError):
            receipts.expect(f"made-up-{number % 2}-{number}")
    assert len(receipts._known) <= 3


def test_a_task_cannot_have_another_one_resumed(world: World) -> None:
    with world.database.session() as session:
        row = session.scalar(select(XComModel).where(XComModel.key.startswith(AWAITED_KEY)))
        row.task_id = "submit"
        session.commit()
    take(call())
    assert world.waiting().state == "deferred"
    assert len(world.calls()) == 1


def test_a_job_of_another_connection_is_not_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "_verified", lambda *_: receipts.CallbackSettings())
    monkeypatch.setattr(receipts, "identifier_of", lambda *_: 7)
    with pytest.raises(ForgedCallError, match="nobody has submitted"):
        receipts.take_by_identifier("tenant-2", call())
    world.keep(receipts.dataclasses.replace(world.submission, connection="tenant-2"))
    with pytest.raises(ForgedCallError, match="another one"):
        receipts.take_by_identifier("vendor", call())
    assert world.calls() == []
