"""A task requests a slot before it submits, if the connection limits its active jobs."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, TaskDeferred

from airflow_provider_asyncapi.core.jobs.slots import SlotRequest, make_slot_key
from airflow_provider_asyncapi.monitoring.xcoms import SLOT_KEY
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiTriggerOperator
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from airflow_provider_asyncapi.tasks import job_slots
from airflow_provider_asyncapi.triggers.job_slots import JobSlotTrigger
from tests.unit.fake_airflow import TI, ApiServer, Store, context_of, reply

pytestmark = pytest.mark.usefixtures("run_outside_of_airflow")

KEY = SLOT_KEY + make_slot_key("asyncapi_default")
REQUEST, SUBMIT = f"POST /asyncapi/slots/{TI.id}", "POST /jobs"
FREE = {"granted": True, "limit": 2, "position": 0}
TAKEN = {"granted": False, "limit": 2, "position": 1}


@pytest.fixture(autouse=True)
def limited(api: ApiServer, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a connection with a limit, and an API server at the address of the API."""
    connect(extra={"max_active_jobs": 2})
    monkeypatch.setattr(job_slots, "is_task_process", lambda: True)
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__API_SERVER_URL", api.url + "/")
    api.respond_to(SUBMIT, reply({"id": "j-1"}))
    api.respond_to("GET /jobs/j-1", reply({"status": "done"}))


def make_submit() -> AsyncApiTriggerOperator:
    return AsyncApiTriggerOperator(task_id="wait", endpoint="/jobs", identifier="id")


def make_job(**given: Any) -> AsyncApiJobOperator:
    return AsyncApiJobOperator(
        task_id="wait",
        submit={"endpoint": "/jobs", "identifier": "id"},
        status={
            "endpoint": "/jobs/{identifier}",
            "completion_key": "status",
            "completion_value": "done",
            "failure_value": "failed",
        },
        **given,
    )


async def event_of(trigger: Any) -> Any:
    path, kwargs = trigger.serialize()
    module, _, name = path.rpartition(".")
    (event,) = [event async for event in getattr(importlib.import_module(module), name)(**kwargs).run()]
    return event.payload


@pytest.mark.parametrize(("make", "ends_with_task"), [(make_submit, False), (make_job, True)])
def test_a_task_stores_its_request_and_polls_before_it_submits(
    api: ApiServer, make: Callable[[], Any], ends_with_task: bool
) -> None:
    api.respond_to(REQUEST, reply(FREE))
    ti = TI()
    assert make().execute(context_of(ti)) == "j-1"
    request = SlotRequest.parse(ti.xcoms[KEY])
    assert request is not None
    assert (request.limit, request.granted_at, request.ends_with_task) == (2, None, ends_with_task)
    assert [f"{each.method} {each.path}" for each in api.requests][:2] == [REQUEST, SUBMIT]


@pytest.mark.parametrize("make", [make_submit, partial(make_job, deferrable=True), partial(make_job, deferrable=False)])
def test_a_task_without_a_slot_waits_in_the_triggerer_and_keeps_its_position(
    api: ApiServer, make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    api.respond_to(REQUEST, reply(TAKEN), reply(FREE))
    ti = TI()
    with pytest.raises(TaskDeferred) as deferral:
        make().execute(context_of(ti))
    assert api.count(SUBMIT) == 0
    event = asyncio.run(event_of(deferral.value.trigger))
    assert event["status"] == "success"
    stored = ti.pulled[KEY] = ti.xcoms.pop(KEY)
    assert make().resume_execution(deferral.value.method_name, {"event": event}, context_of(ti)) == "j-1"
    assert stored
    assert KEY not in ti.xcoms


def test_a_task_that_resumes_its_job_has_a_slot_at_once(api: ApiServer) -> None:
    store, ti = Store(), TI()
    api.respond_to(REQUEST, reply(FREE))
    make_submit().execute(context_of(ti, task_state_store=store))
    again = TI()
    make_submit().execute(context_of(again, task_state_store=store))
    request = SlotRequest.parse(again.xcoms[KEY])
    assert request is not None
    assert request.granted_at is not None
    assert (api.count(REQUEST), api.count(SUBMIT)) == (1, 1)


def test_a_task_whose_job_has_failed_returns_its_slot_before_a_retry(api: ApiServer) -> None:
    api.respond_to(REQUEST, reply(FREE))
    api.respond_to("GET /jobs/j-1", reply({"status": "failed"}))
    ti = TI()
    # As the API server has stored it.
    ti.pulled[KEY] = SlotRequest(2, 1.0, granted_at=2.0).dump()
    with pytest.raises(AirflowException, match="has status failed"):
        make_job(deferrable=False).execute(context_of(ti))
    requested = SlotRequest.parse(ti.xcoms[KEY])
    assert requested is not None
    assert requested.granted_at is None


def test_an_answer_of_another_service_is_no_slot(api: ApiServer) -> None:
    api.respond_to(REQUEST, reply({"status": "ok"}))
    with pytest.raises(AirflowException, match=r"answered 200: .* no proxy answers instead"):
        make_submit().execute(context_of(TI()))


def test_the_trigger_takes_the_arguments_of_another_version() -> None:
    _, stored = JobSlotTrigger(api_server="https://airflow", waiting_task="1").serialize()
    assert JobSlotTrigger(**{**stored, "version": 2, "later": True}).waiting_task == "1"


def test_a_task_fails_if_the_triggerer_could_not_get_a_slot(api: ApiServer) -> None:
    api.respond_to(REQUEST, reply(TAKEN), reply({"detail": "Not Found"}, 404))
    with pytest.raises(TaskDeferred) as deferral:
        make_submit().execute(context_of(TI()))
    event = asyncio.run(event_of(deferral.value.trigger))
    with pytest.raises(AirflowException, match="answered 404: Airflow's API server has no slots"):
        make_submit().resume_execution(deferral.value.method_name, {"event": event}, context_of(TI()))
    assert api.count(SUBMIT) == 0


def test_the_address_of_the_api_server_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__ASYNCAPI__API_SERVER_URL")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "/airflow")
    with pytest.raises(AirflowFailException, match=r"set \[asyncapi\] api_server_url .* not '/airflow'"):
        make_submit().execute(context_of(TI()))


def test_a_test_of_a_dag_has_no_limit(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(job_slots, "is_task_process", lambda: False)
    assert make_submit().execute(context_of(TI())) == "j-1"
    assert "max_active_jobs has no effect in a test of a DAG" in caplog.text


def test_other_connections_request_nothing(api: ApiServer, connect: Callable[..., None]) -> None:
    connect()
    ti = TI()
    make_submit().execute(context_of(ti))
    assert KEY not in ti.xcoms
    assert api.count(REQUEST) == 0
