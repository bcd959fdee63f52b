from __future__ import annotations

import asyncio
import importlib
import json
import re
import ssl
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import certifi
import pytest

from airflow_provider_asyncapi.airflow_private.versions import HAS_TRIGGER_XCOMS
from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.effects import Polled, Send
from airflow_provider_asyncapi.core.errors import ConfigurationError, SlowResponseError
from airflow_provider_asyncapi.core.http.delays import Delay, Reason
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.hooks import clients
from airflow_provider_asyncapi.monitoring.xcoms import POLL_KEY, WAIT_KEY
from airflow_provider_asyncapi.transports.step_threads import StepThreads
from airflow_provider_asyncapi.triggers import asyncapi as triggers
from airflow_provider_asyncapi.triggers import cancellation, task_xcoms, xcom_publisher
from airflow_provider_asyncapi.triggers.asyncapi import AsyncApiJobTrigger
from airflow_provider_asyncapi.triggers.storable_parameters import check_storable
from tests.unit.eventually import until
from tests.unit.fake_airflow import ApiServer, Supervisor, reply
from tests.unit.virtual_time import pass_time, run_in_virtual_time

POLL = "GET /jobs/j-1"
CANCEL = "POST /jobs/j-1/cancel"
SPEC: dict[str, Any] = {
    "endpoint": "/jobs/{identifier}",
    "completion_key": "status",
    "completion_value": "done",
    "failure_value": "failed",
    "running_value": "running",
    "poke_interval": 0.1,
    "progress": "percent",
}
CANCELLED_BY = {"endpoint": "/jobs/{identifier}/cancel"}
#: Airflow 3.2 and newer let a trigger write XComs.
SHOWS_PROGRESS = HAS_TRIGGER_XCOMS


def trigger(
    *, started_at: float | None = None, deadline: float | None = None, job: JobHandle | None = None, **spec: Any
) -> AsyncApiJobTrigger:
    """Make a trigger as the triggerer does: of its class path and arguments."""
    started_at = started_at or time.time()
    state = WaitCheckpoint(job or JobHandle("j-1"), started_at, deadline or started_at + 20).dump()
    made = AsyncApiJobTrigger(asyncapi_conn_id="asyncapi_default", spec={**SPEC, **spec}, wait=state)
    path, kwargs = made.serialize()
    module, _, name = path.rpartition(".")
    rebuilt: AsyncApiJobTrigger = getattr(importlib.import_module(module), name)(**kwargs)
    assert rebuilt.serialize() == (path, kwargs)
    keys = {"dag_id": "dag", "run_id": "run", "task_id": "wait", "map_index": -1}
    task: Any = SimpleNamespace(id="first", **keys, try_number=1)
    rebuilt.task_instance = task
    return rebuilt


def wait_of(waiting: AsyncApiJobTrigger) -> WaitCheckpoint:
    assert waiting.wait is not None
    return waiting.wait


async def event_of(waiting: AsyncApiJobTrigger) -> dict[str, Any]:
    events = [event.payload async for event in waiting.run()]
    assert len(events) == 1
    return dict(events[0])


async def kill(waiting: AsyncApiJobTrigger, task: asyncio.Task[Any]) -> None:
    """Do as Airflow does when a user ends a task that is deferred."""
    task.cancel()
    await asyncio.wait({task})
    await waiting.on_kill()


async def until_alone() -> None:
    """Wait until no other task runs on the loop."""
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})


def test_a_job_that_is_done_gives_its_handle(api: ApiServer, connection: None) -> None:
    api.respond_to(POLL, reply({"status": "running"}), reply({"status": "done"}))
    event = asyncio.run(event_of(trigger()))
    assert set(event) == {"version", "status", "message", "handle"}
    assert (event["status"], event["message"]) == ("success", "Job j-1: success")
    assert event["handle"]["outcome"] == "success"


def test_an_event_comes_late_enough_for_airflow_to_tell_it_from_the_deferral(
    api: ApiServer, connection: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "SHORTEST_DEFERRAL", 0.5)
    api.respond_to(POLL, reply({"status": "done"}))
    began = time.monotonic()
    asyncio.run(event_of(trigger()))
    assert time.monotonic() - began >= 0.5


def test_a_job_that_failed_gives_the_error_and_what_is_known_of_it(api: ApiServer, connection: None) -> None:
    api.respond_to(
        POLL, reply({"status": "running", "percent": 40}), reply({"status": "failed", "message": "out of rows"})
    )
    event = asyncio.run(event_of(trigger()))
    assert event["error"]["kind"] == "JobFailedError"
    assert event["status"] == "error"
    assert "out of rows" in event["message"]
    assert (event["error"]["job"], event["error"]["status_code"]) == ("j-1", 200)
    assert (event["handle"]["identifier"], event["handle"]["progress"]) == ("j-1", 0.4)


def test_a_connection_that_is_gone_is_an_event_and_no_crash(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "SHORTEST_DEFERRAL", 0.0)
    event = asyncio.run(event_of(trigger()))
    assert event["error"]["kind"] == "ConfigurationError"
    assert "asyncapi_default" in event["error"]["message"]


def test_a_half_filled_connection_is_an_event_that_names_the_field(connect: Any) -> None:
    connect(extra={"auth": "bearer"})
    message = asyncio.run(event_of(trigger()))["error"]["message"]
    assert "connection 'asyncapi_default'" in message
    assert "needs password" in message


