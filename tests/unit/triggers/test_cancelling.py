"""Jobs are cancelled when their task ends, if no other task needs them."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from typing import Any

import pytest

from airflow_provider_asyncapi.core.effects import Polled, Send
from airflow_provider_asyncapi.core.errors import SlowResponseError
from airflow_provider_asyncapi.core.http.delays import Delay, Reason
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.monitoring.xcoms import WAIT_KEY
from airflow_provider_asyncapi.transports.step_threads import StepThreads
from airflow_provider_asyncapi.triggers import cancel_reasons, cancel_requests, task_xcoms, xcom_publisher
from airflow_provider_asyncapi.triggers.asyncapi import AsyncApiJobTrigger
from tests.unit.eventually import until
from tests.unit.fake_airflow import ApiServer, Supervisor, reply
from tests.unit.triggers.waits import POLL, SHOWS_PROGRESS, SUBMITTER, event_of, trigger, until_alone

CANCEL = "POST /jobs/j-1/cancel"
CANCELLED_BY = {"endpoint": "/jobs/{identifier}/cancel"}


async def kill(waiting: AsyncApiJobTrigger, task: asyncio.Task[Any]) -> None:
    """Do as Airflow does when a user ends a task that is deferred."""
    task.cancel()
    await asyncio.wait({task})
    await waiting.on_kill()


AWAY = RuntimeError("the API server is away")


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
    monkeypatch.setattr(cancel_reasons, "_CHECK_INTERVAL", 0)
    monkeypatch.setattr(cancel_reasons, "_LATER_INTERVAL", 0)
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
        # Many tasks were cleared at once, and wait for a worker.
        (["queued"] * 30 + ["success"], "j-2", 1),
        (["running"] * 40, "j-2", 0),
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

    monkeypatch.setattr(cancel_reasons, "_CHECK_INTERVAL", 0)
    monkeypatch.setattr(cancel_reasons, "_LATER_INTERVAL", 0)
    monkeypatch.setattr(cancel_reasons, "find_task_state", find)
    supervisor.xcoms["job"] = {"version": 1, "identifier": submitted}
    job = JobHandle("j-1", task=SUBMITTER)
    reason = asyncio.run(cancel_reasons.reason_to_cancel(trigger().task_instance, job))
    assert (reason is not None) == cancels
    assert len(asked) == min(len(states), cancel_reasons._CHECKS + cancel_reasons._LATER_CHECKS)


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
    monkeypatch.setattr(cancel_reasons, "find_task_state", find_state)
    monkeypatch.setattr(cancel_reasons, "_CHECK_INTERVAL", 0.0)
    monkeypatch.setattr(cancel_reasons, "_LATER_INTERVAL", 0.0)
    waiting = trigger()
    reason = asyncio.run(cancel_reasons.reason_to_cancel(waiting.task_instance, JobHandle("j-1", task=SUBMITTER)))
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
    monkeypatch.setattr(cancel_reasons, "find_task_state", find_state)
    reason = asyncio.run(cancel_reasons.reason_to_cancel(trigger().task_instance, JobHandle("j-1", task=SUBMITTER)))
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
    waiting = trigger(cancel=CANCELLED_BY, poke_interval=1)
    assert waiting.task_instance is not None
    waiting.task_instance.map_index = 3
    asyncio.run(waiting.on_kill())
    (asked,) = supervisor.of_kind("GetTaskStates")
    assert (asked.dag_id, asked.task_ids, asked.run_ids, asked.map_index) == ("dag", ["wait"], ["run"], 3)
    assert not api.requests


@pytest.mark.parametrize("is_part", [False, True])
@pytest.mark.parametrize(("task_instance", "is_told"), [("this", True), ("that of another try", False), (None, False)])
def test_the_history_tells_that_the_job_was_cancelled_with_its_task_unless_another_try_has_begun(
    api: ApiServer, connection: None, supervisor: Supervisor, task_instance: str | None, is_told: bool, is_part: bool
) -> None:
    earlier = {"at": "2026-03-01T12:00:00+00:00", "kind": "status", "status": "running"}
    history = {"entries": [earlier]}
    supervisor.xcoms = {} if is_part else {"job_history": history}
    supervisor.task_states = {"run": {"wait": "failed"}}
    api.respond_to(POLL, reply({"status": "running"}))
    api.respond_to(CANCEL, reply(status=202))

    async def scenario() -> None:
        waiting = trigger(cancel=CANCELLED_BY)
        own = str(getattr(waiting.task_instance, "id", None)) if task_instance == "this" else task_instance
        if own is not None:
            part = {"history": history} if is_part else {}
            supervisor.xcoms[WAIT_KEY] = {"task_instance": own, "identifier": "j-1", **part}
        task = asyncio.create_task(event_of(waiting))
        await until(lambda: api.count(POLL))
        await kill(waiting, task)

    asyncio.run(scenario())
    histories = [each.value["entries"] for each in supervisor.of_kind("SetXCom") if each.key == "job_history"]
    assert all(each[0] == earlier for each in histories if is_told)
    told = [each.value["entries"][-1] for each in supervisor.of_kind("SetXCom") if each.key == "job_history"]
    cancels = [each["message"] for each in told if each["kind"] == "cancelled"]
    assert len(cancels) == is_told
    assert all(each.startswith("The task is failed: the API has accepted the cancel") for each in cancels)


def test_a_cancel_goes_on_when_airflow_gives_up_on_it(api: ApiServer, connection: None, supervisor: Supervisor) -> None:
    api.respond_to(CANCEL, reply(status=202))
    supervisor.task_states = {"run": {"wait": "failed"}}
    supervisor.delay = 0.3

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(trigger(cancel=CANCELLED_BY).on_kill(), 0.05)
        await until(lambda: api.count(CANCEL) and not cancel_requests.pending)

    asyncio.run(scenario())


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record which large answers are searched, as if each search came too late."""
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
    assert error["kind"] == "DeadlineExceededError"
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
    asyncio.run(trigger(poke_interval=1).on_kill())
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
