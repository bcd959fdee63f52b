"""Deferred, in poke and in reschedule mode the sensor does the same; only who waits differs."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowSkipException,
    TaskDeferred,
)

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.airflow_private.versions import HAS_TRIGGER_ON_KILL
from airflow_provider_asyncapi.core import outcome as names
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.exceptions import AsyncApiJobFailed
from airflow_provider_asyncapi.monitoring import metrics
from airflow_provider_asyncapi.tasks import job_wait
from airflow_provider_asyncapi.triggers.events import WaitEvent
from tests.unit.fake_airflow import TI, ApiServer, Store, Supervisor, context_of, reply
from tests.unit.sensors.modes import MODES, POLL, make_sensor, running, wait

pytestmark = pytest.mark.usefixtures("connection", "run_outside_of_airflow")


@pytest.mark.parametrize("forgiving", [{}, {"soft_fail": True}, {"never_fail": True}])
def test_a_trigger_that_broke_fails_or_skips_the_task(forgiving: dict[str, Any]) -> None:
    with pytest.raises(AirflowException) as caught:
        make_sensor("deferred", **forgiving).resume_execution(
            "__fail__", {"error": "Trigger failure"}, context_of(TI())
        )
    assert isinstance(caught.value, AirflowSkipException) is bool(forgiving)


@pytest.mark.parametrize(
    "event",
    [
        *(None, {}, "done", {"error": "text"}, {"error": {"kind": "JobFailedError"}}, {"begin": 3}, {"called": False}),
        *({"status": "success", "message": "done"}, {"status": "success", "handle": {}}),
        *({"status": "error", "message": "no"}, {"status": "error", "message": "no", "error": "text"}),
        # As other providers' triggers yield them.
        *({"status": "failed", "message": "no", "handle": {}}, {"status": ["success"], "message": ""}),
        {"status": "success", "message": "done", "handle": {}, "version": "2"},
    ],
    ids=str,
)
def test_an_event_that_is_not_ours_is_an_error_and_no_success(event: Any) -> None:
    with pytest.raises(exceptions.AsyncApiRetryableException, match="event"):
        make_sensor("deferred").execute_complete(context_of(TI()), event)


def test_a_poke_is_rescheduled_no_sooner_than_the_scheduler_knows_of_its_end(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_wait, "SHORTEST_RESCHEDULE", 10.0)
    api.respond_to(POLL, reply(status=429, retry_after="1"))
    now = time.time()
    with pytest.raises(AirflowRescheduleException) as pause:
        make_sensor("reschedule").execute(context_of(TI(), task_state_store=Store()))
    assert pause.value.reschedule_date.timestamp() >= now + 10


def test_a_deferred_wait_begins_on_the_worker_and_goes_on_where_that_stopped(api: ApiServer) -> None:
    api.respond_to(POLL, running(percent=20))
    ti = TI()
    before = time.time()
    with pytest.raises(TaskDeferred) as deferral:
        make_sensor("deferred", progress="percent", poke_interval=30, timeout=600).execute(context_of(ti))
    state = deferral.value.trigger.wait.dump()
    assert (state["polls"], state["errors"], state["handle"]["progress"]) == (1, 0, 0.2)
    assert 30 <= state["next_poll"] - before < 60
    assert state["pause"] == 30
    assert ti.xcoms["job"]["progress"] == 0.2
    api.respond_to(POLL, reply({"status": "done"}))
    assert make_sensor("deferred").execute(context_of(ti)) == "j-1", "no triggerer is needed"
    asked = api.count(POLL)
    with pytest.raises(TaskDeferred) as deferral:
        make_sensor("deferred", initial_delay=30).execute(context_of(ti))
    assert deferral.value.trigger.wait.polls == 0
    assert api.count(POLL) == asked


@pytest.mark.parametrize("secret", [{"headers": {"X-Org-Key": "hunter2hunter2"}}, {"json": {"token": "{{ abc }}"}}])
def test_a_secret_in_the_request_is_refused_before_it_is_stored(connect: Any, secret: dict[str, Any]) -> None:
    connect(extra={"secrets": {"own": "hunter2hunter2"}})
    sensor = make_sensor("deferred", **secret)
    context: Any = {"abc": "rendered"}
    sensor.render_template_fields(context)
    with pytest.raises(exceptions.AsyncApiConfigurationError, match=next(iter(secret))):
        sensor.execute(context_of(TI()))


def test_a_request_that_cannot_be_made_is_told_before_the_triggerer_is_asked(connect: Any) -> None:
    connect()
    with pytest.raises(exceptions.AsyncApiConfigurationError, match=r"the variable \{shard\} isn't set"):
        make_sensor("deferred", endpoint="/jobs/{shard}").execute(context_of(TI()))


def test_a_wait_without_an_endpoint_asks_nobody(connect: Any) -> None:
    connect()
    for mode in ("deferred", "poke"):
        with pytest.raises(exceptions.AsyncApiConfigurationError, match="endpoint is missing"):
            make_sensor(mode, endpoint=None).execute(context_of(TI()))


def test_what_looks_like_a_secret_is_told_where_it_is_not_stored_with_a_trigger(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.respond_to(POLL, reply({"status": "done"}))
    sensor = make_sensor("poke", headers={"X-API-Key": "abc"})
    warnings: list[str] = []
    log = SimpleNamespace(log=lambda *_: None, warning=lambda text, *given: warnings.append(text % given))
    monkeypatch.setattr(type(sensor.hook), "log", log)
    sensor.execute(context_of(TI()))
    (warning,) = warnings
    assert warning.startswith("headers: 'X-API-Key' looks like a secret")
    assert "secret_headers" in warning


@pytest.mark.parametrize("mode", MODES)
def test_a_job_in_a_batch_ends_alike_in_all_modes(api: ApiServer, mode: str) -> None:
    batch = {"endpoint": "/jobs", "query_params": {"ids": "{identifiers}"}, "items": "jobs[*]", "id": "id"}
    asked = "GET /jobs?ids=j-1"
    item = {"id": "j-1", "status": "running"}
    api.respond_to(
        asked,
        reply({"jobs": [item]}),
        reply({}, 503),
        reply({"jobs": []}),
        reply({"jobs": [{**item, "status": "done"}]}),
    )
    api.respond_to(POLL, reply({"status": "running"}))
    outcome = wait(mode, batch=batch)
    assert outcome.error is None
    assert (outcome.returned, outcome.xcoms["job"]["status"]) == ("j-1", "done")
    assert (api.count(asked), api.count(POLL)) == (4, 1)


@pytest.mark.parametrize("mode", MODES)
def test_polls_are_counted_alike_in_all_modes(api: ApiServer, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []
    monkeypatch.setattr(metrics, "count", lambda name, conn_id, _=1: counted.append(f"{name} of {conn_id}"))
    api.respond_to(POLL, running(), reply({}, 503), reply({"status": "done"}))
    outcome = wait(mode)
    assert outcome.error is None
    name = make_sensor(mode).asyncapi_conn_id
    assert Counter(counted) == {f"asyncapi.polls of {name}": 3, f"asyncapi.poll_errors of {name}": 1}


@pytest.mark.parametrize("mode", ["deferred", "poke", "reschedule"])
def test_a_poke_is_one_poll_in_each_mode(api: ApiServer, mode: str) -> None:
    api.respond_to(POLL, running(), reply(status=503), reply({"status": "done"}), reply({"status": "failed"}))
    sensor, pokes = make_sensor(mode), []
    for _ in range(3):
        result = sensor.poke(context_of(TI()))
        pokes.append((result.is_done, result.xcom_value))
    assert pokes == [(False, None), (False, None), (True, "j-1")]
    with pytest.raises(AsyncApiJobFailed, match="has status failed"):
        sensor.poke(context_of(TI()))
    assert api.count(POLL) == 4


class Killed(BaseException):
    """Ends a task as Airflow does."""


def killed(api: ApiServer, *, last_try: bool = False) -> int:
    """Kill a sensor while it waits here; give how often its job was cancelled."""
    ti = TI()
    ti.try_number, ti.max_tries = 2, 1 if last_try else 2
    api.respond_to(POLL, running())
    api.respond_to("POST /jobs/j-1/cancel", reply(status=202))
    sensor = make_sensor("poke", cancel={"endpoint": "/jobs/{identifier}/cancel"})

    def kill(_: object) -> None:
        sensor.on_kill()
        raise Killed

    sensor.hook.get_conn()._sleep = kill
    with pytest.raises(Killed):
        sensor.execute(context_of(ti))
    return api.count("POST /jobs/j-1/cancel")


@pytest.mark.parametrize(
    ("state", "last_try", "cancels"),
    [
        ("failed", False, 1),
        ("success", False, 1),
        # The worker is stopped, or Airflow has heard no heartbeats.
        ("running", False, 0),
        ("running", True, 1),
        # It was cleared alone.
        ("restarting", True, 0),
        (RuntimeError("the API server is away"), True, 0),
    ],
)
def test_a_killed_sensor_cancels_the_job_that_it_waits_for_here_unless_another_try_wants_it(
    api: ApiServer, supervisor: Supervisor, state: Any, last_try: bool, cancels: int
) -> None:
    supervisor.task_states = {"run": {"wait": state}} if isinstance(state, str) else state
    assert killed(api, last_try=last_try) == cancels


@pytest.mark.parametrize("mode", ["deferred", "poke"])
def test_a_killed_sensor_that_does_not_wait_cancels_nothing(api: ApiServer, mode: str) -> None:
    make_sensor(mode, cancel={"endpoint": "/jobs/{identifier}/cancel"}).on_kill()
    assert not api.requests


def test_a_sensor_that_is_killed_before_its_parameters_are_rendered_says_nothing() -> None:
    make_sensor("poke", cancel="{{ params.cancel }}").on_kill()


@pytest.mark.parametrize("answer", [reply({"status": "done"}), reply({"status": "failed"})])
def test_connections_are_closed_whatever_the_outcome(api: ApiServer, answer: Any, monkeypatch: Any) -> None:
    api.respond_to(POLL, answer)
    sensor = make_sensor("poke")
    closed = []
    driver = sensor.hook.get_conn()
    monkeypatch.setattr(driver, "close", lambda: closed.append(driver))
    with contextlib.suppress(AirflowException):
        sensor.execute(context_of(TI()))
    assert closed == [driver]


@pytest.mark.skipif(not HAS_TRIGGER_ON_KILL, reason="needs Airflow 3.3")
def test_what_the_triggerer_could_not_begin_begins_on_a_worker_without_what_an_earlier_try_has_pushed(
    api: ApiServer, supervisor: Supervisor
) -> None:
    api.respond_to(POLL, running())
    sensor = make_sensor("deferred", start_from_trigger=True, end_from_trigger=True)
    ti = TI()
    event = WaitEvent.of_begin("this is try 2").dump()
    with pytest.raises(TaskDeferred) as deferral:
        sensor.resume_execution("execute_complete", {"event": event}, context_of(ti))
    deleted = {(each.task_id, each.key) for each in supervisor.of_kind("DeleteXCom")}
    assert deleted == {
        ("wait", key)
        for key in ("job", "job_url", "job_wait", "job_poll", "job_history", "return_value", "skipmixin_key")
    }
    assert ti.xcoms["job"]["status"] == "running"
    assert deferral.value.trigger.end_from_trigger is True


@pytest.mark.skipif(not HAS_TRIGGER_ON_KILL, reason="needs Airflow 3.3")
def test_a_store_that_is_away_does_not_change_how_a_wait_ends(api: ApiServer) -> None:
    class Away(Store):
        def get(self, *_: Any) -> Any:
            raise RuntimeError("the API server is away")

    event = replace(WaitEvent.of_success(JobHandle("j-1", outcome=names.Outcome.SUCCESS)), began_at=1.0).dump()
    context = context_of(TI(), task_state_store=Away())
    sensor = make_sensor("deferred", start_from_trigger=True)
    assert sensor.resume_execution("execute_complete", {"event": event}, context) == "j-1"


@pytest.mark.skipif(not HAS_TRIGGER_ON_KILL, reason="needs Airflow 3.3")
@pytest.mark.parametrize(
    ("given", "map_index", "said"),
    [
        ({"execution_timeout": timedelta(hours=1)}, -1, "it has an execution_timeout"),
        ({}, 0, "it is mapped"),
    ],
)
def test_a_worker_says_why_it_is_needed_to_begin(
    api: ApiServer, given: dict[str, Any], map_index: int, said: str
) -> None:
    api.respond_to(POLL, reply({"status": "done"}))
    sensor = make_sensor("deferred", start_from_trigger=True, **given)
    lines: list[str] = []
    sensor.log.info = lambda text, *parts: lines.append(text % parts)
    sensor.execute(context_of(TI(map_index)))
    assert lines == [f"start_from_trigger is set, but a worker is needed: {said}"]