def test_no_secret_is_in_arguments_event_or_repr(api: ApiServer, connect: Any) -> None:
    connect(password="hunter2hunter2", extra={"auth": "bearer", "headers": {"X-Org": "org-secret-1"}})
    api.respond_to(POLL, reply({"message": "bad token hunter2hunter2 for org-secret-1"}, 401))
    waiting = trigger()
    event = asyncio.run(event_of(waiting))
    assert event["error"]["kind"] == "AuthenticationError"
    for shown in (repr(waiting), repr(waiting.serialize()), repr(event)):
        assert "hunter2hunter2" not in shown
        assert "org-secret-1" not in shown
    assert api.requests[0].headers["Authorization"] == "Bearer hunter2hunter2"


def test_the_repr_names_the_job_and_not_its_request() -> None:
    assert repr(trigger(query_params={"a": "b"})) == "<AsyncApiJobTrigger asyncapi_default job=j-1>"


def test_after_a_restart_the_polls_that_there_was_time_for_count(api: ApiServer, connection: None) -> None:
    api.respond_to(POLL, reply({"status": "running"}))
    waiting = trigger(started_at=time.time() - 1000, deadline=time.time() + 2, max_iterations=5, poke_interval=100)
    event = asyncio.run(event_of(waiting))
    assert event["error"]["kind"] == "DeadlineError"
    assert api.count(POLL) == 1


def test_a_fresh_wait_makes_all_its_polls_however_long_airflow_took_to_start_it(
    api: ApiServer, connection: None
) -> None:
    api.respond_to(POLL, reply({"status": "running"}))
    asyncio.run(event_of(trigger(started_at=time.time() - 0.05, max_iterations=3)))
    assert api.count(POLL) == 3


def test_after_a_restart_the_deadline_is_still_the_same(api: ApiServer, connection: None) -> None:
    api.respond_to(POLL, reply({"status": "running"}))
    waiting = trigger(started_at=time.time() - 1000, deadline=time.time() - 1)
    began = time.time()
    event = asyncio.run(event_of(waiting))
    assert event["error"]["kind"] == "DeadlineError"
    assert time.time() - began < 2
    # The job may have ended while nobody looked.
    assert api.count(POLL) == 1


def test_after_a_restart_the_initial_delay_does_not_begin_again(api: ApiServer, connection: None) -> None:
    api.respond_to(POLL, reply({"status": "done"}))
    began = time.time()
    asyncio.run(event_of(trigger(started_at=began - 1000, deadline=began + 20, initial_delay=500)))
    assert time.time() - began < 3


def test_status_and_progress_are_pushed_when_they_change_and_not_too_often(
    api: ApiServer, connection: None, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xcom_publisher, "_UPDATE_INTERVAL", 0.5)
    answers = [reply({"status": "running", "percent": percent}) for percent in (10, 10, 20, 30, 40, 40, 50, 60, 70)]
    api.respond_to(POLL, *answers, reply({"status": "done"}))
    asyncio.run(event_of(trigger()))
    every = supervisor.of_kind("SetXCom")
    if not SHOWS_PROGRESS:
        assert every == []
        return
    assert {(each.dag_id, each.task_id, each.run_id) for each in every} == {("dag", "wait", "run")}
    assert [each.key for each in every].count(POLL_KEY) == 1, "the polls are told of once"
    pushed = [each for each in every if each.key == "job"]
    assert 2 <= len(pushed) <= 3
    assert pushed[0].value["progress"] == 0.1
    assert pushed[-1].value["outcome"] == "running"


def test_no_push_of_progress_is_left_half_done_or_comes_after_the_event(
    api: ApiServer, connection: None, supervisor: Supervisor
) -> None:
    api.respond_to(POLL, reply({"status": "running", "percent": 10}), reply({"status": "done"}))

    async def scenario() -> None:
        # Airflow is slower to take the push than the API is to finish the job.
        supervisor.delay, supervisor.delayed = 0.4, {"SetXCom"}
        await event_of(trigger())
        taken = len(supervisor.of_kind("SetXCom"))
        assert taken == int(SHOWS_PROGRESS), "the first of two"
        await until_alone()
        assert len(supervisor.of_kind("SetXCom")) == taken

    asyncio.run(scenario())


@pytest.mark.skipif(not SHOWS_PROGRESS, reason="before Airflow 3.2 a trigger can't write XComs")
def test_errors_are_shown_when_they_come_and_go_and_not_with_each_poll(
    api: ApiServer, connection: None, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xcom_publisher, "_UPDATE_INTERVAL", 0)
    monkeypatch.setattr(xcom_publisher, "_TASK_GAP", 0)
    running, broken = reply({"status": "running"}), reply(status=503)
    answers = [running, running, broken, broken, running, running, running]
    api.respond_to(POLL, *answers, reply({"status": "done"}))
    asyncio.run(event_of(trigger()))
    told = [each.value["error"] for each in supervisor.of_kind("SetXCom") if each.key == POLL_KEY]
    assert [error and "503" in error for error in told] == [None, True, None]


@pytest.mark.skipif(not SHOWS_PROGRESS, reason="before Airflow 3.2 a trigger can't write XComs")
def test_news_of_tasks_are_told_after_the_start_one_by_one_and_are_the_latest_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[tuple[float, int]] = []
    telling = 0

    async def write_xcom(_key: str, value: int, _where: object) -> None:
        nonlocal telling
        telling += 1
        assert telling == 1
        await pass_time(1)
        told.append((asyncio.get_running_loop().time(), value))
        telling -= 1

    async def scenario() -> None:
        publishers = [xcom_publisher.XComPublisher(trigger().task_instance) for _ in range(5)]
        for number, publisher in enumerate(publishers):
            publisher.publish({"news": number})
        await asyncio.sleep(0)
        publishers[1].publish({"news": 11})
        # Whoever leaves the row holds nobody up.
        await publishers[3].close()
        await pass_time(100)
        await asyncio.gather(*(publisher.close() for publisher in publishers))

    monkeypatch.setattr(xcom_publisher, "write_xcom", write_xcom)
    run_in_virtual_time(scenario())
    assert told[0][0] >= 1 + xcom_publisher._STARTUP_DELAY
    assert sorted(value for _, value in told) == [0, 2, 4, 11]
    assert min(after - before for (before, _), (after, _) in pairwise(told)) >= 1 + xcom_publisher._TASK_GAP


