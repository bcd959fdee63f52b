"""A callback ends the wait in each mode, and is heard once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException, TaskDeferred

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core.callbacks.calls import ReceivedCallback, dump_callbacks, make_task_key
from airflow_provider_asyncapi.monitoring.xcoms import AWAITED_KEY, CALLS_KEY
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from airflow_provider_asyncapi.triggers.events import WaitEvent
from tests.unit.fake_airflow import TI, ApiServer, context_of, reply
from tests.unit.recorded_calls import recorded
from tests.unit.sensors.modes import MODES, POLL, make_sensor, rebuilt, running, wait

pytestmark = [
    pytest.mark.usefixtures("connection", "run_outside_of_airflow"),
    pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning"),
]

SUBMITTER = {"dag_id": "dag", "run_id": "run", "task_id": "submit", "map_index": -1}
JOB = {"version": 1, "identifier": "j-1", "outcome": "running", "task": SUBMITTER}
ALONE: dict[str, Any] = dict.fromkeys(
    ("endpoint", "completion_key", "completion_value", "failure_value", "no_data_value")
)


def says(body: str, number: int = 0, **more: Any) -> ReceivedCallback:
    return ReceivedCallback(str(number), 0.0, "application/json", body.encode(), **more)


RUNNING, DONE, FAILED = (says(f'{{"status": "{word}"}}') for word in ("running", "done", "failed"))


def called(ti: TI, *calls: ReceivedCallback) -> TI:
    """Have these callbacks in Airflow's database."""
    ti.pulled[CALLS_KEY] = dump_callbacks(list(calls))
    return ti


def deferral_of(ti: TI, **given: Any) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        make_sensor("deferred", **{"job": JOB, "callback": True, **given}).execute(context_of(ti))
    return caught.value


def resumed(ti: TI, deferral: TaskDeferred, *, keeps_kwargs: bool = True, **given: Any) -> Any:
    """Go on as after a callback; `dag.test()` loses what was deferred with."""
    kwargs = (deferral.kwargs or {}) if keeps_kwargs else {}
    sensor = make_sensor("deferred", **{"job": JOB, "callback": True, **given})
    return sensor.resume_execution(
        deferral.method_name, {**kwargs, "event": WaitEvent.of_callback().dump()}, context_of(ti)
    )


def state_of(deferral: TaskDeferred) -> Any:
    return rebuilt(deferral.trigger).wait.dump()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("given", [{}, ALONE], ids=["beside polls", "alone"])
def test_a_callback_that_is_there_already_ends_the_wait_without_a_request(
    api: ApiServer, mode: str, given: dict[str, Any]
) -> None:
    ti = called(TI(), DONE)
    assert make_sensor(mode, job=JOB, callback=True, **given).execute(context_of(ti)) == "j-1"
    assert (ti.xcoms["job"]["outcome"], ti.xcoms["job"]["call"]) == ("success", 0)
    assert not api.requests


@pytest.mark.parametrize("mode", MODES)
def test_a_poll_ends_the_wait_where_no_callback_comes(api: ApiServer, mode: str) -> None:
    api.respond_to(POLL, running(), reply({"status": "done"}))
    outcome = wait(mode, job=JOB, callback=True)
    assert outcome.returned == "j-1"
    assert outcome.xcoms["job"]["call"] is None


@pytest.mark.parametrize("mode", MODES)
def test_without_a_status_request_the_deadline_ends_a_wait_for_nothing(api: ApiServer, mode: str) -> None:
    outcome = wait(mode, job=JOB, callback=True, timeout=0.5, **ALONE)
    assert type(outcome.error) is exceptions.AsyncApiTimeout
    assert "hasn't called back by the deadline" in str(outcome.error)
    assert not api.requests


@pytest.mark.parametrize("mode", MODES)
def test_a_callback_says_that_the_job_failed(mode: str) -> None:
    outcome = wait(mode, called(TI(), FAILED), job=JOB, callback=True)
    assert type(outcome.error) is exceptions.AsyncApiJobFailed
    assert type(wait(mode, called(TI(), FAILED), job=JOB, callback=True, soft_fail=True).error) is AirflowSkipException


def test_a_task_that_defers_says_where_its_callbacks_are_awaited(api: ApiServer) -> None:
    api.respond_to(POLL, running())
    ti = TI()
    deferral = deferral_of(ti)
    assert ti.xcoms[AWAITED_KEY + make_task_key(SUBMITTER)] == {"task_instance": ti.id, "heard": 0}
    assert state_of(deferral)["heard"] == 0
    assert deferral.kwargs == {"job_url": "", "wait": state_of(deferral)}


def test_a_task_that_awaits_none_says_nothing_and_keeps_no_state(api: ApiServer) -> None:
    api.respond_to(POLL, running())
    ti = TI()
    deferral = deferral_of(ti, callback=False)
    assert not [key for key in ti.xcoms if key.startswith(AWAITED_KEY)]
    assert deferral.kwargs == {"job_url": ""}


