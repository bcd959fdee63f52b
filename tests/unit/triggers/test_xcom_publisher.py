"""What a trigger publishes while it waits."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest

from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.monitoring.xcoms import HISTORY_KEY, POLL_KEY, WAIT_KEY
from airflow_provider_asyncapi.triggers import task_xcoms, xcom_publisher
from tests.unit.eventually import until
from tests.unit.fake_airflow import ApiServer, Supervisor, reply
from tests.unit.triggers.waits import POLL, SHOWS_PROGRESS, event_of, trigger, until_alone
from tests.unit.virtual_time import pass_time, run_in_virtual_time


def test_status_and_progress_are_pushed_when_they_change_and_not_too_often(
    api: ApiServer, connection: None, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xcom_publisher, "_UPDATE_INTERVAL", 0.5)
    answers = [reply({"status": "running", "percent": percent}) for percent in (10, 10, 20, 30, 40, 40, 50, 60, 70)]
    api.respond_to(POLL, *answers, reply({"status": "done"}))
    asyncio.run(event_of(trigger(poke_interval=0.1)))
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


@pytest.mark.skipif(not SHOWS_PROGRESS, reason="before Airflow 3.2 a trigger writes no XComs")
@pytest.mark.parametrize(("is_part", "is_first"), [(False, True), (True, True), (True, False)])
def test_the_history_continues_that_of_the_worker_and_says_what_each_change_was(
    api: ApiServer,
    connection: None,
    supervisor: Supervisor,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_part: bool,
    is_first: bool,
) -> None:
    monkeypatch.setattr(xcom_publisher, "_UPDATE_INTERVAL", 0.05)
    earlier = {"at": "2026-01-31T11:50:00+00:00", "kind": "status", "status": "queued"}
    history = {"entries": [earlier], "answer": {"text": "first"}}
    summary = {"task_instance": "first", "identifier": "j-1", "history": history}
    supervisor.xcoms = {WAIT_KEY: summary} if is_part else {HISTORY_KEY: history}
    writing = reply({"status": "writing"})
    api.respond_to(POLL, reply({"status": "queued"}), reply(status=503), writing, writing, reply({"status": "done"}))
    waiting, polled = trigger(running_value=["queued", "writing"]), time.time()
    assert waiting.wait is not None
    if is_first:
        waiting.wait = dataclasses.replace(waiting.wait, polls=1, next_poll=polled + 0.3, pause=0.3)
    asyncio.run(event_of(waiting))
    pushed = [each.value for each in supervisor.of_kind("SetXCom") if each.key == HISTORY_KEY]
    assert pushed
    first, *others = pushed[-1]["entries"]
    assert first == earlier
    # The last change may not have been pushed before the job has ended.
    expected = [("error", "queued"), ("status", "writing")]
    assert [(each["kind"], each["status"]) for each in others] == expected[: len(others)]
    read = [each for each in supervisor.of_kind("GetXCom") if each.key == HISTORY_KEY]
    assert len(read) == (0 if is_part and is_first else 1), "it is read once, before the first news, if it is needed"


@pytest.mark.skipif(not SHOWS_PROGRESS, reason="before Airflow 3.2 a trigger writes no XComs")
@pytest.mark.parametrize("known", ["running", None])
def test_polls_that_find_nothing_new_cost_airflow_nothing(
    api: ApiServer, connection: None, supervisor: Supervisor, known: str | None
) -> None:
    """The worker has published also that the status is unknown."""
    handle = JobHandle("j-1", status="running", urls={"status": f"{api.url}/jobs/j-1"})
    running = reply({"status": "running"})
    api.respond_to(POLL, *[running] * 8, reply({"status": "done"}))
    began = time.time()
    waiting = trigger(job=handle, running_value=known)
    assert waiting.wait is not None
    waiting.wait = dataclasses.replace(waiting.wait, polls=1, next_poll=began + 0.2, pause=0.2, changed_at=began)
    asyncio.run(event_of(waiting))
    assert api.count(POLL) == 9
    assert supervisor.of_kind("SetXCom") == []
    assert [each for each in supervisor.of_kind("GetXCom") if each.key == HISTORY_KEY] == []


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