@pytest.mark.skipif(not SHOWS_PROGRESS, reason="before Airflow 3.2 a trigger can't write XComs")
def test_news_that_could_not_be_told_are_told_once_airflow_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, str] = {}
    asked: list[str] = []

    async def write_xcom(key: str, value: str, _where: object) -> None:
        asked.append(key)
        if 2 <= len(asked) <= 4:
            raise RuntimeError("the API server is away")
        told[key] = value

    async def scenario() -> None:
        publisher = xcom_publisher.XComPublisher(trigger().task_instance)
        publisher.publish({"job": "old", "poll": "error"})
        await until(lambda: len(asked) == 3)
        publisher.publish({"job": "new"})
        await until(lambda: len(told) == 2 and publisher._pushing is None)

    monkeypatch.setattr(xcom_publisher, "write_xcom", write_xcom)
    monkeypatch.setattr(xcom_publisher, "_STARTUP_DELAY", 0)
    monkeypatch.setattr(xcom_publisher, "_UPDATE_INTERVAL", 0.01)
    monkeypatch.setattr(xcom_publisher, "_TASK_GAP", 0)
    asyncio.run(scenario())
    assert told == {"job": "new", "poll": "error"}
    assert len(asked) == 6, "each that failed is told again, and none that was told"


@pytest.mark.skipif(not SHOWS_PROGRESS, reason="before Airflow 3.2 a trigger can't write XComs")
def test_a_board_that_is_closed_shows_nothing_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    async def write_xcom(key: str, _value: str, _where: object) -> None:
        told.append(key)

    async def scenario() -> None:
        publisher = xcom_publisher.XComPublisher(trigger().task_instance)
        await publisher.close()
        publisher.publish({"job": "of an earlier try"})
        assert publisher._pushing is None

    monkeypatch.setattr(xcom_publisher, "write_xcom", write_xcom)
    asyncio.run(scenario())
    assert not told


@pytest.mark.skipif(not SHOWS_PROGRESS, reason="before Airflow 3.2 a trigger can't write XComs")
@pytest.mark.parametrize(
    ("begun_by", "awaited", "pushed"),
    [("first", "j-1", ["job", "job_poll"]), ("second", "j-1", ["job", "job_poll"]), ("second", "j-2", [])],
)
def test_a_trigger_of_an_earlier_try_pushes_nothing_once_the_task_waits_for_another_job(
    monkeypatch: pytest.MonkeyPatch, begun_by: str, awaited: str, pushed: Any
) -> None:
    told: list[str] = []

    async def read(_key: str, _task: Mapping[str, Any]) -> Any:
        return {"task_instance": begun_by, "identifier": awaited}

    async def write(key: str, _value: Any, _task: Mapping[str, Any]) -> None:
        told.append(key)

    async def scenario() -> None:
        publisher = xcom_publisher.XComPublisher(trigger().task_instance)
        publisher.publish({"job": {"identifier": "j-1"}, "job_poll": {}})
        await until(lambda: publisher._pushing is None)

    monkeypatch.setattr(xcom_publisher, "_STARTUP_DELAY", 0)
    monkeypatch.setattr(task_xcoms, "read_xcom", read)
    monkeypatch.setattr(xcom_publisher, "write_xcom", write)
    asyncio.run(scenario())
    assert told == pushed


@pytest.mark.skipif(not SHOWS_PROGRESS, reason="before Airflow 3.2 a trigger can't write XComs")
def test_a_trigger_that_goes_on_in_time_says_nothing_that_the_sensor_has_said(
    api: ApiServer, connection: None, supervisor: Supervisor
) -> None:
    api.respond_to(POLL, reply({"status": "running"}), reply({"status": "running"}), reply({"status": "done"}))
    now = time.time()
    seen = JobHandle("j-1", status="running", urls={"status": f"{api.url}/jobs/j-1"})
    waiting = trigger(job=seen)
    waiting.wait = WaitCheckpoint(seen, now, now + 20, polls=1, next_poll=now + 0.5)
    asyncio.run(event_of(waiting))
    assert supervisor.of_kind("SetXCom") == []


