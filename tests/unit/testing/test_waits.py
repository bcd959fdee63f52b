"""Each pause of this package passes at once, and moves the clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from airflow.exceptions import AirflowRescheduleException
from airflow.sdk import DAG

from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.job import async_api_job
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from airflow_provider_asyncapi.testing import FakeJobApi, skip_waits
from airflow_provider_asyncapi.testing.fake_api import PROFILE
from tests.unit.fake_airflow import ApiServer, OwnTI, Store, Supervisor, context_of, reply
from tests.unit.task_tries import run_try
from tests.unit.triggers.test_asset_watcher import rebuild

Start = Callable[..., FakeJobApi]
TWO_JOBS = [["running", "failed"], ["running", "done"]]
DAY = 86_400
MODES = ("poke", "deferred", "reschedule")

pytestmark = pytest.mark.usefixtures("run_outside_of_airflow")


@contextmanager
def passing(seconds: float, *, tolerance: float = 120) -> Iterator[None]:
    """Check that a time has passed on the clock, and hardly any of it in fact."""
    # time-machine 2 moves the monotonic clock, too.
    clock, steady = time.time(), time.perf_counter()
    yield
    assert time.time() - clock == pytest.approx(seconds, abs=tolerance)
    assert time.perf_counter() - steady < min(60, seconds)


def make_job(mode: str) -> AsyncApiJobOperator:
    with DAG("dag", schedule=None):
        return AsyncApiJobOperator(
            task_id="export",
            submit=PROFILE["submit"],
            status={**PROFILE["status"], "timeout": 3 * DAY, "poke_interval": 30},
            fetch=PROFILE["fetch"],
            resubmit=1,
            resubmit_delay=DAY,
            resubmit_on=[{"selector": "error.code", "in": ["QUOTA"]}],
            deferrable=mode == "deferred",
        )


@pytest.mark.parametrize("mode", ["poke", "deferred"])
def test_the_delay_before_the_next_job_of_a_task(asyncapi_fake: Start, mode: str) -> None:
    api, ti, store = asyncapi_fake(TWO_JOBS, rows=[1], error={"code": "QUOTA"}), OwnTI(), Store()
    with passing(DAY):
        assert run_try(lambda: make_job(mode), lambda: context_of(ti, task_state_store=store)) == [1]
    assert api.polls == {"1": 2, "2": 2}


def make_wait(mode: str) -> AsyncApiSensor:
    modes = {"deferrable": mode == "deferred", "mode": "reschedule" if mode == "reschedule" else "poke"}
    with DAG("dag", schedule=None):
        status = {**PROFILE["status"], "timeout": 3 * DAY, "poke_interval": 30, **modes, "job": "1"}
        return async_api_job("job", submit=PROFILE["submit"], status=status, resubmit=1, resubmit_delay=DAY).wait


@pytest.mark.parametrize("mode", MODES)
def test_the_delay_before_the_next_job_of_a_task_group(asyncapi_fake: Start, mode: str) -> None:
    api, ti, store = asyncapi_fake(TWO_JOBS), OwnTI(), Store()
    with AsyncApiHook() as hook:
        hook.submit_job(**PROFILE["submit"])

    def poke() -> Any:
        context = {"task_state_store": store, "task_reschedule_count": len(ti.pauses)}
        return run_try(lambda: make_wait(mode), lambda: context_of(ti, **context))

    returned = None
    with passing(DAY):
        while returned is None:
            try:
                returned = poke()
            except AirflowRescheduleException as pause:
                ti.pauses.append(pause.reschedule_date.timestamp() - time.time())
                ti.first_poke = ti.first_poke or time.time()
    assert returned == "2"
    assert api.polls == {"1": 2, "2": 2}
    # Each next poke is due at once.
    assert len(ti.pauses) == (3 if mode == "reschedule" else 0)
    assert all(pause <= 0 for pause in ti.pauses)


def test_the_first_poll_and_the_retries_of_a_submit(asyncapi_fake: Start) -> None:
    asyncapi_fake(["done"], errors={1: 503, 2: 503}, retry_after=600)
    with passing(2 * 600 + DAY), AsyncApiHook() as hook:
        job = hook.submit_job(**PROFILE["submit"], headers={"Idempotency-Key": "{idempotency_key}"})
        hook.wait_for_job(job, **PROFILE["status"], initial_delay=DAY, timeout=2 * DAY)


@pytest.mark.parametrize("driver", ["requests", "aiohttp"])
def test_a_rate_limit_moves_the_clock_by_the_time_that_its_requests_take(
    monkeypatch: pytest.MonkeyPatch, driver: str
) -> None:
    async def poll() -> None:
        async with AsyncApiHook() as hook:
            await hook.await_for_job("1", **PROFILE["status"], poke_interval=1)

    with FakeJobApi([*["running"] * 19, "done"]) as api, skip_waits():
        monkeypatch.setenv("AIRFLOW_CONN_ASYNCAPI_DEFAULT", api.make_connection(extra={"requests_per_second": 0.01}))
        api.polls["1"] = 0
        with passing(19 * 100, tolerance=60):
            if driver == "aiohttp":
                asyncio.run(poll())
            else:
                with AsyncApiHook() as hook:
                    hook.wait_for_job("1", **PROFILE["status"], poke_interval=1)


def test_the_polls_and_the_errors_of_an_event_trigger(api: ApiServer, connection: None, supervisor: Supervisor) -> None:
    one, two = ({"orders": [{"id": each} for each in range(number)]} for number in (1, 2))
    api.respond_to("GET /orders", reply(one), reply(one), reply({}, 404), reply(two))

    async def find_first_event() -> Any:
        return await anext(rebuild(poke_interval=DAY).run())

    with skip_waits(), passing(3 * DAY):
        event = asyncio.run(find_first_event())
    assert [each["values"] for each in event.payload["items"]] == [{"order": 1}]
