"""A callback that came while the task was on its way to the triggerer is seen there."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_asyncapi.airflow_private.supervisor import AirflowUnavailableError
from airflow_provider_asyncapi.airflow_private.versions import HAS_TRIGGER_XCOMS
from airflow_provider_asyncapi.core.callbacks.calls import ReceivedCallback, dump_callbacks
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.monitoring.xcoms import CALLS_KEY
from airflow_provider_asyncapi.triggers import asyncapi as triggers
from airflow_provider_asyncapi.triggers import callbacks_seen
from airflow_provider_asyncapi.triggers.asyncapi import AsyncApiJobTrigger
from airflow_provider_asyncapi.triggers.events import WaitEvent
from tests.unit.eventually import until
from tests.unit.fake_airflow import ApiServer, InProcessSupervisor, Supervisor, reply
from tests.unit.triggers.waits import POLL, SPEC, SUBMITTER, event_of, trigger, wait_of

CALLED = dump_callbacks([ReceivedCallback("a", 0.0, "application/json", b'{"status": "done"}')])
CAN_ASK = pytest.mark.skipif(not HAS_TRIGGER_XCOMS, reason="before Airflow 3.2 a trigger can't ask")


def waiting_for_calls(*, callbacks_seen: int = 0, seconds: float = 20, **spec: Any) -> AsyncApiJobTrigger:
    """Make a trigger that polls seldom."""
    now = time.time()
    made = trigger(callback=True, **{"poke_interval": 500, **spec})
    made.wait = WaitCheckpoint(
        JobHandle("j-1", task=SUBMITTER),
        now,
        now + seconds,
        polls=1,
        next_poll=now + 500,
        callbacks_seen=callbacks_seen,
    )
    return made


def alone(**given: Any) -> AsyncApiJobTrigger:
    made = waiting_for_calls(**given)
    made.spec = {"callback": True, "poke_interval": 500}
    return made


@CAN_ASK
@pytest.mark.parametrize("make", [waiting_for_calls, alone])
def test_a_callback_that_came_before_the_trigger_began_is_seen(
    api: ApiServer, connection: None, supervisor: Supervisor, make: Any
) -> None:
    supervisor.xcoms[CALLS_KEY] = CALLED
    assert asyncio.run(event_of(make())) == WaitEvent.of_callback().dump()
    (asked,) = supervisor.of_kind("GetXCom")
    assert {name: getattr(asked, name) for name in SUBMITTER} == SUBMITTER
    assert not api.requests


@CAN_ASK
def test_a_callback_comes_no_sooner_than_airflow_can_tell_it_from_the_deferral(
    api: ApiServer, connection: None, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "SHORTEST_DEFERRAL", 0.5)
    supervisor.xcoms[CALLS_KEY] = CALLED
    began = time.monotonic()
    assert asyncio.run(event_of(waiting_for_calls())) == WaitEvent.of_callback().dump()
    assert time.monotonic() - began >= 0.5


@CAN_ASK
def test_a_callback_that_the_sensor_has_heard_is_not_seen_again(
    api: ApiServer, connection: None, supervisor: Supervisor
) -> None:
    supervisor.xcoms[CALLS_KEY] = CALLED
    event = asyncio.run(event_of(alone(callbacks_seen=1, seconds=0.5)))
    assert event["error"]["kind"] == "DeadlineExceededError"
    assert "hasn't called back by the deadline" in event["error"]["message"]
    assert not api.requests


@pytest.mark.parametrize("seconds", [0.0, 0.3])
def test_a_poll_ends_the_wait_before_or_after_the_look_for_callbacks(
    api: ApiServer, connection: None, supervisor: Supervisor, seconds: float
) -> None:
    api.respond_to(POLL, reply({"status": "done"}))
    # A first poll that is due already is spread over this interval.
    waiting = waiting_for_calls(poke_interval=0.1)
    waiting.wait = replace(wait_of(waiting), next_poll=time.time() + seconds)
    event = asyncio.run(event_of(waiting))
    assert (event["handle"]["outcome"], event["handle"]["call"]) == ("success", None)


@CAN_ASK
def test_while_airflow_is_away_it_is_asked_again_and_polls_go_on(
    api: ApiServer, connection: None, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    async def away_at_first(key: str, _: Any) -> Any:
        if key != CALLS_KEY:
            return None
        asked.append(time.monotonic())
        if len(asked) == 1:
            raise AirflowUnavailableError("the API server is away")
        return CALLED

    monkeypatch.setattr(callbacks_seen, "read_xcom", away_at_first)
    api.respond_to(POLL, reply({"status": "running"}))
    waiting = waiting_for_calls(poke_interval=0.1)
    waiting.wait = replace(wait_of(waiting), next_poll=None)
    assert asyncio.run(event_of(waiting)) == WaitEvent.of_callback().dump()
    assert asked[1] - asked[0] >= 1
    assert api.count(POLL) > 1


@CAN_ASK
def test_a_poll_ends_the_wait_while_airflow_cannot_tell_of_callbacks(
    api: ApiServer, connection: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def away(key: str, _: Any) -> Any:
        asked.append(key)
        raise AirflowUnavailableError("the API server is away")

    monkeypatch.setattr(callbacks_seen, "read_xcom", away)
    api.respond_to(POLL, *[reply({"status": "running"})] * 3, reply({"status": "done"}))
    waiting = waiting_for_calls(poke_interval=0.1)
    waiting.wait = replace(wait_of(waiting), next_poll=None)
    assert asyncio.run(event_of(waiting))["handle"]["outcome"] == "success"
    assert asked


@CAN_ASK
def test_an_xcom_backend_that_fails_ends_no_wait_whose_polls_go_on(
    api: ApiServer, connection: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> Any:
        raise RuntimeError("bucket unreachable")

    monkeypatch.setattr(callbacks_seen, "read_xcom", fail)
    api.respond_to(POLL, *[reply({"status": "running"})] * 3, reply({"status": "done"}))
    waiting = waiting_for_calls(poke_interval=0.1)
    waiting.wait = replace(wait_of(waiting), next_poll=None)
    assert asyncio.run(event_of(waiting))["handle"]["outcome"] == "success"


@CAN_ASK
def test_the_deadline_ends_the_wait_while_airflow_cannot_tell_of_callbacks(
    api: ApiServer, connection: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> Any:
        raise AirflowUnavailableError("the API server is away")

    monkeypatch.setattr(callbacks_seen, "read_xcom", away)
    assert asyncio.run(event_of(alone(seconds=0.3)))["error"]["kind"] == "DeadlineExceededError"


@CAN_ASK
def test_a_mistake_in_reading_callbacks_ends_the_wait_and_is_not_repeated(
    api: ApiServer, connection: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def fail(key: str, _: Any) -> Any:
        asked.append(key)
        raise AttributeError("no such method")

    monkeypatch.setattr(callbacks_seen, "read_xcom", fail)
    with pytest.raises(AttributeError, match="no such method"):
        asyncio.run(event_of(waiting_for_calls()))
    assert len(asked) == 1


@CAN_ASK
def test_in_a_test_of_the_dag_a_callback_is_read_through_the_synchronous_supervisor(
    api: ApiServer, connection: None, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor.xcoms[CALLS_KEY] = CALLED
    in_process = InProcessSupervisor(supervisor, monkeypatch)
    waiting = waiting_for_calls()
    waiting.task_instance = None
    assert asyncio.run(event_of(waiting)) == WaitEvent.of_callback().dump()
    assert in_process.kinds().count("GetXCom") == 1


@CAN_ASK
def test_what_another_version_has_kept_is_an_event_and_no_crash(
    api: ApiServer, connection: None, supervisor: Supervisor
) -> None:
    supervisor.xcoms[CALLS_KEY] = {"calls": [{"from": "the future"}]}
    event = asyncio.run(event_of(waiting_for_calls()))
    assert event["error"]["kind"] == "ConfigurationError"


def test_a_trigger_that_awaits_no_callback_does_not_ask(
    api: ApiServer, connection: None, supervisor: Supervisor
) -> None:
    supervisor.xcoms[CALLS_KEY] = CALLED
    api.respond_to(POLL, reply({"status": "running"}), reply({"status": "running"}), reply({"status": "done"}))
    assert asyncio.run(event_of(trigger()))["handle"]["outcome"] == "success"
    assert CALLS_KEY not in [each.key for each in supervisor.of_kind("GetXCom")]


def test_a_trigger_that_is_ended_leaves_no_poll_behind(api: ApiServer, connection: None) -> None:
    api.respond_to(POLL, reply({"status": "running"}))

    async def scenario() -> None:
        waiting = waiting_for_calls(poke_interval=0.1)
        waiting.wait = replace(wait_of(waiting), next_poll=None)
        task = asyncio.create_task(event_of(waiting))
        await until(lambda: api.count(POLL) > 1)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(scenario())


def test_its_arguments_tell_how_many_were_heard_and_no_url() -> None:
    path, arguments = waiting_for_calls(callbacks_seen=2).serialize()
    assert path.endswith(".AsyncApiJobTrigger")
    assert arguments["wait"]["heard"] == 2
    assert arguments["spec"] == {**SPEC, "callback": True, "poke_interval": 500}