def test_a_wait_whose_connection_has_changed_polls_again_after_the_pause_that_was_due(
    api: ApiServer, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at some time within the interval, which is longer than the test may take."""
    connect(password="old-1", extra={"auth": "bearer"})
    monkeypatch.setattr(clients, "_MAX_AGE", 0.0)
    api.respond_to(POLL, reply({}, status=503))
    waiting = trigger(poke_interval=3600, retry_delays={"503": 0.1}, max_consecutive_errors=1000)

    async def scenario() -> dict[str, Any]:
        running = asyncio.create_task(event_of(waiting))
        await until(lambda: api.count(POLL) > 1)
        connect(password="new-1", extra={"auth": "bearer"})
        client = clients._clients[asyncio.get_running_loop()]["asyncapi_default"]
        assert client.api is not None
        assert await clients.retire_if_changed("asyncapi_default", client.api)
        await until(lambda: api.requests[-1].headers["Authorization"] == "Bearer new-1")
        api.respond_to(POLL, reply({"status": "done"}))
        return await running

    waiting.wait = replace(wait_of(waiting), polls=1, next_poll=time.time(), pause=0.1)
    assert asyncio.run(scenario())["status"] == "success"


AWAY = RuntimeError("the API server is away")
SUBMITTER = {"dag_id": "dag", "run_id": "run", "task_id": "submit", "map_index": -1}


@pytest.mark.parametrize(
    ("states", "submitted", "cancels"),
    [
        ({"wait": "failed"}, "j-1", 1),
        ({"wait": "success"}, "j-1", 1),
        ({}, "j-1", 1),
        (AWAY, "j-1", 0),
        # It moved to another triggerer, was resumed, or cleared alone: the job is waited for.
        ({"wait": "deferred", "submit": "success"}, "j-1", 0),
        ({"wait": "queued", "submit": "success"}, "j-1", 0),
        ({"wait": None, "submit": "success"}, "j-1", 0),
        # Cleared together with the task that submits, which hasn't said in time for which job.
        ({"wait": None, "submit": None}, "j-1", 0),
        ({"wait": None, "submit": None}, "j-2", 0),
        ({"wait": None, "submit": "running"}, "j-1", 0),
        ({"wait": "restarting", "submit": "queued"}, "j-1", 0),
        # It has submitted another job.
        ({"wait": "deferred", "submit": "success"}, "j-2", 1),
        ({"wait": "queued", "submit": "success"}, "j-2", 1),
        # The task that submits was cleared alone: who waits goes on.
        ({"wait": "deferred", "submit": "running"}, "j-1", 0),
        ({"wait": "queued", "submit": "running"}, "j-1", 0),
        # These tell nothing of the job.
        ({"wait": None}, "j-1", 0),
        ({"wait": None, "submit": "failed"}, "j-1", 0),
        ({"wait": None, "submit": "skipped"}, "j-1", 0),
        ({"wait": None, "submit": "removed"}, "j-1", 0),
        ({"wait": None, "submit": "upstream_failed"}, "j-1", 0),
        ({"wait": None, "submit": "up_for_retry"}, "j-1", 0),
    ],
)
def test_a_kill_cancels_the_job_only_if_nobody_wants_it(
    api: ApiServer,
    connection: None,
    supervisor: Supervisor,
    monkeypatch: pytest.MonkeyPatch,
    states: Any,
    submitted: str,
    cancels: int,
) -> None:
    monkeypatch.setattr(cancellation, "_CHECK_INTERVAL", 0)
    supervisor.xcoms["job"] = {"version": 1, "identifier": submitted}
    api.respond_to(POLL, reply({"status": "running"}))
    api.respond_to(CANCEL, reply(status=202))
    supervisor.task_states = states if states is AWAY else {"run": states}

    async def scenario() -> None:
        waiting = trigger(cancel=CANCELLED_BY, job=JobHandle("j-1", task=SUBMITTER))
        task = asyncio.create_task(event_of(waiting))
        await until(lambda: api.count(POLL))
        await kill(waiting, task)

    asyncio.run(scenario())
    assert api.count(CANCEL) == cancels


@pytest.mark.parametrize(
    ("states", "submitted", "cancels"),
    [
        (["none", "none", "queued", "running", "success"], "j-2", 1),
        # The API knows the key, or the request: it gives the same job again, whenever the new wait begins.
        (["none", "none", "queued", "running", "success"], "j-1", 0),
        (["running", "up_for_retry", "success"], "j-2", 1),
        (["running", "up_for_retry", "success"], "j-1", 0),
        # The new submission has failed: what it has begun isn't known.
        (["running", "failed"], "j-2", 0),
        (["running"] * 20, "j-2", 0),
    ],
)
def test_a_job_is_cancelled_only_once_the_cleared_task_has_submitted_another(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, states: list[str], submitted: str, cancels: int
) -> None:
    asked: list[str] = []

    async def find(task: Mapping[str, Any]) -> str:
        if task["task_id"] != SUBMITTER["task_id"]:
            return "none"
        asked.append(states[min(len(asked), len(states) - 1)])
        return asked[-1]

    monkeypatch.setattr(cancellation, "_CHECK_INTERVAL", 0)
    monkeypatch.setattr(cancellation, "find_task_state", find)
    supervisor.xcoms["job"] = {"version": 1, "identifier": submitted}
    job = JobHandle("j-1", task=SUBMITTER)
    reason = asyncio.run(cancellation.reason_to_cancel(trigger().task_instance, job))
    assert (reason is not None) == cancels
    assert len(asked) == min(len(states), cancellation._CHECKS)


@pytest.mark.skipif(not SHOWS_PROGRESS, reason="where triggers can't read XCom they have no on_kill either")
@pytest.mark.parametrize(
    ("own", "submitted", "cancels"),
    [("j-1", "j-2", 0), ("j-2", "j-2", 1), ("j-2", "j-1", 1), (None, "j-1", 0), (None, "j-2", 1), (None, None, 0)],
)
def test_while_a_task_waits_its_own_xcom_tells_for_which_job(
    api: ApiServer,
    connection: None,
    supervisor: Supervisor,
    monkeypatch: pytest.MonkeyPatch,
    own: str | None,
    submitted: str | None,
    cancels: int,
) -> None:
    pushed = {"wait": own, "submit": submitted}

    async def read(key: str, task: Mapping[str, Any]) -> Any:
        identifier = pushed[task["task_id"]]
        # A sensor of an earlier version says in its job handle alone which job it waits for.
        return None if identifier is None or key == WAIT_KEY else {"version": 1, "identifier": identifier}

    monkeypatch.setattr(task_xcoms, "read_xcom", read)
    api.respond_to(POLL, reply({"status": "running"}))
    api.respond_to(CANCEL, reply(status=202))
    supervisor.task_states = {"run": {"wait": "deferred", "submit": "success"}}
    asyncio.run(trigger(cancel=CANCELLED_BY, job=JobHandle("j-1", task=SUBMITTER)).on_kill())
    assert api.count(CANCEL) == cancels


@pytest.mark.skipif(not SHOWS_PROGRESS, reason="where triggers can't read XCom they have no on_kill either")
@pytest.mark.parametrize(
    ("states", "begins", "submitted", "cancels"),
    [
        # It moved to another triggerer; the task that submits was cleared alone.
        (["deferred"], ["first j-1"], "j-1", 0),
        (["deferred"], ["first j-1"], "j-2", 0),
        # Cleared, and begun anew: for the same job, or for another one.
        (["deferred"], ["second j-1"], "j-1", 0),
        (["running"], ["second j-2"], "j-2", 1),
        # The XComs of the earlier try are deleted some seconds after the next one runs.
        (["running"], ["first j-1", "first j-1", "second j-2"], "j-2", 1),
        (["running"], ["first j-1", "second j-1"], "j-1", 0),
        # It was resumed, and goes on or has ended.
        (["running"], ["first j-1"], "j-1", 0),
        (["running", "success"], ["first j-1"], "j-1", 1),
    ],
)
def test_the_begin_of_a_wait_tells_for_which_job_a_task_waits_whatever_an_earlier_try_pushes(
    monkeypatch: pytest.MonkeyPatch,
    states: list[str],
    begins: list[str],
    submitted: str,
    cancels: int,
) -> None:
    async def read(key: str, task: Mapping[str, Any]) -> Any:
        if key == WAIT_KEY:
            begun_by, awaited = (begins.pop(0) if len(begins) > 1 else begins[0]).split()
            return {"task_instance": begun_by, "identifier": awaited}
        # That of the waiting task is what the trigger of the first try has pushed last.
        return {"version": 1, "identifier": submitted if task["task_id"] == "submit" else "j-1"}

    async def find_state(task: Mapping[str, Any]) -> str:
        if task["task_id"] == "submit":
            return "success"
        return states.pop(0) if len(states) > 1 else states[0]

    monkeypatch.setattr(task_xcoms, "read_xcom", read)
    monkeypatch.setattr(cancellation, "find_task_state", find_state)
    monkeypatch.setattr(cancellation, "_CHECK_INTERVAL", 0.0)
    waiting = trigger()
    reason = asyncio.run(cancellation.reason_to_cancel(waiting.task_instance, JobHandle("j-1", task=SUBMITTER)))
    assert (reason is not None) == bool(cancels)


@pytest.mark.skipif(not SHOWS_PROGRESS, reason="where triggers can't read XCom they have no on_kill either")
@pytest.mark.parametrize(
    ("pushed", "outcome", "cancels"), [("j-1", "success", 0), ("j-1", "running", 1), ("j-2", "success", 1)]
)
def test_a_job_that_has_ended_elsewhere_is_not_cancelled(
    monkeypatch: pytest.MonkeyPatch, pushed: str, outcome: str, cancels: int
) -> None:
    async def read(key: str, _task: Mapping[str, Any]) -> Any:
        return {"version": 1, "identifier": pushed, "outcome": outcome} if key == "job" else None

    async def find_state(_task: Mapping[str, Any]) -> str:
        return "success"

    monkeypatch.setattr(task_xcoms, "read_xcom", read)
    monkeypatch.setattr(cancellation, "find_task_state", find_state)
    reason = asyncio.run(cancellation.reason_to_cancel(trigger().task_instance, JobHandle("j-1", task=SUBMITTER)))
    assert (reason is not None) == bool(cancels)


@pytest.mark.parametrize(("state", "cancels"), [("queued", 0), ("failed", 1)])
def test_of_a_job_that_somebody_else_submitted_the_own_state_alone_tells(
    api: ApiServer, connection: None, supervisor: Supervisor, state: str, cancels: int
) -> None:
    api.respond_to(POLL, reply({"status": "running"}))
    api.respond_to(CANCEL, reply(status=202))
    supervisor.task_states = {"run": {"wait": state}}
    asyncio.run(trigger(cancel=CANCELLED_BY).on_kill())
    assert api.count(CANCEL) == cancels


@pytest.mark.parametrize("status", ["done", "failed"])
def test_a_job_that_is_over_is_not_cancelled(
    api: ApiServer, connection: None, supervisor: Supervisor, status: str
) -> None:
    api.respond_to(POLL, reply({"status": status}))
    supervisor.task_states = {"run": {"wait": "failed"}}
    asyncio.run(trigger(cancel=CANCELLED_BY).on_kill())
    assert api.count(POLL) == 1
    assert api.count(CANCEL) == 0


def test_the_polls_before_and_after_a_cancel_are_none_of_the_wait_and_show_nothing(
    api: ApiServer, connection: None, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[Any] = []
    monkeypatch.setattr("airflow_provider_asyncapi.monitoring.metrics.count_poll", lambda *args: counted.append(args))
    monkeypatch.setattr(xcom_publisher, "_UPDATE_INTERVAL", 0)
    api.respond_to(POLL, reply({"status": "running", "percent": 10}), reply({"status": "running", "percent": 20}))
    api.respond_to(CANCEL, reply(status=202))
    supervisor.task_states = {"run": {"wait": "failed"}}

    async def scenario() -> None:
        waiting = trigger(cancel=CANCELLED_BY, poke_interval=1)
        task = asyncio.create_task(event_of(waiting))
        await until(lambda: counted)
        await kill(waiting, task)
        # A push that was on its way would be a task that runs.
        await until_alone()

    asyncio.run(scenario())
    assert (api.count(POLL), api.count(CANCEL), len(counted)) == (3, 1, 1)
    assert not [each for each in supervisor.of_kind("SetXCom") if each.key == "job" and each.value["progress"] == 0.2]


def test_a_poll_that_is_late_is_noted(
    api: ApiServer, connection: None, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[Any] = []
    monkeypatch.setattr("airflow_provider_asyncapi.monitoring.late_polls.record", lambda *args: noted.append(args))
    late = Delay(9.0, Reason.CONNECTIONS)

    async def scenario() -> None:
        waiting = trigger()
        waiting._record_poll(Polled(JobHandle("7"), 2, 0, changed=False, at=time.time(), pause=1.0, delay=late))
        await waiting._publisher().close()

    asyncio.run(scenario())
    assert noted == [("asyncapi_default", late)]


def test_a_kill_asks_for_the_state_of_the_very_task_instance(api: ApiServer, supervisor: Supervisor) -> None:
    supervisor.task_states = {"run": {"wait_3": "deferred"}}
    waiting = trigger(cancel=CANCELLED_BY)
    assert waiting.task_instance is not None
    waiting.task_instance.map_index = 3
    asyncio.run(waiting.on_kill())
    (asked,) = supervisor.of_kind("GetTaskStates")
    assert (asked.dag_id, asked.task_ids, asked.run_ids, asked.map_index) == ("dag", ["wait"], ["run"], 3)
    assert not api.requests


def test_a_cancel_goes_on_when_airflow_gives_up_on_it(api: ApiServer, connection: None, supervisor: Supervisor) -> None:
    api.respond_to(CANCEL, reply(status=202))
    supervisor.task_states = {"run": {"wait": "failed"}}
    supervisor.delay = 0.3

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(trigger(cancel=CANCELLED_BY).on_kill(), 0.05)
        await until(lambda: api.count(CANCEL) and not triggers._cancels)

    asyncio.run(scenario())


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let no large answer be searched in time; note which would have been."""
    begun: list[str] = []

    async def step(_: object, steps: Any, answered: Send, left: float | None) -> None:
        begun.append(answered.request.method)
        raise SlowResponseError(f"{answered.request}: too slow")

    monkeypatch.setattr(StepThreads, "step", step)
    return begun


LARGE = reply({"status": "running", "rows": ["x" * 10_000]})


@pytest.mark.parametrize(
    ("cancelled", "said"),
    [(reply(status=204), "the API has accepted the cancel"), (LARGE, "POST .*/cancel: too slow")],
)
def test_a_wait_whose_answer_is_looked_at_beyond_the_deadline_is_ended_and_its_job_cancelled(
    api: ApiServer, connection: None, searches: list[str], cancelled: Any, said: str
) -> None:
    api.respond_to(POLL, LARGE)
    api.respond_to(CANCEL, cancelled)
    error = asyncio.run(event_of(trigger(cancel=CANCELLED_BY)))["error"]
    assert error["kind"] == "DeadlineError"
    assert re.search(rf"GET .*/jobs/j-1: too slow; {said}$", error["message"])
    assert (api.count(POLL), api.count(CANCEL)) == (1, 1)


@pytest.mark.skipif(not SHOWS_PROGRESS, reason="where triggers can't read XCom they have no on_kill either")
def test_a_kill_cancels_the_job_though_its_status_takes_too_long_to_look_at(
    api: ApiServer, connection: None, supervisor: Supervisor, searches: list[str]
) -> None:
    api.respond_to(POLL, LARGE)
    api.respond_to(CANCEL, reply(status=202))
    supervisor.task_states = {"run": {"wait": "failed"}}
    asyncio.run(trigger(cancel=CANCELLED_BY).on_kill())
    assert (searches, api.count(CANCEL)) == (["GET"], 1)


def test_a_kill_without_a_cancel_request_does_nothing(api: ApiServer, supervisor: Supervisor) -> None:
    asyncio.run(trigger().on_kill())
    assert not api.requests
    assert not supervisor.messages


def test_shutting_down_does_not_cancel_the_job(api: ApiServer, connection: None) -> None:
    api.respond_to(POLL, reply({"status": "running"}))

    async def scenario() -> None:
        waiting = trigger(cancel=CANCELLED_BY)
        task = asyncio.create_task(event_of(waiting))
        await until(lambda: api.count(POLL))
        task.cancel()
        await asyncio.wait({task})
        await waiting.cleanup()

    asyncio.run(scenario())
    assert api.count(CANCEL) == 0


def test_all_triggers_of_a_loop_share_one_look_up_and_one_session(
    api: ApiServer, connection: None, supervisor: Supervisor
) -> None:
    api.respond_to(POLL, *[reply({"status": "running"})] * 30, reply({"status": "done"}))

    async def scenario() -> None:
        waits = [asyncio.create_task(event_of(trigger())) for _ in range(20)]
        await until(lambda: api.count(POLL) > 5)
        (client,) = clients._clients[asyncio.get_running_loop()].values()
        assert client.users == 20
        assert client.driver is not None
        http_client: Any = client.driver._client
        waits.pop().cancel()
        await asyncio.gather(*waits)
        assert http_client._connector.closed
        assert not clients._clients[asyncio.get_running_loop()]

    asyncio.run(scenario())
    assert len(supervisor.of_kind("GetConnection")) == 1


def test_the_session_is_closed_when_all_are_cancelled(api: ApiServer, connection: None) -> None:
    api.respond_to(POLL, reply({"status": "running"}))

    async def scenario() -> None:
        waits = [asyncio.create_task(event_of(trigger())) for _ in range(3)]
        await until(lambda: api.count(POLL) >= 3)
        driver = next(iter(clients._clients[asyncio.get_running_loop()].values())).driver
        assert driver is not None
        http_client: Any = driver._client
        for task in waits:
            task.cancel()
        await asyncio.wait(waits)
        assert http_client._connector.closed

    asyncio.run(scenario())


def test_a_connection_that_was_mended_is_read_anew(api: ApiServer, connect: Any) -> None:
    connect(extra={"auth": "bearer"})
    api.respond_to(POLL, reply({"status": "done"}))
    assert "error" in asyncio.run(event_of(trigger()))
    connect(password="token-1", extra={"auth": "bearer"})
    assert "error" not in asyncio.run(event_of(trigger()))


#: The audit events of calls that block the thread that makes them.
BLOCKING = {"open", "socket.getaddrinfo", "socket.gethostbyname", "subprocess.Popen", "time.sleep"}


@pytest.fixture(scope="module")
def blocking_calls() -> Iterator[dict[int, list[str]]]:
    """Return the blocking calls of each thread that has an entry; an audit hook can't be removed."""
    calls: dict[int, list[str]] = {}

    def note(event: str, args: tuple[Any, ...]) -> None:
        if event in BLOCKING and (noted := calls.get(threading.get_ident())) is not None:
            noted.append(f"{event}{args}")

    sys.addaudithook(note)
    yield calls
    calls.clear()


def test_nothing_blocks_the_loop_and_nothing_is_left_on_it(
    api: ApiServer, connect: Any, monkeypatch: pytest.MonkeyPatch, blocking_calls: dict[int, list[str]]
) -> None:
    connect(extra={"ca_cert": certifi.where()})
    api.respond_to(POLL, reply({"status": "running"}), reply({"status": "running"}), reply({"status": "done"}))
    threads_with_certificates: list[int] = []
    read_certificates = ssl.create_default_context

    def note(**given: Any) -> ssl.SSLContext:
        threads_with_certificates.append(threading.get_ident())
        return read_certificates(**given)

    monkeypatch.setattr(ssl, "create_default_context", note)

    async def scenario() -> list[str]:
        # Imports, once for all triggers of a process.
        await event_of(trigger())
        await until_alone()
        here = threading.get_ident()
        blocking_calls[here] = []
        try:
            await event_of(trigger())
            await until_alone()
            return blocking_calls[here]
        finally:
            del blocking_calls[here]

    assert asyncio.run(scenario()) == []
    assert threads_with_certificates
    assert threading.get_ident() not in threads_with_certificates


def api_with(**extra: Any) -> Api:
    settings = ConnectionSettings.parse({"host": "https://api.example.com", **extra})
    return Api.from_settings(settings, clock=time.time, rng=lambda: 0.5, make_nonce=lambda: "n")


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"headers": {"X-Tenant": "k3y-of-tenant"}}, "headers"),
        ({"query_params": {"sig": "k3y-of-tenant"}}, "query_params"),
        ({"endpoint": "/jobs/{identifier}?sig=k3y-of-tenant"}, "endpoint"),
        ({"json": {"deep": [{"er": "is k3y-of-tenant"}]}}, "json"),
        ({"xml": "<a>k3y-of-tenant</a>"}, "xml"),
        ({"data": "a=k3y-of-tenant"}, "data"),
        ({"cancel": {"endpoint": "/x", "json": {"k": "k3y-of-tenant"}}}, "cancel"),
        # Named like a secret, though the connection doesn't know it.
        ({"headers": {"Authorization": "Bearer abc"}}, "headers: 'Authorization'"),
        ({"query_params": {"api_key": "abc"}}, "query_params: 'api_key'"),
        ({"json": {"auth": {"password": "abc"}}}, "json: 'password'"),
        ({"cancel": {"headers": {"X-Api-Key": "abc"}}}, "cancel.headers: 'X-Api-Key'"),
    ],
)
def test_a_secret_in_a_request_is_refused_by_name(spec: dict[str, Any], named: str) -> None:
    api = api_with(secrets={"tenant": "k3y-of-tenant"})
    with pytest.raises(ConfigurationError, match=named) as caught:
        check_storable({**SPEC, **spec}, api)
    assert "k3y-of-tenant" not in str(caught.value)
    assert "{connection." in str(caught.value)


