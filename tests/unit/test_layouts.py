"""What another version of the provider has stored is gone on with."""

from __future__ import annotations

import asyncio
import copy
import importlib
import json
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core.events.seen_items import SeenItems
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.jobs.slots import SlotRequest
from airflow_provider_asyncapi.core.submit.flow import submit
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from airflow_provider_asyncapi.core.submit.submission import Submission
from airflow_provider_asyncapi.monitoring.xcoms import CALLS_KEY, JOB_KEY
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from airflow_provider_asyncapi.tasks.cancel_request import CANCEL_KEY
from airflow_provider_asyncapi.triggers.asset_watcher import AsyncApiEventTrigger
from airflow_provider_asyncapi.triggers.events import WaitEvent
from airflow_provider_asyncapi.triggers.job_slots import JobSlotTrigger
from tests.unit.airflow_storage import store_event, store_trigger, store_xcom
from tests.unit.core.flow_runner import FlowRunner, make_api
from tests.unit.fake_airflow import TI, ApiServer, Store, Supervisor, context_of, reply
from tests.unit.layouts.record import MOMENT, keys_of, recordings, write_all

POLL = "GET /jobs/j-1"
GIVEN: dict[str, Any] = {
    "endpoint": "/jobs/{identifier}",
    "completion_key": "status",
    "completion_value": "done",
    "failure_value": "failed",
    "poke_interval": 0.1,
}


def read(path: Path) -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads(path.read_text())
    return recorded


def with_unknown_keys(recorded: dict[str, Any]) -> dict[str, Any]:
    """Return a recording as a newer version may write it that has more to tell, in the same layout."""

    def extend(value: Any) -> None:
        if isinstance(value, dict):
            # What these hold is the author's, and all of it counts.
            for item in [item for name, item in value.items() if name not in ("variables", "capture", "revisions")]:
                extend(item)
            value["since_1_1"] = {"x": [1]}
        elif isinstance(value, list):
            for item in value:
                extend(item)

    newer = copy.deepcopy(recorded)
    extend(newer)
    return newer


def with_newer_layout(recorded: dict[str, Any]) -> dict[str, Any]:
    """Return a recording whose every layout is one that nobody knows yet."""
    newer: dict[str, Any] = json.loads(re.sub(r'"version": \d+', '"version": 99', json.dumps(recorded)))
    return newer


NEWEST = read(recordings()[-1])
RECORDED = {path.stem: read(path) for path in recordings()} | {"newer": with_unknown_keys(NEWEST)}


def each_recording(*keys: str) -> pytest.MarkDecorator:
    """Run a test on each recording that has all of these keys."""
    chosen = {name: recorded for name, recorded in RECORDED.items() if recorded.keys() >= set(keys)}
    return pytest.mark.parametrize("recorded", chosen.values(), ids=chosen.keys())


def sensor_of(job: Any, **given: Any) -> AsyncApiSensor:
    return AsyncApiSensor(task_id="wait", job=job, **{**GIVEN, "timeout": 4e9, **given})


def resume(recorded: dict[str, Any]) -> dict[str, Any]:
    """Run the trigger as the triggerer makes it of what is stored."""
    module, _, name = recorded["trigger"]["classpath"].rpartition(".")
    kwargs = store_trigger(recorded["trigger"]["kwargs"])
    if "pause" in kwargs["wait"]:
        # An overdue poll is made at a random time within the pause.
        kwargs["wait"]["pause"] = 0.01
    trigger = getattr(importlib.import_module(module), name)(**kwargs)

    async def run() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    (payload,) = asyncio.run(run())
    event: dict[str, Any] = store_event(payload)["event"]
    return event


def test_the_newest_recording_is_what_this_version_writes() -> None:
    told = "record the layout: python -m tests.unit.layouts.record WHAT_IS_NEW"
    assert keys_of(write_all()) == keys_of(NEWEST), told


