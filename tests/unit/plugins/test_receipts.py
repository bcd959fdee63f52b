from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_provider_asyncapi.airflow_private.database import TaskScope, get_state_backend
from airflow_provider_asyncapi.core.callbacks.calls import (
    CallbackReference,
    ReceivedCallback,
    dump_callbacks,
    make_identifier_key,
    make_task_key,
)
from airflow_provider_asyncapi.core.callbacks.settings import CallbackSettings
from airflow_provider_asyncapi.core.callbacks.signatures import Signature
from airflow_provider_asyncapi.core.errors import InvalidCallbackError
from airflow_provider_asyncapi.core.http.messages import Headers
from airflow_provider_asyncapi.core.submit.submission import Submission
from airflow_provider_asyncapi.monitoring.xcoms import AWAITED_KEY, CALLS_KEY, JOB_OF_KEY, SUBMISSION_KEY
from airflow_provider_asyncapi.plugins import bodies, receipts, stored_callbacks
from airflow_provider_asyncapi.plugins.connections import CallbackConnections
from airflow_provider_asyncapi.plugins.receipts import IncomingCallback
from airflow_provider_asyncapi.plugins.stored_callbacks import TooManyCallbacksError
from tests.unit.plugins.airflow_database import Database, open_database

pytestmark = pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning")

SUBMIT, WAIT = uuid.UUID(int=7), uuid.UUID(int=8)
REFERENCE = CallbackReference.make(SUBMIT, bytes(range(32)))
TASK: dict[str, Any] = {"dag_id": "exports", "run_id": "run", "task_id": "submit", "map_index": 2}
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
                    "xcoms": {JOB_OF_KEY + make_identifier_key("vendor", 7): 7},
                },
                {
                    "id": str(WAIT),
                    "task_id": "wait",
                    "map_index": 2,
                    "state": "deferred",
                    "xcoms": {AWAITED_KEY + make_task_key(TASK): awaited},
                },
            ],
        )
        self.keep(self.submission)

    def keep(self, submission: Submission) -> None:
        """Store what the submitting task has kept, where this version of Airflow has it."""
        with self.database.session() as session:
            if TaskScope is None:
                stored_callbacks.write_xcom(session, TASK, SUBMISSION_KEY, submission.dump())
            else:
                kept = json.dumps(submission.dump())
                get_state_backend().set(TaskScope(**TASK), SUBMISSION_KEY, kept, session=session)
            session.commit()

    def calls(self) -> list[ReceivedCallback]:
        with self.database.session() as session:
            sql = select(XComModel.value).where(XComModel.key == CALLS_KEY, XComModel.task_id == "submit")
            return ReceivedCallback.parse_callbacks(session.scalar(sql))

    def waiting(self, **changes: Any) -> TaskInstance:
        """Return the task that waits, changed if that is asked for."""
        with self.database.session() as session:
            task = session.get(TaskInstance, stored_callbacks.parse_id(WAIT))
            for name, value in changes.items():
                setattr(task, name, value)
            session.commit()
            session.refresh(task)
            session.expunge_all()
            assert task is not None
            return task


@pytest.fixture
def database() -> Iterator[Database]:
    with open_database() as database:
        yield database


@pytest.fixture
def world(database: Database, monkeypatch: pytest.MonkeyPatch) -> World:
    @contextmanager
    def create_session() -> Iterator[Session]:
        with database.session() as session:
            yield session
            session.commit()

    monkeypatch.setattr(receipts, "create_session", create_session)
    monkeypatch.setattr(receipts, "callback_connections", CallbackConnections())
    monkeypatch.setattr(bodies, "last_deletion", None)
    monkeypatch.setenv("AIRFLOW_CONN_VENDOR", json.dumps({"conn_type": "asyncapi", "host": "https://api.example.com"}))
    return World(database)


def call(body: Any = None) -> IncomingCallback:
    return IncomingCallback(JSON, json.dumps(body or {"state": "done"}).encode(), 1.0)


def store_callback(incoming: IncomingCallback) -> None:
    receipts.store_callback(receipts.find_job(REFERENCE), incoming)


def test_a_call_is_kept_and_resumes_the_task_that_waits(world: World) -> None:
    store_callback(call())
    (kept,) = world.calls()
    assert kept.response().json == {"state": "done"}
    task = world.waiting()
    assert task.state == "scheduled"
    assert '"callback"' in json.dumps(task.next_kwargs)