@pytest.mark.parametrize(
    "spec",
    [
        {"headers": {"Authorization": "Bearer {connection.tenant}"}},
        {"headers": {"X-Job-Token": "{job_token}"}},
        {"json": {"password": "{connection.tenant}", "tokens": 5, "next_token": None}},
        {"completion_key": "$.tokens[?(@.token == '{identifier}')].state"},
        {
            "capture": {"login_selector": "data.token"},
            "json": {"query": "query($token: String!) { job(token: $token) }"},
        },
        {"retry_delays": {429: 60}},
    ],
)
def test_a_request_without_secrets_is_stored(spec: dict[str, Any]) -> None:
    check_storable({**SPEC, **spec}, api_with(secrets={"tenant": "k3y-of-tenant"}))


@pytest.mark.parametrize(
    "connection",
    [
        # Words that are part of others, in the connection's secrets and in its login.
        {"secrets": {"kind": "invoice"}},
        {"login": "invoices", "password": "invoice"},
        # What the connection itself shows.
        {"variables": {"kind": "invoices"}, "headers": {"X-Kind": "invoices"}},
    ],
)
def test_an_innocent_text_is_not_taken_for_a_secret(connection: dict[str, Any]) -> None:
    check_storable({**SPEC, "endpoint": "/invoices/{identifier}"}, api_with(**connection))