@pytest.mark.parametrize("keeps_kwargs", [True, False])
@pytest.mark.parametrize("given", [{}, ALONE], ids=["beside polls", "alone"])
def test_a_callback_resumes_a_deferred_task_and_ends_its_wait(
    api: ApiServer, given: dict[str, Any], keeps_kwargs: bool
) -> None:
    api.respond_to(POLL, running())
    ti = TI()
    deferral, polls = deferral_of(ti, **given), api.count(POLL)
    assert resumed(called(ti, DONE), deferral, keeps_kwargs=keeps_kwargs, **given) == "j-1"
    assert ti.xcoms["job"]["call"] == 0
    assert api.count(POLL) == polls


def test_news_of_a_running_job_are_shown_and_the_task_is_deferred_again(api: ApiServer) -> None:
    api.respond_to(POLL, running())
    ti = TI()
    first = deferral_of(ti, poke_interval=500, progress="percent", timeout=1000)
    news = says('{"status": "running", "percent": 40}')
    with pytest.raises(TaskDeferred) as caught:
        resumed(called(ti, news), first, poke_interval=500, progress="percent", timeout=1000)
    before, after = state_of(first), state_of(caught.value)
    assert (after["heard"], after["polls"], after["handle"]["progress"]) == (1, 1, 0.4)
    assert after["deadline"] == before["deadline"]
    assert after["next_poll"] >= before["next_poll"]
    assert ti.xcoms[AWAITED_KEY + make_task_key(SUBMITTER)]["heard"] == 1
    assert ti.xcoms["job"]["progress"] == 0.4
    assert api.count(POLL) == 1
    # What was heard isn't heard again.
    assert resumed(called(ti, FAILED, DONE), caught.value, poke_interval=500) == "j-1"
    assert ti.xcoms["job"]["call"] == 1


def test_a_hint_polls_once_and_waits_on(api: ApiServer) -> None:
    hint: dict[str, Any] = {"callback": "hint", "poke_interval": 500, "timeout": 1000}
    api.respond_to(POLL, running(), running(), reply({"status": "done"}))
    ti = TI()
    first = deferral_of(ti, **hint)
    assert api.count(POLL) == 1
    with pytest.raises(TaskDeferred) as caught:
        resumed(called(ti, FAILED), first, **hint)
    assert api.count(POLL) == 2
    assert state_of(caught.value)["heard"] == 1
    assert resumed(called(ti, FAILED, FAILED), caught.value, **hint) == "j-1"
    assert api.count(POLL) == 3
    assert ti.xcoms["job"]["call"] is None


def test_a_deferred_task_goes_on_after_the_trigger_has_seen_the_callback(api: ApiServer, supervisor: Any) -> None:
    api.respond_to(POLL, running())
    ti = TI()
    deferral = deferral_of(ti, poke_interval=500)
    called(ti, DONE)
    event = asyncio.run(first_event(deferral, supervisor, ti))
    if event is None:
        pytest.skip("before Airflow 3.2 a trigger can't ask")
    assert event["status"] == "callback"
    assert resumed(ti, deferral) == "j-1"


async def first_event(deferral: TaskDeferred, supervisor: Any, ti: TI) -> Any:
    supervisor.xcoms.update(ti.pulled)
    try:
        async with asyncio.timeout(5):
            async for event in rebuilt(deferral.trigger).run():
                return event.payload
    except TimeoutError:
        return None


def test_a_large_callback_is_read_from_its_file(tmp_path: Any) -> None:
    (tmp_path / "body").write_bytes(DONE.body)
    large = ReceivedCallback("a", 0.0, "application/json", path=(tmp_path / "body").as_uri())
    ti = called(TI(), large)
    assert make_sensor("poke", job=JOB, callback=True).execute(context_of(ti)) == "j-1"


def test_pokes_hear_each_callback_once(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    api.respond_to(POLL, running(), running(), running(), reply({"status": "done"}))
    lines: list[str] = []
    monkeypatch.setattr(AsyncApiSensor, "execute", told(lines, AsyncApiSensor.execute))
    assert wait("reschedule", called(TI(), RUNNING), job=JOB, callback=True).returned == "j-1"
    assert [line for line in lines if "according to a callback" in line] == [
        "Job j-1 has status running, according to a callback; waiting on"
    ]


def told(lines: list[str], method: Any) -> Any:
    def waiting(sensor: AsyncApiSensor, *arguments: Any, **more: Any) -> Any:
        log = sensor.hook.log_events
        sensor.hook.log_events = recorded(log, lines, lambda event: getattr(event, "message", ""))
        return method(sensor, *arguments, **more)

    return waiting


@pytest.mark.parametrize("mode", MODES)
def test_who_has_submitted_has_to_be_known(mode: str) -> None:
    outcome = wait(mode, job="j-1", callback=True)
    assert type(outcome.error) is exceptions.AsyncApiConfigurationError
    assert "pass the job handle (job=submit.handle)" in str(outcome.error)


def test_calls_that_another_version_has_kept_are_an_error() -> None:
    ti = TI()
    ti.pulled[CALLS_KEY] = {"calls": [{"from": "the future"}]}
    outcome = wait("poke", ti, job=JOB, callback=True)
    assert "the stored callbacks can't be read" in str(outcome.error)
