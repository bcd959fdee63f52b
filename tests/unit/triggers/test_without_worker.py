"""The trigger begins a wait that Airflow's scheduler has given it, and ends one where the sensor may do without."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.triggers.base import TaskSuccessEvent

from airflow_provider_asyncapi.airflow_private.versions import HAS_TRIGGER_ON_KILL
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.triggers import asyncapi as triggers
from airflow_provider_asyncapi.triggers import beginning
from airflow_provider_asyncapi.triggers.asyncapi import AsyncApiJobTrigger
from airflow_provider_asyncapi.triggers.events import WaitEvent
from tests.unit.fake_airflow import ApiServer, Supervisor, reply

pytestmark = [
    pytest.mark.usefixtures("connection"),
    pytest.mark.skipif(not HAS_TRIGGER_ON_KILL, reason="needs Airflow 3.3"),
]

POLL = "GET /jobs/j-1"
SPEC: dict[str, Any] = {
    "endpoint": "/jobs/{identifier}",
    "completion_key": "status",
    "completion_value": "done",
    "no_data_value": "empty",
    "failure_value": "failed",
    "poke_interval": 0.1,
}
HANDLE = JobHandle("j-1").dump()
DONE = reply({"status": "done", "result": 7})


def trigger(
    *, begin: dict[str, Any] | None = None, end: bool = True, try_number: int = 1, **spec: Any
) -> AsyncApiJobTrigger:
    now = time.time()
    begins = {"timeout": 20.0, "airflow_timeout": 1000.0, "names_profile": False}
    made = AsyncApiJobTrigger(
        asyncapi_conn_id="asyncapi_default",
        spec={**SPEC, **spec},
        wait=WaitCheckpoint(JobHandle("j-1"), now, now + 20).dump() if begin is None else None,
        begin=None if begin is None else {**begins, **begin},
        end_from_trigger=end,
    )
    rebuilt = AsyncApiJobTrigger(**made.serialize()[1])
    task: Any = SimpleNamespace(
        id="first", dag_id="dag", run_id="run", task_id="wait", map_index=-1, try_number=try_number
    )
    rebuilt.task_instance = task
    rebuilt.timeout_after = datetime.fromtimestamp(now + 1000, UTC)
    return rebuilt


def event_of(waiting: AsyncApiJobTrigger) -> Any:
    async def run() -> Any:
        (event,) = [event async for event in waiting.run()]
        return event

    return asyncio.run(run())


def pushed(supervisor: Supervisor) -> list[tuple[str, Any]]:
    return [(each.key, each.value) for each in supervisor.of_kind("SetXCom")]


# Ending


def test_a_wait_that_ends_well_pushes_what_the_sensor_would_and_ends_the_task(
    api: ApiServer, supervisor: Supervisor
) -> None:
    api.respond_to(POLL, reply({"status": "running"}), DONE)
    assert isinstance(event_of(trigger()), TaskSuccessEvent)
    *_, (key, handle), returned = pushed(supervisor)
    assert (key, handle["identifier"], handle["outcome"], handle["progress"]) == ("job", "j-1", "success", 1.0)
    assert returned == ("return_value", "j-1")


def test_the_result_identifier_is_returned(api: ApiServer, supervisor: Supervisor) -> None:
    api.respond_to(POLL, DONE)
    event_of(trigger(result_identifier="result"))
    assert pushed(supervisor)[-1] == ("return_value", 7)


def test_no_late_push_of_progress_replaces_the_end(api: ApiServer, supervisor: Supervisor) -> None:
    supervisor.delay, supervisor.delayed = 0.3, {"SetXCom"}
    api.respond_to(POLL, reply({"status": "running"}), DONE)
    assert isinstance(event_of(trigger()), TaskSuccessEvent)
    outcomes = [value["outcome"] for key, value in pushed(supervisor) if key == "job"]
    assert outcomes == ["running", "success"]


def test_a_task_that_has_just_been_deferred_does_not_end_too_soon(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "SHORTEST_DEFERRAL", 0.5)
    api.respond_to(POLL, DONE)
    began = time.monotonic()
    event_of(trigger())
    assert time.monotonic() - began >= 0.5


@pytest.mark.parametrize(
    ("answer", "given"),
    [
        (reply({"status": "empty"}), {}),
        (reply({"status": "failed"}), {}),
        (DONE, {"end": False}),
        # Tasks may be mapped over it.
        (reply({"status": "done", "result": [1, 2]}), {"result_identifier": "result"}),
    ],
    ids=["no data", "failure", "not asked for", "a list"],
)
def test_any_other_end_is_for_a_worker(
    api: ApiServer, supervisor: Supervisor, answer: Any, given: dict[str, Any]
) -> None:
    api.respond_to(POLL, answer)
    event = event_of(trigger(**given))
    assert not isinstance(event, TaskSuccessEvent)
    assert event.payload["handle"]["identifier"] == "j-1"
    assert "return_value" not in dict(pushed(supervisor))


def test_in_a_test_of_the_dag_a_worker_ends_the_task(api: ApiServer) -> None:
    api.respond_to(POLL, DONE)
    waiting = trigger()
    waiting.task_instance = None
    assert event_of(waiting).payload["handle"]["outcome"] == "success"


def test_where_the_result_cannot_be_pushed_a_worker_ends_the_task(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> None:
        raise RuntimeError("the API server is away")

    monkeypatch.setattr("airflow_provider_asyncapi.triggers.xcom_publisher.write_xcom", away)
    api.respond_to(POLL, DONE)
    assert event_of(trigger()).payload["handle"]["outcome"] == "success"


# Beginning


def test_a_wait_that_begins_here_takes_the_job_from_the_xcom(api: ApiServer, supervisor: Supervisor) -> None:
    supervisor.xcoms["job"] = HANDLE
    api.respond_to(POLL, reply({"status": "running"}), DONE)
    assert isinstance(event_of(trigger(begin={"task_id": "submit", "key": "job"})), TaskSuccessEvent)
    asked, *_ = supervisor.of_kind("GetXCom")
    assert (asked.dag_id, asked.run_id, asked.task_id, asked.map_index, asked.key) == (
        "dag",
        "run",
        "submit",
        -1,
        "job",
    )
    # People see the job from the beginning.
    assert pushed(supervisor)[0] == ("job", HANDLE)


def test_a_wait_that_begins_here_need_not_wait_for_a_worker_to_be_gone(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "SHORTEST_DEFERRAL", 60.0)
    api.respond_to(POLL, DONE)
    began = time.monotonic()
    event_of(trigger(begin={"job": "j-1"}))
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("given", [{"job": {"version": 9}}, {"task_id": "submit", "key": "job"}])
def test_a_worker_tells_what_is_wrong_with_the_job(api: ApiServer, given: dict[str, Any]) -> None:
    event = event_of(trigger(begin=given))
    assert event.payload["message"].startswith("the triggerer can't read the job: job: ")
    assert not api.requests


def test_while_airflow_cannot_say_which_job_it_is_a_worker_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: Any) -> None:
        raise RuntimeError("the API server is away")

    monkeypatch.setattr(beginning, "read_xcom", away)
    event = event_of(trigger(begin={"task_id": "submit", "key": "job"}))
    assert event.payload == WaitEvent.of_begin("the triggerer can't read the job: the API server is away").dump()


def test_a_later_try_begins_on_a_worker(api: ApiServer) -> None:
    event = event_of(trigger(begin={"job": "j-1"}, try_number=2))
    assert event.payload == WaitEvent.of_begin("this is try 2").dump()
    assert not api.requests


@pytest.mark.parametrize("aware", [True, False])
def test_the_deadline_stays_where_airflow_began_however_often_the_trigger_is_started(
    api: ApiServer, aware: bool
) -> None:
    api.respond_to(POLL, reply({"status": "running"}))
    waiting = trigger(begin={"job": "j-1"})
    # Airflow started it 21 s ago, and it may take 20 s.
    moment = datetime.fromtimestamp(time.time() + 1000 - 21, UTC)
    waiting.timeout_after = moment if aware else moment.replace(tzinfo=None)
    event = event_of(waiting)
    assert event.payload["error"]["kind"] == "DeadlineExceededError"
    assert api.count(POLL) == 1
    # A worker keeps it for the next try.
    assert event.payload["began_at"] == pytest.approx(time.time() - 21, abs=10)


def test_the_connections_profile_fills_in_what_the_sensor_leaves_out(api: ApiServer, connect: Any) -> None:
    connect(extra={"profile": "http_202"})
    api.respond_to(POLL, reply({}, status=202, retry_after="0"), reply({"rows": []}))
    made = trigger(begin={"job": "/jobs/j-1"})
    made.spec = {"poke_interval": 0.1}
    assert isinstance(event_of(made), TaskSuccessEvent)


def test_the_connections_profile_does_not_count_where_the_sensor_names_one(api: ApiServer, connect: Any) -> None:
    connect(extra={"profile": "http_202"})
    made = trigger(begin={"job": "/jobs/j-1", "names_profile": True})
    made.spec = {"poke_interval": 0.1}
    assert event_of(made).payload["error"]["kind"] == "ConfigurationError"


@pytest.mark.parametrize("extra", [{"profile": "http_202"}, {}])
def test_what_the_connections_profile_sets_may_be_switched_off(extra: Any, api: ApiServer, connect: Any) -> None:
    connect(extra=extra)
    api.respond_to(POLL, DONE)
    made = trigger(begin={"job": "j-1"}, cancel=False, rules=False, result_identifier=False)
    assert isinstance(event_of(made), TaskSuccessEvent)
    assert not {"cancel", "rules", "result_identifier"} & made.spec.keys()


def test_a_secret_of_the_connection_is_refused_before_it_is_sent(api: ApiServer, connect: Any) -> None:
    connect(extra={"secrets": {"key": "k3y-of-tenant"}})
    event = event_of(trigger(begin={"job": "j-1"}, query_params={"sig": "k3y-of-tenant"}))
    assert "query_params: holds a secret" in event.payload["error"]["message"]
    assert not api.requests


def test_a_kill_before_the_job_is_known_cancels_nothing(api: ApiServer) -> None:
    asyncio.run(trigger(begin={"job": "j-1"}, cancel={"endpoint": "/jobs/{identifier}/cancel"}).on_kill())
    assert not api.requests


def test_the_repr_of_a_trigger_that_has_not_begun_knows_no_job() -> None:
    assert repr(trigger(begin={"job": "j-1"})) == "<AsyncApiJobTrigger asyncapi_default job=None>"
