"""Users act on jobs: what is refused, who may, and what the audit log says."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import HTTPException
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from airflow_provider_asyncapi.airflow_private.database import (
    XComModel,
)
from airflow_provider_asyncapi.plugins import waiting_tasks
from tests.unit.plugins.actions.world import (
    OURS,
    STATES,
    Act,
    World,
    key_of,
)
from tests.unit.plugins.airflow_database import NOW, Database, xcoms

if TYPE_CHECKING:
    from fastapi.testclient import TestClient


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