def test_a_call_that_is_repeated_is_kept_once(world: World) -> None:
    store_callback(call())
    store_callback(call())
    store_callback(call({"state": "running"}))
    assert len(world.calls()) == 2


@pytest.mark.parametrize("state", ["running", "success", "failed", "up_for_retry", None])
def test_a_task_that_is_not_deferred_stays_as_it_is(world: World, state: str | None) -> None:
    world.waiting(state=state)
    store_callback(call())
    assert world.waiting().state == state
    assert len(world.calls()) == 1


def test_a_task_that_was_deferred_just_now_is_left_to_its_trigger(world: World) -> None:
    world.waiting(state="deferred", updated_at=datetime.now(UTC))
    store_callback(call())
    assert world.waiting().state == "deferred"
    assert len(world.calls()) == 1


def test_a_task_that_knows_of_all_calls_is_not_resumed(world: World) -> None:
    with world.database.session() as session:
        row = session.scalar(select(XComModel).where(XComModel.key.startswith(AWAITED_KEY)))
        assert row is not None
        row.value = {"task_instance": str(WAIT), "heard": 1}
        session.commit()
    store_callback(call())
    assert world.waiting().state == "deferred"
    store_callback(call({"state": "failed"}))
    assert world.waiting().state == "scheduled"


@pytest.mark.parametrize(
    "reference",
    [
        CallbackReference.make(SUBMIT, bytes(32)),
        CallbackReference.make(uuid.UUID(int=9), bytes(range(32))),
        CallbackReference.make(WAIT, b"x" * 32),
    ],
    ids=["another token", "no task instance", "a task that submits nothing"],
)
def test_a_url_that_was_not_given_away_is_refused(world: World, reference: CallbackReference) -> None:
    with pytest.raises(InvalidCallbackError):
        receipts.find_job(reference)


def test_a_call_that_comes_in_while_its_task_is_cleared_is_refused(world: World) -> None:
    job = receipts.find_job(REFERENCE)
    world.keep(Submission("key-2", callbacks=("another",), connection="vendor"))
    with pytest.raises(InvalidCallbackError, match="cleared"):
        receipts.store_callback(job, call())
    assert world.calls() == []
    assert world.waiting().state == "deferred"
    with pytest.raises(InvalidCallbackError, match="another submission"):
        receipts.find_job(REFERENCE)


def test_a_job_that_calls_without_end_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_callbacks, "MAX_CALLBACKS", 2)
    store_callback(call({"n": 1}))
    store_callback(call({"n": 2}))
    with pytest.raises(TooManyCallbacksError):
        store_callback(call({"n": 3}))
    store_callback(call({"n": 1}))
    assert len(world.calls()) == 2