@each_recording()
def test_a_deferred_task_of_another_version_is_waited_for(
    api: ApiServer, connection: None, recorded: dict[str, Any]
) -> None:
    api.respond_to(POLL, reply({"status": "running"}), reply({"status": "done", "rows": 5}))
    job = JobHandle.parse(resume(recorded)["handle"])
    assert (job.identifier, job.outcome, job.submitted_at) == ("j-1", "success", MOMENT)
    assert job.variables == {"pages": 3, "data.pages": 3, "rows": 5}


@each_recording()
def test_a_task_resumes_from_the_event_of_another_version(
    connection: None, run_outside_of_airflow: None, recorded: dict[str, Any]
) -> None:
    ti, events = TI(), recorded["events"]
    assert sensor_of("j-1").execute_complete(context_of(ti), **store_event(events["done"])) == "j-1"
    assert JobHandle.parse(ti.xcoms[JOB_KEY]).variables == {"pages": 3, "data.pages": 3}
    with pytest.raises(exceptions.AsyncApiJobFailed, match="out of rows") as failed:
        sensor_of("j-1").execute_complete(context_of(TI()), **store_event(events["failed"]))
    assert failed.value.job in (None, "j-1")


@each_recording()
def test_an_event_is_read_whichever_version_made_it(recorded: dict[str, Any]) -> None:
    events = {name: WaitEvent.parse(recorded["events"][name]) for name in ("done", "failed", "called", "begin")}
    assert {name: str(event.status) for name, event in events.items()} == {
        "done": "success",
        "failed": "error",
        "called": "callback",
        "begin": "begin",
    }
    assert events["begin"].message == "this is try 2"
    assert events["failed"].message == str(events["failed"].error) == "Job j-1 has status failed: out of rows"


def test_the_fields_of_an_exception_come_with_the_event(connection: None, run_outside_of_airflow: None) -> None:
    with pytest.raises(exceptions.AsyncApiJobFailed) as failed:
        sensor_of("j-1").execute_complete(context_of(TI()), **store_event(NEWEST["events"]["failed"]))
    error = failed.value
    assert (error.job, error.status, error.message) == ("j-1", "failed", "out of rows")
    assert (error.method, error.url, error.status_code) == ("GET", "http://127.0.0.1/jobs/j-1", 200)


@each_recording()
def test_a_task_waits_for_the_job_of_another_version(
    api: ApiServer, connection: None, run_outside_of_airflow: None, recorded: dict[str, Any]
) -> None:
    api.respond_to(POLL, reply({"status": "done"}))
    assert sensor_of(store_xcom(recorded["job"])).execute(context_of(TI())) == "j-1"


@each_recording("submission")
def test_a_retry_goes_on_with_the_submission_of_another_version(recorded: dict[str, Any]) -> None:
    runner = FlowRunner(make_api())
    plan = SubmitPlan.parse({"endpoint": "/jobs", "identifier": "id"})
    job = runner.run(submit(runner.api, plan, Submission("k-1"), Submission.parse(recorded["submission"])))
    assert (job.identifier, runner.requests) == ("j-1", [])


@each_recording("next_kwargs")
def test_a_callback_that_another_version_has_kept_ends_the_wait(
    connection: None, run_outside_of_airflow: None, recorded: dict[str, Any]
) -> None:
    ti = TI()
    ti.pulled[CALLS_KEY] = store_xcom(recorded["calls"])
    kwargs = store_event(recorded["events"]["called"], recorded["next_kwargs"])
    assert sensor_of("j-1", callback=True).execute_complete(context_of(ti), **kwargs) == "j-1"
    assert ti.xcoms[JOB_KEY]["call"] == 0


@each_recording("store")
def test_a_poke_goes_on_with_what_another_version_has_learnt(
    api: ApiServer, connection: None, run_outside_of_airflow: None, recorded: dict[str, Any]
) -> None:
    api.respond_to(POLL, reply(status=503))
    store, ti = Store(recorded["store"]), TI()
    ti.first_poke = time.time() - 1
    with pytest.raises(AirflowRescheduleException):
        sensor_of("j-1", mode="reschedule").execute(context_of(ti, task_reschedule_count=2, task_state_store=store))
    assert store["asyncapi_poke"]["errors"] == 2
    assert store["asyncapi_began"]["at"] == MOMENT + 1