def test_a_word_that_airflow_masks_is_refused_only_where_it_stands_alone() -> None:
    from airflow.sdk.log import mask_secret

    mask_secret("parcel")
    check_storable({**SPEC, "endpoint": "/parcels/{identifier}"}, api_with())
    with pytest.raises(ConfigurationError, match="endpoint"):
        check_storable({**SPEC, "endpoint": "/parcel/{identifier}"}, api_with())


def test_a_header_of_the_connection_whose_name_tells_of_a_secret_is_one() -> None:
    with pytest.raises(ConfigurationError, match="json"):
        check_storable({**SPEC, "json": {"note": "abc-123"}}, api_with(headers={"X-Api-Key": "abc-123"}))


def test_a_value_that_airflow_masks_is_refused_too() -> None:
    from airflow.sdk.log import mask_secret

    mask_secret("s3cret-of-another-connection")
    with pytest.raises(ConfigurationError, match="json"):
        check_storable({**SPEC, "json": {"note": "s3cret-of-another-connection"}}, api_with())


def test_triggers_that_wait_alike_ask_together(api: ApiServer, connection: None, supervisor: Supervisor) -> None:
    batch = {"endpoint": "/jobs", "json": {"ids": "{identifiers}"}, "items": "jobs[*]", "id": "id"}
    states = [{"id": "j-1", "status": "running"}, {"id": "j-2", "status": "done"}]
    api.respond_to("POST /jobs", reply({"jobs": states}), reply({"jobs": [{"id": "j-1", "status": "done"}]}))

    async def scenario() -> list[dict[str, Any]]:
        waits = [trigger(batch=batch), trigger(batch=batch)]
        waits[1].wait = replace(wait_of(waits[1]), handle=JobHandle("j-2"))
        return await asyncio.gather(*map(event_of, waits))

    events = asyncio.run(scenario())
    assert [(event["handle"]["identifier"], event["handle"]["outcome"]) for event in events] == [
        ("j-1", "success"),
        ("j-2", "success"),
    ]
    assert [sorted(json.loads(request.body)["ids"]) for request in api.requests] == [["j-1", "j-2"], ["j-1"]]


