"""In each mode a stalled job fails the task, a late one calls on_warning_callback once, and the job's log is shown."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core.effects import Log
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.monitoring.xcoms import WAIT_KEY
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from airflow_provider_asyncapi.tasks.without_worker import why_unsupported_start
from airflow_provider_asyncapi.triggers.asyncapi import AsyncApiJobTrigger
from tests.unit.fake_airflow import TI, ApiServer, Store, context_of, reply
from tests.unit.sensors.modes import MODES, POLL, make_sensor, rebuilt, running, wait

pytestmark = pytest.mark.usefixtures("connection", "run_outside_of_airflow")


@pytest.mark.parametrize("mode", MODES[:3])
def test_a_job_that_makes_no_progress_fails_the_task_and_is_cancelled(api: ApiServer, mode: str) -> None:
    api.respond_to(POLL, running())
    api.respond_to("DELETE /jobs/j-1", reply(status=204))
    outcome = wait(mode, stall_timeout=0.35, cancel={"method": "DELETE", "endpoint": "/jobs/{identifier}"})
    assert type(outcome.error) is exceptions.AsyncApiJobStalled
    assert isinstance(outcome.error, exceptions.AsyncApiTimeout)
    assert "longer than stall_timeout allows" in str(outcome.error)
    assert api.count("DELETE /jobs/j-1") == 1


@pytest.mark.parametrize("mode", MODES[:3])
def test_the_callback_is_called_once_with_the_context_and_the_job(api: ApiServer, mode: str) -> None:
    api.respond_to(POLL, *[running()] * 4, reply({"status": "done"}))
    called: list[Any] = []

    def fail(_: Any) -> None:
        raise RuntimeError("the pager is away")

    outcome = wait(mode, poke_interval=0.1, warn_after=0.15, on_warning_callback=[fail, called.append])
    assert outcome.error is None, "a callback that fails changes nothing"
    assert [(context["job"]["identifier"], context["ti"].task_id) for context in called] == [("j-1", "wait")]
    assert "warned_at" in outcome.xcoms[WAIT_KEY]


@pytest.mark.parametrize("mode", MODES[:3])
def test_each_line_of_the_log_of_the_job_is_shown_once(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    lines: list[str] = []
    log = SimpleNamespace(log=lambda _level, _format, message: lines.append(message))
    monkeypatch.setattr(AsyncApiJobTrigger, "logger", lambda _: log)
    monkeypatch.setattr(
        AsyncApiHook, "log_events", lambda _, event: lines.append(event.message) if isinstance(event, Log) else None
    )
    texts = ["one\n", "one\ntwo\n", "one\ntwo\n"]
    api.respond_to(POLL, *[running(logs=text) for text in texts], reply({"status": "done", "logs": "one\ntwo\nthree"}))
    assert wait(mode, logs="logs").error is None
    assert [line for line in lines if line.startswith("log | ")] == ["log | one", "log | two", "log | three"]


def test_before_airflow_3_3_reschedule_mode_does_not_warn_at_each_poke(api: ApiServer) -> None:
    api.respond_to(POLL, *[running()] * 4, reply({"status": "done"}))
    called: list[Any] = []
    outcome = wait("reschedule without a store", warn_after=0.15, on_warning_callback=called.append)
    assert (outcome.error, called) == (None, [])
    assert "warned_at" not in outcome.xcoms[WAIT_KEY]


def test_a_warning_that_is_due_at_the_first_poll_needs_no_trigger(api: ApiServer) -> None:
    api.respond_to(POLL, running())
    ti, called, store = TI(), list[Any](), Store()
    store["asyncapi_began"] = {"identifier": "j-1", "generation": 0, "at": time.time() - 10}
    sensor = make_sensor("deferred", warn_after=5, on_warning_callback=called.append)
    with pytest.raises(TaskDeferred) as deferral:
        sensor.execute(context_of(ti, task_state_store=store))
    assert len(called) == 1
    assert "resume_on_warning" not in deferral.value.trigger.serialize()[1]


def test_the_trigger_of_a_task_without_callback_goes_on_after_the_warning(api: ApiServer) -> None:
    api.respond_to(POLL, *[running()] * 5, reply({"status": "done"}))
    with pytest.raises(TaskDeferred) as deferral:
        make_sensor("deferred", warn_after=0.2).execute(context_of(TI()))
    trigger = rebuilt(deferral.value.trigger)

    async def collect() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    assert [event["status"] for event in asyncio.run(collect())] == ["success"]


def test_the_one_task_calls_back_too(api: ApiServer) -> None:
    api.respond_to("POST /jobs", reply({"id": "j-1"}))
    api.respond_to(POLL, *[running()] * 4, reply({"status": "done"}))
    called: list[Any] = []
    operator = AsyncApiJobOperator(
        task_id="job",
        submit={"endpoint": "/jobs", "identifier": "id"},
        status={
            "endpoint": "/jobs/{identifier}",
            "completion_key": "status",
            "completion_value": "done",
            "poke_interval": 0.1,
            "warn_after": 0.15,
        },
        on_warning_callback=called.append,
    )
    operator.execute(context_of(TI()))
    assert len(called) == 1


def test_a_wait_with_a_callback_for_warnings_begins_on_a_worker() -> None:
    sensor: Any = make_sensor("deferred", warn_after=5, on_warning_callback=print, endpoint="/jobs/7")
    reason = why_unsupported_start(sensor)
    assert reason is not None
    assert "on_warning_callback" in reason or "before 3.3" in reason


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"on_warning_callback": "page", "warn_after": 5}, "has to be a callable, or a list of them, not str"),
        ({"on_warning_callback": [print, 5], "warn_after": 5}, "has to be a callable, or a list of them, not int"),
        ({"on_warning_callback": print}, "is never called without warn_after"),
        ({"stall_timeout": 0}, "stall_timeout: has to be longer than 0 s"),
        ({"logs": {"endpoint": "/log", "texts": "x"}}, "logs: unknown key 'texts'"),
    ],
)
def test_invalid_parameters_are_refused_when_the_dag_is_parsed(given: dict[str, Any], message: str) -> None:
    status: dict[str, Any] = {"endpoint": "/jobs/{identifier}", "completion_key": "status", "completion_value": "done"}
    with pytest.raises(ConfigurationError, match=message):
        AsyncApiSensor(task_id="wait", job="j-1", **status, **given)
    callback = {name: given.pop(name) for name in list(given) if name == "on_warning_callback"}
    with pytest.raises(ConfigurationError, match=message):
        AsyncApiJobOperator(
            task_id="job", submit={"endpoint": "/jobs", "identifier": "id"}, status={**status, **given}, **callback
        )


def test_a_request_for_the_log_names_known_variables_and_no_secrets() -> None:
    def make(**logs: Any) -> AsyncApiJobOperator:
        status = {"endpoint": "/jobs/{identifier}", "completion_key": "status", "completion_value": "done"}
        submit = {"endpoint": "/jobs", "identifier": "id", "variables": {"flow": "orders"}}
        given = {**status, "capture": {"log_url": "log"}, "logs": logs}
        return AsyncApiJobOperator(task_id="job", submit=submit, status=given, deferrable=True)

    make(endpoint="{log_url}?flow={flow}&after={log_cursor}", cursor="next")
    with pytest.raises(ConfigurationError, match=r"logs\.endpoint: .*nothing sets the variable {idntifier}"):
        make(endpoint="/log/{idntifier}")
    with pytest.raises(ConfigurationError, match=r"logs\.headers: 'X-Token' looks like a secret"):
        make(endpoint="/log", headers={"X-Token": "abcdefgh"})