def test_a_large_body_goes_to_the_folder_that_is_set_for_it(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__CALLBACK_FOLDER", tmp_path.as_uri())
    store_callback(call({"rows": "x" * 100_000}))
    store_callback(call({"rows": "x"}))
    large, small = world.calls()
    assert (large.body, small.path) == (b"", None)
    assert json.loads((tmp_path / "1970-01-01" / "key-1" / large.identity).read_bytes()) == {"rows": "x" * 100_000}


def test_a_call_finds_its_job_by_the_identifier(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    signed = {"signature": {"header": "X-Signature"}, "identifier": "id"}
    stored = {"conn_type": "asyncapi", "host": "https://h", "extra": {"callback": signed, "callback_secret": "k" * 8}}
    monkeypatch.setenv("AIRFLOW_CONN_VENDOR", json.dumps(stored))

    def sign(body: Any) -> IncomingCallback:
        import hmac

        content = json.dumps(body).encode()
        code = hmac.digest(b"k" * 8, content, "sha256").hex()
        return IncomingCallback(Headers([("content-type", "application/json"), ("x-signature", code)]), content, 1.0)

    with pytest.raises(InvalidCallbackError, match="no task has submitted"):
        receipts.store_callback_by_identifier("vendor", sign({"id": 8}))
    receipts.store_callback_by_identifier("vendor", sign({"id": "7"}))
    assert len(world.calls()) == 1
    assert world.waiting().state == "scheduled"


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def large(number: int, *, day: int = 0) -> IncomingCallback:
    return IncomingCallback(JSON, json.dumps({"n": number, "rows": "x" * 100_000}).encode(), day * 86400.0)


def test_what_is_not_kept_leaves_no_file(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__CALLBACK_FOLDER", tmp_path.as_uri())
    monkeypatch.setattr(stored_callbacks, "MAX_CALLBACKS", 1)
    store_callback(large(1))
    (kept,) = files_in(tmp_path)
    # Repeated on another day, too many, after a Clear, and when the database fails.
    store_callback(large(1, day=1))
    with pytest.raises(TooManyCallbacksError):
        store_callback(large(2))
    job = receipts.find_job(REFERENCE)
    world.keep(Submission("key-2", callbacks=(REFERENCE.digest,), connection="vendor"))
    with pytest.raises(InvalidCallbackError):
        receipts.store_callback(job, large(3))
    # Before Airflow 3.3 the calls from before the Clear count too.
    monkeypatch.setattr(stored_callbacks, "MAX_CALLBACKS", 2)
    monkeypatch.setattr(Session, "flush", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store_callback(large(4))
    assert files_in(tmp_path) == [kept]


def test_old_bodies_are_deleted_and_nothing_else(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__CALLBACK_FOLDER", tmp_path.as_uri())
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__CALLBACK_KEEP_DAYS", "7")
    for name in ("else", "19700101", "1970-13-01"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    store_callback(large(1))
    store_callback(large(2, day=6))
    assert len(files_in(tmp_path)) == 5
    store_callback(large(3, day=7))
    assert [name[:10] for name in files_in(tmp_path)] == [
        *("1970-01-07", "1970-01-08", "1970-13-01", "19700101/f", "else/file"),
    ]
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__CALLBACK_KEEP_DAYS", "0")
    store_callback(large(4, day=1000))
    assert len(files_in(tmp_path)) == 6


@pytest.mark.skipif(TaskScope is None, reason="needs Airflow 3.3")
def test_calls_find_their_job_after_airflow_has_cleared_the_store(world: World) -> None:
    """`[state_store] clear_on_success` clears it when the submit succeeds; the jobs call back after that."""
    store_callback(call({"n": 1}))
    with world.database.session() as session:
        get_state_backend().clear(TaskScope(**TASK), session=session)
        stored_callbacks.write_xcom(session, TASK, SUBMISSION_KEY, world.submission.dump())
        session.commit()
    store_callback(call({"n": 1}))
    store_callback(call({"n": 2}))
    assert [each.response().json for each in world.calls()] == [{"n": 1}, {"n": 2}]
    assert world.waiting().state == "scheduled"


@pytest.mark.skipif(TaskScope is None, reason="needs Airflow 3.3")
def test_what_the_store_has_counts_before_an_older_xcom(world: World) -> None:
    with world.database.session() as session:
        old = Submission("key-0", callbacks=("another",), connection="vendor")
        stored_callbacks.write_xcom(session, TASK, SUBMISSION_KEY, old.dump())
        stored_callbacks.write_xcom(session, TASK, CALLS_KEY, dump_callbacks([ReceivedCallback("old", 0.0)]))
        session.commit()
    store_callback(call())
    assert [each.response().json for each in world.calls()] == [{"state": "done"}]


def test_a_task_cannot_have_another_one_resumed(world: World) -> None:
    with world.database.session() as session:
        row = session.scalar(select(XComModel).where(XComModel.key.startswith(AWAITED_KEY)))
        assert row is not None
        row.task_id = "submit"
        session.commit()
    store_callback(call())
    assert world.waiting().state == "deferred"
    assert len(world.calls()) == 1


def test_a_job_of_another_connection_is_not_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = CallbackSettings(Signature("X-Signature"))
    monkeypatch.setattr(receipts.callback_connections, "verify", lambda *_, **__: settings)
    monkeypatch.setattr(receipts, "extract_identifier", lambda *_: 7)
    with pytest.raises(InvalidCallbackError, match="no task has submitted"):
        receipts.store_callback_by_identifier("tenant-2", call())
    world.keep(dataclasses.replace(world.submission, connection="tenant-2"))
    with pytest.raises(InvalidCallbackError, match="another one"):
        receipts.store_callback_by_identifier("vendor", call())
    assert world.calls() == []