def test_a_secret_in_a_batch_is_refused_too() -> None:
    with pytest.raises(ConfigurationError, match=r"batch\.headers: 'X-Api-Key'"):
        check_storable({**SPEC, "batch": {"headers": {"X-Api-Key": "abc"}}}, api_with())


@pytest.mark.skipif(not SHOWS_PROGRESS, reason="an older Airflow")
def test_a_warning_is_published_with_the_job(
    api: ApiServer, connection: None, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xcom_publisher, "_STARTUP_DELAY", 0.0)
    monkeypatch.setattr(xcom_publisher, "_UPDATE_INTERVAL", 0.05)
    api.respond_to(POLL, *[reply({"status": "running"})] * 8, reply({"status": "done"}))
    asyncio.run(event_of(trigger(warn_after=0.15)))
    pushed = [message.value for message in supervisor.of_kind("SetXCom") if message.key == WAIT_KEY]
    assert [(summary["identifier"], "warned_at" in summary) for summary in pushed] == [("j-1", True)]


@pytest.mark.skipif(not SHOWS_PROGRESS, reason="an older Airflow")
@pytest.mark.parametrize(
    ("task_instance", "warnings"), [("first", 0), ("of an earlier try", 1), (None, 1), ("unreadable", 1)]
)
def test_a_trigger_that_moves_to_another_triggerer_does_not_warn_again(
    api: ApiServer,
    connection: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    task_instance: str | None,
    warnings: int,
) -> None:
    async def read(task: Mapping[str, Any]) -> Any:
        if task_instance == "unreadable":
            raise RuntimeError("the storage is away")
        published = {"task_instance": task_instance, "identifier": "j-1", "warned_at": "2026-01-31T12:00:00+00:00"}
        return None if task_instance is None else published

    monkeypatch.setattr(triggers, "read_wait_summary", read)
    api.respond_to(POLL, reply({"status": "running"}), reply({"status": "done"}))
    began = time.time() - 100
    asyncio.run(event_of(trigger(started_at=began, deadline=began + 200, warn_after=50)))
    assert capsys.readouterr().out.count("longer than warn_after") == warnings