@pytest.mark.parametrize(
    "recorded", [recorded for recorded in RECORDED.values() if CANCEL_KEY in recorded.get("store", {})]
)
def test_the_next_try_cancels_a_job_as_another_version_was_asked_to(
    connection: None, run_outside_of_airflow: None, recorded: dict[str, Any]
) -> None:
    ti = TI()
    ti.try_number, ti.max_tries = 2, 2
    with pytest.raises(exceptions.AsyncApiCancelled, match="ann has cancelled the job"):
        sensor_of("j-1").execute(context_of(ti, task_state_store=Store(recorded["store"])))


@each_recording("event_trigger")
def test_an_event_trigger_of_another_version_goes_on_with_the_items_that_it_has_seen(
    api: ApiServer, connection: None, supervisor: Supervisor, recorded: dict[str, Any]
) -> None:
    seen = SeenItems.parse(recorded["seen_items"])
    assert (seen.watermark, list(seen.revisions.values())) == (MOMENT, ["1:0a1b2c3d4e5f6072"])
    api.respond_to("GET /orders", reply({"orders": [{"id": 1}]}), reply({"orders": [{"id": 1}, {"id": 2}]}))
    kwargs = recorded["event_trigger"]
    trigger = AsyncApiEventTrigger(**{**kwargs, "stored": json.dumps(kwargs["stored"])})

    async def first_event() -> Any:
        events = trigger.run()
        try:
            return (await anext(events)).payload
        finally:
            await events.aclose()  # type: ignore[attr-defined]  # a generator

    assert len(asyncio.run(first_event())["items"]) == 1
    assert api.count("GET /orders") == 2


@each_recording("slot_request")
def test_a_task_waits_for_the_slot_that_another_version_has_requested(recorded: dict[str, Any]) -> None:
    assert SlotRequest.parse(recorded["slot_request"]) == SlotRequest(2, MOMENT, MOMENT + 1, ends_with_task=False)
    trigger = JobSlotTrigger(**recorded["slot_trigger"])
    assert (trigger.api_server, trigger.waiting_task) == ("https://airflow", "t-1")


def upgrade_error(act: Callable[[], Any]) -> None:
    """Check that a layout of the future is an error that a later try may mend."""
    with pytest.raises(
        exceptions.AsyncApiRetryableException, match=r"layout 99 by a newer version .* upgrade it"
    ) as caught:
        act()
    assert AirflowFailException not in caught.type.__mro__


def test_a_newer_layout_is_an_error_that_a_later_try_may_mend(
    api: ApiServer, connection: None, run_outside_of_airflow: None
) -> None:
    newer = with_newer_layout(NEWEST)
    event = resume(newer)
    assert event["error"]["kind"] == "NewerLayoutError"
    upgrade_error(lambda: sensor_of("j-1").execute_complete(context_of(TI()), event))
    upgrade_error(lambda: sensor_of(newer["job"]).execute(context_of(TI())))
    resuming = sensor_of("j-1", callback=True).execute_complete
    upgrade_error(lambda: resuming(context_of(TI()), WaitEvent.of_callback().dump(), **newer["next_kwargs"]))
    for key, stored in newer["store"].items():
        ti, pokes = TI(), 2
        ti.first_poke = time.time() - 1
        if key == CANCEL_KEY:
            # Which the first poke of a later try reads.
            ti.try_number, pokes = 2, 0
        context = context_of(ti, task_reschedule_count=pokes, task_state_store=Store({key: stored}))
        upgrade_error(partial(sensor_of("j-1", mode="reschedule").execute, context))
    assert api.requests == []


def test_parameters_that_another_version_understands_are_an_error_that_a_later_try_may_mend(
    api: ApiServer, connection: None
) -> None:
    newer = copy.deepcopy(NEWEST)
    newer["trigger"]["kwargs"]["spec"]["cancel"] = {"endpoint": "/jobs/{identifier}", "politely": True}
    error = resume(newer)["error"]
    assert error["kind"] == "NewerLayoutError"
    assert "another version of airflow-provider-asyncapi stored the sensor's parameters" in error["message"]
    assert "politely" in error["message"]
