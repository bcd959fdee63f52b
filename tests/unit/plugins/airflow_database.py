"""A database with Airflow's tables, and jobs in it as tasks and triggers leave them."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from airflow.jobs.job import Job
from airflow.models import import_all_models
from airflow.models.base import Base
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.models.xcom import XComModel
from sqlalchemy import Connection, Engine, create_engine, delete, event, insert, select
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

NOW = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


def moment(**ago: float) -> str:
    return (NOW - dt.timedelta(**ago)).isoformat()


@contextmanager
def open_database() -> Iterator[Database]:
    """Open a database in memory, over one connection, for each would have a memory of its own; close it in the end."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    try:
        yield Database(engine)
    finally:
        engine.dispose()


class Database:
    """Rows for Airflow's tables, and what is asked of them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.statements: list[str] = []
        import_all_models()
        Base.metadata.create_all(engine)
        with engine.begin() as connection:
            connection.execute(insert(DagBundleModel.__table__).values(name="bundle", active=True))
        event.listen(engine, "before_cursor_execute", self._note)

    def clear(self) -> None:
        """Forget all runs and DAGs."""
        with self.engine.begin() as connection:
            for model in (XComModel, TaskInstance, DagRun, DagModel, Trigger, Job):
                connection.execute(delete(model.__table__))

    def _note(self, connection: Connection, cursor: Any, statement: str, *_: Any) -> None:
        self.statements.append(statement)

    @contextmanager
    def session(self) -> Iterator[Session]:
        with Session(self.engine) as session:
            yield session

    def add_run(self, dag_id: str, run_id: str = "run", *, state: str = "running", hours: float = 1) -> int:
        """Store a run that was due so many hours ago, and its DAG if that isn't there."""
        with self.engine.begin() as connection:
            if not connection.scalar(select(DagModel.dag_id).where(DagModel.dag_id == dag_id)):
                given = {"dag_id": dag_id, "bundle_name": "bundle", "is_paused": False, "is_stale": False}
                connection.execute(insert(DagModel.__table__).values(_filled(DagModel, given)))
            due = NOW - dt.timedelta(hours=hours)
            given = {"dag_id": dag_id, "run_id": run_id, "state": state, "run_type": "manual", "run_after": due}
            done = connection.execute(insert(DagRun.__table__).values(_filled(DagRun, given)))
            return _key_of(done)

    def add_tasks(self, run: int, tasks: Iterable[dict[str, Any]]) -> None:
        """Store task instances of a run, each with its XComs."""
        instances, xcoms = [], []
        with self.engine.begin() as connection:
            row = connection.execute(select(DagRun.dag_id, DagRun.run_id).where(DagRun.id == run)).one()
            for task in tasks:
                place = {
                    "dag_id": row.dag_id,
                    "run_id": row.run_id,
                    "task_id": task.get("task_id", "wait"),
                    "map_index": task.get("map_index", -1),
                }
                given = {
                    **place,
                    # Airflow 3.1 keeps it as text.
                    "id": TaskInstance.__table__.c.id.type.python_type(task.get("id") or str(uuid.uuid4())),
                    "state": task.get("state", "deferred"),
                    "try_number": task.get("try_number", 1),
                    "end_date": task.get("end_date"),
                    "updated_at": task.get("updated_at", NOW),
                    "last_heartbeat_at": task.get("last_heartbeat_at"),
                    "trigger_id": task.get("trigger_id"),
                    "pool": "default_pool",
                    "pool_slots": 1,
                }
                instances.append(_filled(TaskInstance, given))
                xcoms += [
                    {**place, "dag_run_id": run, "key": key, "value": value, "timestamp": task.get("pushed_at", NOW)}
                    for key, value in task["xcoms"].items()
                ]
            connection.execute(insert(TaskInstance.__table__), instances)
            connection.execute(insert(XComModel.__table__), xcoms)

    def add_trigger(self, *, heartbeat: dt.datetime | None = NOW, created: dt.datetime = NOW) -> int:
        """Store a trigger, and the triggerer that runs it; without a heartbeat no triggerer has taken it."""
        return self.add_triggers(1, heartbeat=heartbeat, created=created)[0]

    def add_triggers(
        self, count: int, *, heartbeat: dt.datetime | None = NOW, created: dt.datetime = NOW
    ) -> Sequence[int]:
        """Store triggers that one triggerer runs."""
        triggerer = None
        with self.engine.begin() as connection:
            if heartbeat is not None:
                given = {"job_type": "TriggererJob", "latest_heartbeat": heartbeat, "hostname": "triggerer-1"}
                triggerer = _key_of(connection.execute(insert(Job.__table__).values(_filled(Job, given))))
            given = {"classpath": "trigger", "kwargs": "{}", "created_date": created, "triggerer_id": triggerer}
            connection.execute(insert(Trigger.__table__), [_filled(Trigger, given)] * count)
            newest = select(Trigger.id).order_by(Trigger.id.desc()).limit(count)
            return connection.scalars(newest).all()


def _key_of(done: Any) -> int:
    key = done.inserted_primary_key
    assert key is not None
    return int(key[0])


def _filled(model: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Add what each row has to have, and what no test asks for."""
    empty: dict[str, Any] = {
        "String": "",
        "StringID": "",
        "Text": "",
        "Integer": 0,
        "Boolean": False,
        "JSON": {},
        "UtcDateTime": NOW,
    }
    needed = {
        column.name: empty[type(column.type).__name__]
        for column in model.__table__.columns
        if not column.nullable and not column.primary_key and column.default is None and column.server_default is None
    }
    return {**needed, **given}


def xcoms(
    identifier: Any = "j-1",
    *,
    status: Any = "RUNNING",
    progress: Any = None,
    error: str | None = None,
    pause: float | None = 30,
    url: Any = None,
    conn_id: str = "vendor",
    minutes: float = 10,
    deadline: str | None = None,
    warned_at: str | None = None,
    attempts: Any = None,
    **poll_fields: Any,
) -> dict[str, Any]:
    """Make what a task that waits has pushed; it began so many minutes ago."""
    handle = {
        "version": 1,
        "identifier": identifier,
        "outcome": "running",
        "status": status,
        "progress": progress,
        "submitted_at": moment(minutes=minutes + 1),
        "urls": {"submit": "https://api.example.com/v1/exports"},
        "variables": {"captured": "planted-variable"},
        "task": {},
    }
    wait = {"asyncapi_conn_id": conn_id, "started_at": moment(minutes=minutes), "deadline": deadline}
    if warned_at is not None:
        wait["warned_at"] = warned_at
    poll = {"at": moment(seconds=10), "pause": pause, "error": error, "polls": 4, **poll_fields}
    made = {"job": handle, "job_wait": wait, "job_poll": poll, "return_value": "planted-result"}
    if attempts is not None:
        made["job_attempts"] = attempts
    return made if url is None else {**made, "job_url": url}
