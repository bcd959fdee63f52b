"""Users act on jobs: what happens to the task, what is refused, who may, and what the audit log says."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.security import get_user
from fastapi import HTTPException
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, delete, insert, select, update
from sqlalchemy.exc import OperationalError

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
from airflow_provider_asyncapi.plugins import actions, waiting_tasks
from airflow_provider_asyncapi.plugins import database as database_module
from airflow_provider_asyncapi.plugins.app import make_app
from airflow_provider_asyncapi.tasks.cancel_request import CANCEL_KEY
from airflow_provider_asyncapi.triggers.asyncapi import AsyncApiJobTrigger
from airflow_provider_asyncapi.triggers.events import WaitEvent
from tests.integration.ui.auth.restricted import RestrictedAuthManager
from tests.unit.airflow_storage import load_kwargs
from tests.unit.plugins.airflow_database import NOW, Database, xcoms

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

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
        """Let the task wait in the triggerer."""
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
        """Let the task wait for its next poke, after one that has ended a number of seconds ago."""
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


@pytest.fixture
def world(database: Database, monkeypatch: pytest.MonkeyPatch) -> World:
    class Clock(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            return NOW

    with database.engine.begin() as connection:
        for model in (Log, TaskReschedule, Trigger):
            connection.execute(delete(model.__table__))
    world = World(database)

    @contextmanager
    def create_session() -> Iterator[Session]:
        with database.session() as session:
            yield session
            session.commit()

    monkeypatch.setattr(actions, "create_session", create_session)
    monkeypatch.setattr(actions, "datetime", Clock)
    monkeypatch.setattr(database_module, "get_auth_manager", RestrictedAuthManager)

    def mark(session: Session, dag_bag: Any, user: Any, task: dict[str, Any]) -> None:
        world.marked.append(task)

    def clear(session: Session, dag_bag: Any, user: Any, task: dict[str, Any]) -> int:
        world.cleared.append(task)
        return 1 + world.downstream

    monkeypatch.setattr(waiting_tasks, "mark_failed", mark)
    monkeypatch.setattr(waiting_tasks, "clear_with_downstream", clear)
    return world


@pytest.fixture
def client() -> Callable[..., TestClient]:
    app = make_app()

    def opened(user: str | None = "admin", role: str = "admin") -> TestClient:
        app.dependency_overrides.clear()
        if user is not None:
            app.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username=user, role=role)
        return TestClient(app)

    return opened


def key_of(**other: Any) -> dict[str, Any]:
    return {"dag_id": "open_exports", "run_id": "run", "task_id": "wait", "map_index": -1, "try_number": 2, **other}


Act = Callable[..., dict[str, Any]]


@pytest.fixture
def act(client: Callable[..., TestClient]) -> Act:
    """Act on the job that is waited for, as somebody who may; give the result."""

    def acted(action: str, **other: Any) -> dict[str, Any]:
        answer = client().post("/actions", headers=OURS, json={"action": action, "jobs": [key_of(**other)]})
        assert answer.status_code == 200, answer.text
        (result,) = answer.json()["results"]
        return dict(result)

    return acted


def event_of(task: TaskInstance) -> WaitEvent:
    assert task.next_kwargs is not None
    return WaitEvent.parse(load_kwargs(task.next_kwargs)["event"])


def test_the_trigger_that_is_looked_for_is_that_of_the_sensor() -> None:
    assert AsyncApiJobTrigger(asyncapi_conn_id="c", spec={}).serialize()[0] in vars(waiting_tasks).values()


def test_cancelling_resumes_a_deferred_task_which_cancels_the_job_it_was_deferred_with(world: World, act: Act) -> None:
    world.defer()
    result = act("cancel")
    assert result == {
        **key_of(),
        "ok": True,
        "message": "A worker cancels the job and fails the task; the task's log has the answer of the API.",
    }
    task = world.task()
    assert (task.state, task.trigger_id, task.next_method) == ("scheduled", None, "execute_complete")
    event = event_of(task)
    assert (event.status, event.message) == ("cancel", "admin has cancelled the job on the page Async API jobs")
    assert event.wait == STATE.dump()
    assert world.marked == []


def test_cancelling_says_if_there_is_no_request_for_it(world: World, act: Act) -> None:
    world.defer(spec={**SPEC, "cancel": None})
    assert act("cancel")["message"].endswith("There is no cancel request, so the job may still be running.")
    assert world.task().state == "scheduled"


def test_cancelling_resumes_a_task_between_two_pokes(world: World, act: Act) -> None:
    world.reschedule()
    assert act("cancel")["ok"] is True
    task = world.task()
    assert (task.state, task.next_method, event_of(task).status) == ("scheduled", "execute_complete", "cancel")


@pytest.mark.parametrize("mode", ["defer", "reschedule"])
def test_the_next_try_finds_the_request_if_the_worker_dies(world: World, act: Act, mode: str) -> None:
    world.change(max_tries=3)
    getattr(world, mode)()
    act("cancel")
    expected = {"version": 1, "generation": 3, "message": "admin has cancelled the job on the page Async API jobs"}
    assert world.cancel_request() == expected


def test_cancelling_fails_a_task_that_a_worker_runs(world: World, act: Act) -> None:
    world.change(state="running")
    assert act("cancel")["ok"] is True
    assert world.marked == [{"dag_id": "open_exports", "run_id": "run", "task_id": "wait", "map_index": -1}]


def test_cancelling_fails_a_task_that_waits_for_the_time_of_its_next_job(world: World, act: Act) -> None:
    world.defer("airflow.providers.standard.triggers.temporal.DateTimeTrigger", "execute_next_job")
    assert act("cancel")["message"] == "The task has failed. It had no job at the moment."
    assert len(world.marked) == 1
    result = act("poll")
    assert (result["ok"], result["message"]) == (
        False,
        "The task has no job at the moment, so there is nothing to poll.",
    )


@pytest.mark.parametrize("state", ["deferred", "up_for_reschedule"])
def test_a_task_whose_process_has_just_ended_is_not_resumed(world: World, act: Act, state: str) -> None:
    world.defer()
    world.change(state=state, updated_at=NOW - dt.timedelta(seconds=1))
    result = act("cancel")
    assert result["ok"] is False
    assert result["message"].startswith("The task has begun to wait only just now; try again in ")
    assert world.task().state == state


def test_a_poll_on_request_is_made_by_another_trigger_with_the_same_wait(world: World, act: Act) -> None:
    old = world.defer()
    before = world.task()
    assert act("poll")["message"] == "The triggerer polls the job within seconds."
    task = world.task()
    assert (task.state, task.updated_at, task.next_method) == ("deferred", before.updated_at, "execute_complete")
    triggers = world.triggers()
    assert task.trigger_id in triggers.keys() - {old}
    state = WaitCheckpoint.parse(triggers[task.trigger_id]["wait"])
    assert state.next_poll == NOW.timestamp()
    assert (state.started_at, state.deadline, state.polls) == (STATE.started_at, STATE.deadline, STATE.polls)
    kept = {name: value for name, value in triggers[old].items() if name != "wait"}
    assert {name: value for name, value in triggers[task.trigger_id].items() if name != "wait"} == kept
    with world.database.session() as session:
        successor = session.get(Trigger, task.trigger_id)
        # Any triggerer takes it.
        assert successor is not None
        assert successor.triggerer_id is None


def publish_polls(world: World, **other: Any) -> None:
    """Publish what the trigger has found after the wait was deferred: a change ten minutes ago, by the 20th poll."""
    summary = {"task_instance": str(WAIT), "identifier": "j-1", "warned_at": ago(minutes=5), **other}
    world.push("job_wait", {**xcoms()["job_wait"], **summary})
    world.push("job", {**xcoms()["job"], "identifier": "j-1", "status": "rendering", "progress": 0.4})
    polls = {"at": ago(minutes=10), "pause": 60.0, "error": None, "polls": 20, "unchanged_since": ago(minutes=10)}
    world.push("job_poll", polls)


def ago(**units: int) -> str:
    return (NOW - dt.timedelta(**units)).isoformat()


def test_a_poll_on_request_leaves_the_time_without_a_change_the_count_and_the_warning(world: World, act: Act) -> None:
    world.defer(spec={**SPEC, "stall_timeout": 3600})
    publish_polls(world)
    assert act("poll")["ok"] is act("poll")["ok"] is True
    state = WaitCheckpoint.parse(world.triggers()[world.task().trigger_id or 0]["wait"])
    moment = NOW.timestamp()
    assert (state.changed_at, state.warned_at, state.polls) == (moment - 600, moment - 300, 30)
    assert (state.handle.status, state.handle.progress) == ("rendering", 0.4)
    assert (state.next_poll, state.deadline) == (moment, STATE.deadline)


@pytest.mark.parametrize("other", [{"task_instance": "of an earlier try"}, {"identifier": "j-0"}])
def test_a_poll_on_request_continues_nothing_of_another_wait(world: World, act: Act, other: Any) -> None:
    world.defer()
    publish_polls(world, **other)
    act("poll")
    state = WaitCheckpoint.parse(world.triggers()[world.task().trigger_id or 0]["wait"])
    assert (state.changed_at, state.warned_at, state.polls, state.handle) == (None, None, 1, STATE.handle)


def test_two_requests_for_a_poll_leave_one_trigger_to_the_task(world: World, act: Act) -> None:
    world.defer()
    assert act("poll")["ok"] is act("poll")["ok"] is True
    assert world.task().trigger_id == max(world.triggers())


def test_a_wait_that_began_in_the_triggerer_is_polled_on_request(world: World, act: Act) -> None:
    begin = {"job": "j-1", "timeout": 60, "airflow_timeout": 70, "names_profile": False}
    world.defer(wait=None, begin=begin)
    assert act("poll")["ok"] is True
    assert world.triggers()[world.task().trigger_id or 0]["begin"] == {**begin, "next_poll": NOW.timestamp()}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"spec": {"callback": True, "timeout": 60}},
            "The API isn't polled: the task waits for its callback.",
        ),
        ({"spec": {"endpoint": "/x", "rules": 5}}, "The parameters of the wait can't be read: "),
        ({"spec": None}, "The parameters of the wait can't be read: "),
        ({"wait": {"version": 99, "handle": "j-1", "started_at": 1}}, "The parameters of the wait can't be read: "),
        ({"wait": None}, "The parameters of the wait can't be read: "),
    ],
    ids=str,
)
def test_a_wait_that_cannot_be_polled_goes_on(world: World, act: Act, changes: Any, message: str) -> None:
    number = world.defer(**changes)
    result = act("poll")
    assert result["ok"] is False
    assert result["message"].startswith(message)
    assert world.task().trigger_id == number


@pytest.mark.parametrize(("ended", "wait"), [(60, 0), (4, 6)])
def test_a_poll_on_request_makes_the_next_poke_due(world: World, act: Act, ended: float, wait: float) -> None:
    world.reschedule(ended=ended)
    assert act("poll")["message"] == "A worker polls the job as soon as one is free."
    with world.database.session() as session:
        due = session.scalars(select(TaskReschedule.reschedule_date)).one()
    assert due == NOW + dt.timedelta(seconds=wait)
    assert world.task().state == "up_for_reschedule"


def test_a_task_that_pokes_on_a_worker_polls_by_itself(world: World, act: Act) -> None:
    world.change(state="running")
    assert "at its own pace (mode='poke')" in act("poll")["message"]


@pytest.mark.parametrize(("downstream", "cleared"), [(2, "3 tasks were cleared"), (0, "1 task was cleared")])
def test_the_task_that_has_submitted_the_job_is_cleared(world: World, act: Act, downstream: int, cleared: str) -> None:
    world.downstream = downstream
    result = act("submit_again")
    assert (result["ok"], result["message"]) == (True, f"Task 'submit' submits the job again; {cleared}.")
    assert world.cleared == [SUBMITTER]


def test_the_first_job_is_submitted_again_after_the_sensor_has_submitted_another(world: World, act: Act) -> None:
    own = {**SUBMITTER, "task_id": "wait"}
    world.push("job", {**xcoms()["job"], "task": own, "slot_of": SUBMITTER})
    assert act("submit_again")["ok"] is True
    assert world.cleared == [SUBMITTER]


@pytest.mark.parametrize("state", ["deferred", "running", "failed", "success", "up_for_retry"])
def test_a_task_that_has_submitted_its_job_itself_is_cleared(world: World, act: Act, state: str) -> None:
    own = {**SUBMITTER, "task_id": "wait"}
    world.push("job", {**xcoms()["job"], "task": own})
    world.change(state=state)
    assert act("submit_again")["ok"] is True
    assert world.cleared == [own]


@pytest.mark.parametrize("state", [None, "scheduled", "queued", "running", "restarting", "up_for_retry"])
def test_a_job_that_another_user_submits_again_is_not_submitted_twice(world: World, act: Act, state: Any) -> None:
    world.change(SUBMIT, state=state)
    result = act("submit_again")
    assert result["ok"] is False
    assert result["message"].startswith("Task 'submit' submits the job again already: its state is ")
    assert world.cleared == []


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ("j-1", "No task has submitted the job"),
        ([1], "No task has submitted the job"),
        ({"task": {}}, "No task has submitted the job"),
        ({"task": {**SUBMITTER, "map_index": {"x": 1}}}, "No task has submitted the job"),
        ({"task": {**SUBMITTER, "map_index": True}}, "No task has submitted the job"),
        ({"task": {**SUBMITTER, "more": 1}}, "No task has submitted the job"),
        ({"task": {**SUBMITTER, "dag_id": "closed"}}, "A task of another DAG run has submitted the job"),
        ({"task": {**SUBMITTER, "run_id": "earlier"}}, "A task of another DAG run has submitted the job"),
        ({"task": {**SUBMITTER, "task_id": "gone"}}, "The task that has submitted the job, 'gone', is gone."),
        ({"task": {"task_id": float("nan")}}, "No task has submitted the job"),
    ],
    ids=str,
)
def test_a_job_whose_submitter_is_not_known_is_not_submitted(world: World, act: Act, job: Any, message: str) -> None:
    world.push("job", job)
    result = act("submit_again")
    assert result["ok"] is False
    assert result["message"].startswith(message)
    assert world.cleared == []


@pytest.mark.parametrize("action", ["cancel", "poll"])
@pytest.mark.parametrize("state", STATES)
def test_a_task_that_does_not_wait_any_more_is_left_alone(world: World, act: Act, action: str, state: Any) -> None:
    world.change(state=state)
    result = act(action)
    assert result["ok"] is False
    assert (state or "none") in result["message"]
    has_ended = state in ("success", "failed", "skipped", "upstream_failed")
    assert ("has ended meanwhile" in result["message"]) == has_ended
    assert (world.task().state, world.marked) == (state, [])


@pytest.mark.parametrize("action", ["cancel", "poll"])
@pytest.mark.parametrize("state", ["running", "up_for_reschedule"])
@pytest.mark.parametrize("summary", ["x", None, {}, {"task_instance": "of another try"}, float("nan")], ids=str)
def test_a_task_that_has_not_begun_to_wait_is_left_alone(
    world: World, act: Act, action: str, state: str, summary: Any
) -> None:
    world.reschedule()
    world.push("job_wait", summary)
    world.change(state=state)
    assert act(action)["message"] == "The task hasn't begun to wait for a job yet."
    assert (world.task().state, world.marked) == (state, [])


@pytest.mark.parametrize("action", ["cancel", "poll", "submit_again"])
def test_the_deferred_task_of_another_operator_is_left_alone(world: World, act: Act, action: str) -> None:
    number = world.defer("other.Trigger")
    with world.database.engine.begin() as connection:
        connection.execute(XComModel.__table__.delete())
    result = act(action)
    reason = "The task has no job." if action == "submit_again" else "The task doesn't wait for a job."
    assert (result["ok"], result["message"]) == (False, reason)
    assert (world.task().trigger_id, world.marked, world.cleared) == (number, [], [])


@pytest.mark.parametrize("action", ["cancel", "poll", "submit_again"])
def test_a_task_that_was_run_again_since_the_user_looked_is_left_alone(world: World, act: Act, action: str) -> None:
    number = world.defer()
    assert act(action, try_number=1)["message"] == "The task was run again meanwhile: this is try 2, not 1."
    assert (world.task().trigger_id, world.marked, world.cleared) == (number, [], [])


def test_a_task_that_is_gone_is_reported(world: World, act: Act) -> None:
    assert act("cancel", run_id="deleted")["message"] == "There is no such task instance any more."
    assert world.audit() == []


def test_each_job_has_its_own_result(world: World, client: Callable[..., TestClient]) -> None:
    world.defer()
    jobs = [key_of(run_id="deleted"), key_of(), key_of(try_number=1)]
    answer = client().post("/actions", headers=OURS, json={"action": "poll", "jobs": jobs})
    assert [result["ok"] for result in answer.json()["results"]] == [False, True, False]


def test_actions_and_refusals_are_in_the_audit_log(world: World, act: Act) -> None:
    world.push("job_wait", {**xcoms()["job_wait"], "identifier": "j-1"})
    job = {"job": "j-1", "conn_id": "vendor"}
    world.defer()
    act("poll")
    act("cancel", try_number=1)
    task = ("open_exports", "run", "wait", -1)
    assert world.audit() == [
        (
            "asyncapi_poll",
            "admin",
            *task,
            2,
            json.dumps({"ok": True, "message": "The triggerer polls the job within seconds.", **job}),
        ),
        (
            "asyncapi_cancel",
            "admin",
            *task,
            1,
            json.dumps({"ok": False, "message": "The task was run again meanwhile: this is try 2, not 1.", **job}),
        ),
    ]


def test_what_airflow_refuses_changes_nothing(world: World, act: Act, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise HTTPException(404, "Task 'wait' not found in Dag 'open_exports'")

    monkeypatch.setattr(waiting_tasks, "mark_failed", refuse)
    world.change(state="running")
    assert act("cancel")["message"] == "Airflow refuses it: Task 'wait' not found in Dag 'open_exports'"
    assert [json.loads(row[-1])["ok"] for row in world.audit()] == [False]


def test_a_task_that_is_acted_on_is_locked_on_sqlite_too(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/airflow.db", connect_args={"timeout": 0})
    database = Database(engine)
    world = World(database)
    world.change(state="deferred")
    task = {name: value for name, value in key_of().items() if name != "try_number"}
    with database.session() as first:
        locked = waiting_tasks.lock_task(first, task)
        assert locked is not None
        assert locked.updated_at == NOW - dt.timedelta(minutes=1)
        with database.session() as second, pytest.raises(OperationalError, match="locked"):
            waiting_tasks.lock_task(second, task)
    engine.dispose()


def test_a_busy_database_is_reported(world: World, act: Act, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OperationalError("UPDATE", {}, Exception("database is locked"))

    monkeypatch.setattr(waiting_tasks, "mark_failed", fail)
    world.change(state="running")
    assert act("cancel")["message"] == "The database is busy; try again."


def test_an_unexpected_failure_is_that_of_one_job(
    world: World, client: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(waiting_tasks, "clear_with_downstream", fail)
    body = {"action": "submit_again", "jobs": [key_of(), key_of(try_number=1)]}
    answer = client().post("/actions", headers=OURS, json=body)
    assert [result["message"].partition(";")[0] for result in answer.json()["results"]] == [
        "The action has failed",
        "The task was run again meanwhile: this is try 2, not 1.",
    ]
    assert "planted" not in answer.text


@pytest.mark.parametrize("role", ["viewer", None])
def test_a_user_who_may_only_read_can_do_nothing(world: World, client: Callable[..., TestClient], role: Any) -> None:
    world.defer()
    for action in ("cancel", "poll", "submit_again"):
        body = {"action": action, "jobs": [key_of()]}
        answer = client("somebody", role).post("/actions", headers=OURS, json=body)
        assert (answer.status_code, answer.json()) == (403, {"detail": "You may not edit task instances of this DAG"})
    assert (world.task().state, world.audit(), len(world.triggers())) == ("deferred", [], 1)


def test_a_dag_that_the_user_may_not_edit_is_refused_beside_others(
    world: World, client: Callable[..., TestClient]
) -> None:
    world.defer()
    body = {"action": "poll", "jobs": [key_of(dag_id="closed_salaries"), key_of()]}
    answer = client("reader", "admin").post("/actions", headers=OURS, json=body)
    first, second = answer.json()["results"]
    assert (first["ok"], first["message"]) == (False, "You may not edit task instances of DAG 'closed_salaries'.")
    assert second["ok"] is True
    assert {row[2] for row in world.audit()} == {"open_exports"}


def test_the_page_learns_on_which_jobs_the_user_may_act(world: World, client: Callable[..., TestClient]) -> None:
    dags = {"dag_id": ["open_exports", "closed_salaries", "open_exports"]}
    answers = {who: client(*who).get("/actions", params=dags) for who in (("admin", "admin"), ("reader", "admin"))}
    assert [answer.json()["dag_ids"] for answer in answers.values()] == [
        ["closed_salaries", "open_exports"],
        ["open_exports"],
    ]
    assert client("reader", "viewer").get("/actions", params=dags).json() == {"dag_ids": []}
    assert answers["admin", "admin"].headers["cache-control"] == "no-store"
    assert client().get("/actions", params={"dag_id": ["d"] * 201}).status_code == 422
    assert client(None).get("/actions", params=dags).status_code == 401


def test_nothing_is_done_without_a_login(world: World, client: Callable[..., TestClient]) -> None:
    world.defer()
    answer = client(None).post("/actions", headers=OURS, json={"action": "poll", "jobs": [key_of()]})
    assert answer.status_code == 401
    assert len(world.triggers()) == 1


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-AsyncApi-Page": ""}, {**OURS, "Sec-Fetch-Site": "cross-site"}, {**OURS, "Sec-Fetch-Site": "same-site"}],
    ids=str,
)
def test_a_request_that_another_site_may_have_made_is_refused(
    world: World, client: Callable[..., TestClient], headers: dict[str, str]
) -> None:
    world.defer()
    answer = client().post("/actions", headers=headers, json={"action": "poll", "jobs": [key_of()]})
    assert answer.status_code == 403
    assert "another site" in answer.json()["detail"]
    assert len(world.triggers()) == 1


def test_a_form_of_another_site_cannot_make_a_request(world: World, client: Callable[..., TestClient]) -> None:
    world.defer()
    text = json.dumps({"action": "poll", "jobs": [key_of()]})
    answer = client().post("/actions", headers={"Content-Type": "text/plain"}, content=text)
    assert answer.status_code in (403, 422)
    assert len(world.triggers()) == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"action": "poll", "jobs": [key_of()] * 10_000},
            "Value error, has 10000 jobs, and a request may have 100; send several requests",
        ),
        ({"action": "poll", "jobs": []}, "List should have at least 1 item"),
        ({"action": "poll", "jobs": "all"}, "Input should be a valid list"),
        ({"action": "delete", "jobs": [key_of()]}, "Input should be 'cancel', 'poll' or 'submit_again'"),
        ({"action": "poll", "jobs": [key_of(dag_id="a\0b")]}, "String should match pattern"),
        ({"action": "poll", "jobs": [key_of(run_id="r" * 300)]}, "String should have at most 250 characters"),
        ({"action": "poll", "jobs": [key_of(map_index=2**40)]}, "Input should be less than or equal to"),
        ({"action": "poll", "jobs": [key_of(secret="planted")]}, "Extra inputs are not permitted"),
        ([], "Input should be a valid dictionary or object"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_malformed_request_is_answered_with_what_is_wrong_but_not_with_itself(
    world: World, client: Callable[..., TestClient], body: Any, message: str
) -> None:
    answer = client().post("/actions", headers=OURS, json=body)
    assert answer.status_code == 422
    (problem,) = answer.json()["detail"]
    assert problem["msg"].startswith(message)
    assert len(answer.content) < 300
    assert "planted" not in answer.text
