"""Users act on jobs: what happens to the task."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from sqlalchemy import select

from airflow_provider_asyncapi.airflow_private.database import (
    TaskReschedule,
    Trigger,
)
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.plugins import waiting_tasks
from airflow_provider_asyncapi.triggers.asyncapi import AsyncApiJobTrigger
from tests.unit.plugins.actions.world import (
    SPEC,
    STATE,
    SUBMIT,
    SUBMITTER,
    WAIT,
    Act,
    World,
    event_of,
    key_of,
)
from tests.unit.plugins.airflow_database import NOW, xcoms


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
