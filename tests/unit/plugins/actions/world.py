"""A task that waits for a job, and what users have done about it."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable
from typing import Any

from sqlalchemy import insert, select, update

from airflow_provider_asyncapi.airflow_private.database import (
    Log,
    TaskInstance,
    TaskReschedule,
    TaskScope,
    Trigger,
    XComModel,
    get_state_backend,
)
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.tasks.cancel_request import CANCEL_KEY
from airflow_provider_asyncapi.triggers.asyncapi import AsyncApiJobTrigger
from airflow_provider_asyncapi.triggers.events import WaitEvent
from tests.unit.airflow_storage import load_kwargs
from tests.unit.plugins.airflow_database import NOW, Database, xcoms

WAIT, SUBMIT = uuid.UUID(int=8), uuid.UUID(int=7)
OURS: dict[str, str] = {"X-AsyncApi-Page": "1"}
SUBMITTER = {"dag_id": "open_exports", "run_id": "run", "task_id": "submit", "map_index": -1}
SPEC = {
    "endpoint": "/jobs/{identifier}",
    "completion_key": "status",
    "completion_value": "done",
    "poke_interval": 60,
    "cancel": {"endpoint": "/jobs/{identifier}", "method": "DELETE"},
}
STATE = WaitCheckpoint(JobHandle("j-1"), 1000.0, 9e9, polls=1, next_poll=NOW.timestamp() + 50, pause=60.0)
STATES = (None, "scheduled", "queued", "success", "failed", "skipped", "up_for_retry", "restarting", "upstream_failed")
Act = Callable[..., dict[str, Any]]


class World:
    """A task that has submitted a job, another one that waits for it, and what users have done about it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        #: What Airflow was told to mark and to clear.
        self.marked: list[dict[str, Any]] = []
        self.cleared: list[dict[str, Any]] = []
        self.downstream = 2
        pushed = xcoms("j-1")
        pushed["job"]["task"] = SUBMITTER
        pushed["job_wait"]["task_instance"] = str(WAIT)
        run = database.add_run("open_exports")
        database.add_tasks(
            run,
            [
                {"id": str(SUBMIT), "task_id": "submit", "state": "success", "xcoms": {"return_value": "j-1"}},
                {"id": str(WAIT), "state": "deferred", "try_number": 2, "xcoms": pushed},
            ],
        )

    def id_of(self, number: uuid.UUID) -> Any:
        return TaskInstance.__table__.c.id.type.python_type(str(number))

    def change(self, number: uuid.UUID = WAIT, **values: Any) -> None:
        """Change the row of a task; it was updated a minute ago, unless that is given."""
        values = {"updated_at": NOW - dt.timedelta(minutes=1), **values}
        with self.database.engine.begin() as connection:
            table = TaskInstance.__table__
            connection.execute(update(table).where(table.c.id == self.id_of(number)).values(**values))

    def push(self, key: str, value: Any) -> None:
        with self.database.engine.begin() as connection:
            table = XComModel.__table__
            connection.execute(update(table).where(table.c.task_id == "wait", table.c.key == key).values(value=value))

    def defer(self, classpath: str | None = None, method: str = "execute_complete", **changes: Any) -> int:
        """Defer the task to the triggerer."""
        trigger = AsyncApiJobTrigger(asyncapi_conn_id="vendor", spec=SPEC, wait=STATE.dump())
        path, arguments = trigger.serialize()
        with self.database.session() as session:
            row = Trigger(classpath=classpath or path, kwargs={**arguments, **changes}, created_date=NOW)
            row.triggerer_id = 5
            session.add(row)
            session.commit()
            number = row.id
        self.change(state="deferred", trigger_id=number, next_method=method, next_kwargs={})
        return number

    def reschedule(self, *, ended: float = 60) -> None:
        """Reschedule the task, whose last poke has ended a number of seconds ago."""
        self.change(state="up_for_reschedule", updated_at=NOW - dt.timedelta(seconds=ended))
        moments = {
            "start_date": NOW - dt.timedelta(seconds=ended + 1),
            "end_date": NOW - dt.timedelta(seconds=ended),
            "reschedule_date": NOW + dt.timedelta(hours=1),
            "duration": 1,
        }
        with self.database.engine.begin() as connection:
            connection.execute(insert(TaskReschedule.__table__).values(ti_id=self.id_of(WAIT), **moments))

    def task(self) -> TaskInstance:
        with self.database.session() as session:
            found = session.get(TaskInstance, self.id_of(WAIT))
            assert found is not None
            session.expunge_all()
            return found

    def cancel_request(self) -> Any:
        """Return the request as the next try of the waiting task finds it: as an XCom before Airflow 3.3."""
        with self.database.session() as session:
            if TaskScope is not None:
                task = TaskScope(dag_id="open_exports", run_id="run", task_id="wait", map_index=-1)
                return json.loads(get_state_backend().get(task, CANCEL_KEY, session=session) or "null")
            xcom = {**SUBMITTER, "key": f"{CANCEL_KEY}_wait_-1"}
            return session.scalar(select(XComModel.value).filter_by(**xcom))

    def triggers(self) -> dict[int, dict[str, Any]]:
        with self.database.session() as session:
            return {row.id: row.kwargs for row in session.scalars(select(Trigger))}

    def audit(self) -> list[tuple[Any, ...]]:
        with self.database.session() as session:
            rows = session.scalars(select(Log).order_by(Log.id)).all()
            return [
                (row.event, row.owner, row.dag_id, row.run_id, row.task_id, row.map_index, row.try_number, row.extra)
                for row in rows
            ]


def key_of(**other: Any) -> dict[str, Any]:
    return {"dag_id": "open_exports", "run_id": "run", "task_id": "wait", "map_index": -1, "try_number": 2, **other}


def event_of(task: TaskInstance) -> WaitEvent:
    assert task.next_kwargs is not None
    return WaitEvent.parse(load_kwargs(task.next_kwargs)["event"])
