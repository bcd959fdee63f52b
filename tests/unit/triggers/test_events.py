"""No answer ends the process that runs all triggers."""

from __future__ import annotations

import asyncio
import json
from traceback import format_exception
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import XCom

from airflow_provider_asyncapi.triggers import asyncapi as triggers
from airflow_provider_asyncapi.triggers.events import EventStatus, WaitEvent, make_event
from airflow_provider_asyncapi.triggers.xcom_publisher import XComPublisher
from tests.unit.airflow_storage import send, store_event
from tests.unit.fake_airflow import ApiServer, Supervisor, reply
from tests.unit.triggers.waits import POLL, event_of, trigger
from tests.unit.virtual_time import pass_time, run_in_virtual_time

HOSTILE = [b"99999999999999999999", b'"x \\ud83d"', b"NaN", b"-1e999", b'"a\\u0000b"', b"[" * 200 + b"]" * 200]
OPEN: dict[str, Any] = {"running_value": None, "poke_interval": 0.02}


def answer(status: bytes, **more: bytes) -> Any:
    fields = b"".join(b', "%s": %s' % (name.encode(), value) for name, value in more.items())
    return reply(b'{"status": %s%s}' % (status, fields))


@pytest.mark.parametrize("value", HOSTILE)
def test_a_status_that_airflow_cannot_store_ends_no_triggerer(
    api: ApiServer, connection: None, supervisor: Supervisor, value: bytes
) -> None:
    api.respond_to(POLL, answer(b'"r"'), answer(b'"r"'), answer(value), reply(status=404))
    event = asyncio.run(event_of(trigger(**OPEN)))
    assert store_event(event)["event"] == event
    assert "answered 404" in event["error"]["message"]
    for message in supervisor.of_kind("SetXCom"):
        assert send(message.value) == message.value


@pytest.mark.parametrize("value", HOSTILE)
def test_a_captured_value_that_airflow_cannot_store_is_an_event_that_names_it(
    api: ApiServer, connection: None, value: bytes
) -> None:
    api.respond_to(POLL, answer(b'"r"'), answer(b'"done"', note=value))
    event = asyncio.run(event_of(trigger(**OPEN, capture={"note": "note"})))
    assert store_event(event)["event"] == event
    if "error" in event:
        assert event["error"]["kind"] == "UnstorableValueError"
        assert "capture 'note': " in event["error"]["message"]
    else:
        assert event["handle"]["variables"]["note"] == value.decode()


@pytest.mark.parametrize("value", [2**70, "x \ud83d", float("nan"), "a\0b", {1, 2}])
def test_an_event_that_cannot_be_carried_becomes_an_error_that_names_it(value: Any) -> None:
    event = make_event(WaitEvent(EventStatus.SUCCESS, "", handle={"variables": {"x": value}})).payload
    assert store_event(event)["event"] == event
    if value == 2**70:
        assert event["handle"] == {"variables": {"x": str(value)}}
    else:
        assert event["status"] == "error"
        assert event["message"] == event["error"]["message"]
        assert event["error"]["kind"] == "UnstorableValueError"
        assert "the trigger's event: " in event["error"]["message"]
        assert "at $.handle.variables.x" in event["error"]["message"]


def test_a_programming_error_reaches_airflow_in_words_that_it_can_store(
    api: ApiServer, connection: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise TypeError("can't take 'x \ud83d'")

    monkeypatch.setattr(triggers, "wait", fail)
    with pytest.raises(RuntimeError, match="TypeError: can't take 'x �'") as caught:
        asyncio.run(event_of(trigger()))
    assert send(format_exception(caught.value))


@pytest.mark.skipif(not hasattr(XCom, "aset"), reason="before Airflow 3.2 a trigger can't push XComs")
def test_news_that_cannot_be_stored_reach_no_supervisor(
    api: ApiServer, connection: None, supervisor: Supervisor
) -> None:
    async def publish() -> None:
        publisher = XComPublisher(trigger().task_instance)
        publisher.publish({"job": {"status": float("nan")}, "job_poll": {"error": None}})
        await pass_time(100)
        await publisher.close()

    run_in_virtual_time(publish())
    assert all("nan" not in json.dumps(message.value).lower() for message in supervisor.of_kind("SetXCom"))