@pytest.mark.skipif(not SHOWS_PROGRESS, reason="an older Airflow")
def test_a_trigger_that_moves_to_another_triggerer_continues_the_log_where_it_was(
    api: ApiServer, connection: None, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(xcom_publisher, "_STARTUP_DELAY", 0.0)
    monkeypatch.setattr(xcom_publisher, "_UPDATE_INTERVAL", 0.05)
    grown = [reply({"status": "running", "logs": "".join(f"{n}\n" for n in range(count))}) for count in (1, 2, 2, 2, 2)]
    api.respond_to(POLL, *grown, reply({"status": "done", "logs": "0\n1\n2\n"}))
    asyncio.run(event_of(trigger(logs="logs")))
    published = [message.value for message in supervisor.of_kind("SetXCom") if message.key == WAIT_KEY]
    assert published[-1]["log"]["shown"] == 2
    capsys.readouterr()
    supervisor.xcoms[WAIT_KEY] = published[-1]
    api.respond_to(POLL, reply({"status": "done", "logs": "0\n1\n2\n"}))
    asyncio.run(event_of(trigger(logs="logs")))
    written = capsys.readouterr().out
    assert "log | 2" in written
    assert "log | 1" not in written


def test_the_trigger_of_a_task_with_a_callback_hands_the_wait_back_to_a_worker(
    api: ApiServer, connection: None
) -> None:
    api.respond_to(POLL, reply({"status": "running"}))
    waiting = trigger(warn_after=0.15)
    waiting.resume_on_warning = True
    event = asyncio.run(event_of(waiting))
    state = WaitCheckpoint.parse(event["wait"])
    assert event["status"] == "warning"
    assert (state.handle.status, state.warned_at is not None, state.polls > 1) == ("running", True, True)
    assert waiting.serialize()[1]["resume_on_warning"] is True


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "NaN at"),
        ("x \ud83d", "half a character"),
        (2**70, "an integer beyond 64 bits; write it as a string"),
    ],
)
def test_a_sensors_parameters_that_airflow_cannot_store_are_refused_before_it_defers(value: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"the sensor's parameters.*{message}"):
        check_storable({**SPEC, "query_params": {"x": value}}, api_with())
