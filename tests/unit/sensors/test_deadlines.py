"""The deadline of a wait outlasts tries, pokes and restarts."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import (
    AirflowException,
    TaskDeferred,
)

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.airflow_private.versions import HAS_TRIGGER_ON_KILL
from airflow_provider_asyncapi.core.errors import RequestRejectedError
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.wait.summaries import parse_time
from airflow_provider_asyncapi.monitoring.xcoms import WAIT_KEY
from airflow_provider_asyncapi.triggers.events import WaitEvent
from tests.unit.fake_airflow import TI, ApiServer, Store, context_of, reply
from tests.unit.sensors.modes import POLL, _run, handle, make_sensor, rebuilt, running, wait

pytestmark = pytest.mark.usefixtures("connection", "run_outside_of_airflow")


@pytest.mark.parametrize("mode", ["reschedule", "reschedule without a store"])
def test_the_initial_delay_passes_once(api: ApiServer, mode: str) -> None:
    api.respond_to(POLL, running(), running(), reply({"status": "done"}))
    ti = TI()
    assert wait(mode, ti, initial_delay=1, poke_interval=0.02).returned == "j-1"
    assert [pause > 0.5 for pause in ti.pauses] == [True, False, False]
    assert api.count(POLL) == 3


def test_what_an_earlier_try_has_stored_does_not_count(api: ApiServer) -> None:
    api.respond_to(POLL, reply(status=503), reply({"status": "done"}))
    sensor = make_sensor("reschedule", max_consecutive_errors=3, initial_delay=0.1)
    store = Store(asyncapi_poke={"errors": 2, "handle": handle("running") | {"identifier": "other"}})
    ti = TI()
    ti.first_poke = time.time() - 1
    with pytest.raises(AirflowRescheduleException):
        sensor.execute(context_of(ti, task_reschedule_count=1, task_state_store=store))
    assert store["asyncapi_poke"]["errors"] == 1
    assert api.count(POLL) == 1


def test_the_deadline_is_fixed_once_for_all_tries_of_one_wait(api: ApiServer) -> None:
    api.respond_to(POLL, running())
    api.respond_to("GET /jobs/j-2", running())

    def deadline(store: Store | None, *, job: str = "j-1", max_tries: int = 0) -> float:
        ti = TI()
        ti.max_tries = max_tries
        with pytest.raises(TaskDeferred) as deferral:
            make_sensor("deferred", job=job).execute(
                context_of(ti, **({} if store is None else {"task_state_store": store}))
            )
        return float(deferral.value.trigger.wait.deadline)

    store = Store()
    first = deadline(store)
    assert first - 20 <= time.time()
    assert deadline(store) == first
    assert deadline(store, max_tries=1) > first
    other = deadline(store, job="j-2")
    assert other > first
    assert deadline(store, job="j-2") == other
    assert deadline(None) < deadline(None)


def deadline_of_poke(store: Store, ti: TI, pokes: int = 0, **given: Any) -> float:
    with contextlib.suppress(AirflowRescheduleException):
        make_sensor("reschedule", **given).execute(
            context_of(ti, task_reschedule_count=pokes, task_state_store=store, retries=2)
        )
    return parse_time(ti.xcoms[WAIT_KEY]["deadline"]) or 0.0


def test_in_reschedule_mode_too_the_deadline_is_the_same_for_all_pokes_and_tries_until_a_clear(api: ApiServer) -> None:
    api.respond_to(POLL, running())
    store, ti = Store(), TI()
    ti.max_tries = 2
    first = deadline_of_poke(store, ti)
    ti.first_poke = first - 20
    assert deadline_of_poke(store, ti, pokes=1) == first
    # Airflow knows no pokes of an earlier try.
    ti.try_number, ti.first_poke = 2, None
    assert deadline_of_poke(store, ti) == first
    ti.first_poke = time.time()
    assert deadline_of_poke(store, ti, pokes=1) == first
    ti.max_tries = 4
    assert deadline_of_poke(store, ti) > first


@pytest.mark.parametrize("mode", ["deferred", "poke", "reschedule"])
def test_a_retry_after_the_deadline_polls_once_more_and_ends(api: ApiServer, mode: str) -> None:
    api.respond_to(POLL, running())
    store, ti = Store(), TI()
    store["asyncapi_began"] = {"identifier": "j-1", "generation": 0, "at": time.time() - 30}
    sensor = make_sensor(mode)
    with pytest.raises((exceptions.AsyncApiTimeout, TaskDeferred)) as ended:
        sensor.execute(context_of(ti, task_state_store=store))
    if isinstance(ended.value, TaskDeferred):
        event = asyncio.run(_run(rebuilt(ended.value.trigger)))
        assert event["error"]["kind"] == "DeadlineExceededError"
    assert api.count(POLL) == 1


@pytest.mark.parametrize("mode", ["deferred", "poke", "reschedule"])
def test_no_last_poll_is_made_at_the_deadline_that_retry_after_forbids(api: ApiServer, mode: str) -> None:
    api.respond_to(POLL, reply({"status": "running"}, retry_after="30"))
    outcome = wait(mode, timeout=0.5)
    assert isinstance(outcome.error, exceptions.AsyncApiTimeout)
    assert api.count(POLL) == 1


@pytest.mark.parametrize("mode", ["deferred", "poke"])
def test_an_execution_timeout_ends_each_try_like_the_deadline_of_the_wait(api: ApiServer, mode: str) -> None:
    api.respond_to(POLL, running())
    api.respond_to("POST /jobs/j-1/cancel", reply(status=202))
    cancel = {"endpoint": "/jobs/{identifier}/cancel"}
    outcome = wait(mode, execution_timeout=timedelta(seconds=0.5), cancel=cancel, poke_interval=0.1, timeout=20)
    assert isinstance(outcome.error, exceptions.AsyncApiTimeout)
    assert api.count("POST /jobs/j-1/cancel") == 1
    assert api.count(POLL) <= 10, "of some two hundred until the timeout"


def test_an_execution_timeout_begins_anew_with_each_try_and_never_comes_after_the_deadline(api: ApiServer) -> None:
    api.respond_to(POLL, running())

    def deadline(began: float, execution_timeout: float | None) -> float:
        store = Store(asyncapi_began={"identifier": "j-1", "generation": 0, "at": began})
        limit = None if execution_timeout is None else timedelta(seconds=execution_timeout)
        with pytest.raises(TaskDeferred) as deferral:
            make_sensor("deferred", execution_timeout=limit, timeout=100).execute(
                context_of(TI(), task_state_store=store)
            )
        return float(deferral.value.trigger.wait.deadline)

    now = time.time()
    assert deadline(now - 50, None) == pytest.approx(now + 50)
    assert now + 10 <= deadline(now - 50, 10) < now + 50
    assert deadline(now - 50, 90) == pytest.approx(now + 50)


def test_in_reschedule_mode_an_execution_timeout_is_that_of_a_poke(api: ApiServer) -> None:
    api.respond_to(POLL, running())
    shorter = deadline_of_poke(Store(), TI(), execution_timeout=timedelta(seconds=1))
    assert shorter > time.time() + 15


@pytest.mark.skipif(not HAS_TRIGGER_ON_KILL, reason="needs Airflow 3.3")
@pytest.mark.parametrize("identifier", ["j-1", "j-2"])
def test_a_retry_has_the_deadline_of_a_wait_that_began_in_the_triggerer(api: ApiServer, identifier: str) -> None:
    api.respond_to(POLL, running())
    sensor = make_sensor("deferred", start_from_trigger=True, timeout=100)
    store, ti, began_at = Store(), TI(), time.time() - 50
    ti.max_tries = 1
    failed = replace(WaitEvent.of_error(RequestRejectedError("no"), JobHandle(identifier)), began_at=began_at).dump()
    with pytest.raises(AirflowException, match="no"):
        sensor.resume_execution("execute_complete", {"event": failed}, context_of(ti, task_state_store=store))
    ti.try_number = 2
    event = WaitEvent.of_begin("this is try 2").dump()
    with pytest.raises(TaskDeferred) as deferral:
        sensor.resume_execution("execute_complete", {"event": event}, context_of(ti, task_state_store=store))
    deadline = deferral.value.trigger.wait.deadline
    if identifier == "j-1":
        assert deadline == began_at + 100
    else:
        # The job that was waited for then is another one.
        assert deadline > began_at + 140
