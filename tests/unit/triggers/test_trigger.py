from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.published_state import PublishedState
from airflow_provider_asyncapi.core.wait.summaries import PollSummary
from airflow_provider_asyncapi.hooks import clients
from airflow_provider_asyncapi.monitoring.xcoms import JOB_KEY, POLL_KEY, WAIT_KEY
from airflow_provider_asyncapi.triggers import asyncapi as triggers
from airflow_provider_asyncapi.triggers import lazy, xcom_publisher
from tests.unit.eventually import until
from tests.unit.fake_airflow import ApiServer, Supervisor, reply
from tests.unit.triggers.waits import POLL, SHOWS_PROGRESS, event_of, trigger, wait_of


def test_a_job_that_is_done_gives_its_handle(api: ApiServer, connection: None) -> None:
    api.respond_to(POLL, reply({"status": "running"}), reply({"status": "done"}))
    event = asyncio.run(event_of(trigger()))
    assert set(event) == {"version", "status", "message", "handle"}
    assert (event["status"], event["message"]) == ("success", "Job j-1: success")
    assert event["handle"]["outcome"] == "success"


def test_an_event_comes_late_enough_for_airflow_to_tell_it_from_the_deferral(
    api: ApiServer, connection: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "SHORTEST_DEFERRAL", 0.5)
    api.respond_to(POLL, reply({"status": "done"}))
    began = time.monotonic()
    asyncio.run(event_of(trigger()))
    assert time.monotonic() - began >= 0.5


def test_a_job_that_failed_gives_the_error_and_what_is_known_of_it(api: ApiServer, connection: None) -> None:
    api.respond_to(
        POLL, reply({"status": "running", "percent": 40}), reply({"status": "failed", "message": "out of rows"})
    )
    event = asyncio.run(event_of(trigger()))
    assert event["error"]["kind"] == "JobFailedError"
    assert event["status"] == "error"
    assert "out of rows" in event["message"]
    assert (event["error"]["job"], event["error"]["status_code"]) == ("j-1", 200)
    assert (event["handle"]["identifier"], event["handle"]["progress"]) == ("j-1", 0.4)


def test_a_connection_that_is_gone_is_an_event_and_no_crash(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "SHORTEST_DEFERRAL", 0.0)
    event = asyncio.run(event_of(trigger()))
    assert event["error"]["kind"] == "ConfigurationError"
    assert "asyncapi_default" in event["error"]["message"]


def test_a_half_filled_connection_is_an_event_that_names_the_field(connect: Any) -> None:
    connect(extra={"auth": "bearer"})
    message = asyncio.run(event_of(trigger()))["error"]["message"]
    assert "connection 'asyncapi_default'" in message
    assert "needs password" in message


def test_no_secret_is_in_arguments_event_or_repr(api: ApiServer, connect: Any) -> None:
    connect(password="hunter2hunter2", extra={"auth": "bearer", "headers": {"X-Org": "org-secret-1"}})
    api.respond_to(POLL, reply({"message": "bad token hunter2hunter2 for org-secret-1"}, 401))
    waiting = trigger()
    event = asyncio.run(event_of(waiting))
    assert event["error"]["kind"] == "AuthenticationError"
    for shown in (repr(waiting), repr(waiting.serialize()), repr(event)):
        assert "hunter2hunter2" not in shown
        assert "org-secret-1" not in shown
    assert api.requests[0].headers["Authorization"] == "Bearer hunter2hunter2"


def test_the_repr_names_the_job_and_not_its_request() -> None:
    assert repr(trigger(query_params={"a": "b"})) == "<AsyncApiJobTrigger asyncapi_default job=j-1>"


def test_after_a_restart_the_polls_that_there_was_time_for_count(api: ApiServer, connection: None) -> None:
    api.respond_to(POLL, reply({"status": "running"}))
    waiting = trigger(started_at=time.time() - 1000, deadline=time.time() + 2, max_iterations=5, poke_interval=100)
    event = asyncio.run(event_of(waiting))
    assert event["error"]["kind"] == "DeadlineExceededError"
    assert api.count(POLL) == 1


def test_a_fresh_wait_makes_all_its_polls_however_long_airflow_took_to_start_it(
    api: ApiServer, connection: None
) -> None:
    api.respond_to(POLL, reply({"status": "running"}))
    asyncio.run(event_of(trigger(started_at=time.time() - 0.05, max_iterations=3, poke_interval=0.1)))
    assert api.count(POLL) == 3


def test_after_a_restart_the_deadline_is_still_the_same(api: ApiServer, connection: None) -> None:
    api.respond_to(POLL, reply({"status": "running"}))
    waiting = trigger(started_at=time.time() - 1000, deadline=time.time() - 1)
    event = asyncio.run(event_of(waiting))
    assert event["error"]["kind"] == "DeadlineExceededError"
    # The job may have ended while nobody looked.
    assert api.count(POLL) == 1


def test_after_a_restart_the_initial_delay_does_not_begin_again(api: ApiServer, connection: None) -> None:
    api.respond_to(POLL, reply({"status": "done"}))
    began = time.time()
    asyncio.run(event_of(trigger(started_at=began - 1000, deadline=began + 20, initial_delay=500)))
    assert time.time() < began + 20, "not at the deadline"


def test_a_wait_whose_connection_has_changed_polls_again_after_the_pause_that_was_due(
    api: ApiServer, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at some time within the interval, which is longer than the test may take."""
    connect(password="old-1", extra={"auth": "bearer"})
    monkeypatch.setattr(clients, "_MAX_AGE", 0.0)
    api.respond_to(POLL, reply({}, status=503))
    waiting = trigger(poke_interval=3600, retry_delays={"503": 0.1}, max_consecutive_errors=1000)

    async def scenario() -> dict[str, Any]:
        running = asyncio.create_task(event_of(waiting))
        await until(lambda: api.count(POLL) > 1)
        connect(password="new-1", extra={"auth": "bearer"})
        client = clients._clients[asyncio.get_running_loop()]["asyncapi_default"]
        assert client.api is not None
        assert await clients.retire_if_changed("asyncapi_default", client.api)
        await until(lambda: api.requests[-1].headers["Authorization"] == "Bearer new-1")
        api.respond_to(POLL, reply({"status": "done"}))
        return await running

    waiting.wait = replace(wait_of(waiting), polls=1, next_poll=time.time(), pause=0.1)
    assert asyncio.run(scenario())["status"] == "success"


@pytest.mark.skipif(not SHOWS_PROGRESS, reason="an older Airflow")
def test_a_warning_is_published_with_the_job(
    api: ApiServer, connection: None, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xcom_publisher, "_STARTUP_DELAY", 0.0)
    monkeypatch.setattr(xcom_publisher, "_UPDATE_INTERVAL", 0.05)
    api.respond_to(POLL, *[reply({"status": "running"})] * 8, reply({"status": "done"}))
    first_poll = {"poll": {"error": None}, "history": {"entries": []}}
    supervisor.xcoms[WAIT_KEY] = {"task_instance": "first", "identifier": "j-1", **first_poll}
    asyncio.run(event_of(trigger(warn_after=0.15)))
    pushed = [message.value for message in supervisor.of_kind("SetXCom") if message.key == WAIT_KEY]
    assert [(summary["identifier"], "warned_at" in summary) for summary in pushed] == [("j-1", True)]
    assert first_poll.items() <= pushed[0].items(), "the worker has published it in the summary"


@pytest.mark.skipif(not SHOWS_PROGRESS, reason="an older Airflow")
@pytest.mark.parametrize(
    ("task_instance", "warnings"), [("first", 0), ("of an earlier try", 1), (None, 1), ("unreadable", 1)]
)
def test_a_trigger_that_moves_to_another_triggerer_does_not_warn_again(
    api: ApiServer,
    connection: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    task_instance: str | None,
    warnings: int,
) -> None:
    async def read(task: Mapping[str, Any], *, with_polls: bool) -> PublishedState:
        if task_instance == "unreadable":
            raise RuntimeError("the storage is away")
        published = {"task_instance": task_instance, "identifier": "j-1", "warned_at": "2026-01-31T12:00:00+00:00"}
        return PublishedState(None if task_instance is None else published)

    monkeypatch.setattr(lazy, "read_published_state", read)
    api.respond_to(POLL, reply({"status": "running"}), reply({"status": "done"}))
    began = time.time() - 100
    asyncio.run(event_of(trigger(started_at=began, deadline=began + 200, warn_after=50)))
    assert capsys.readouterr().out.count("longer than warn_after") == warnings


@pytest.mark.skipif(not SHOWS_PROGRESS, reason="an older Airflow")
def test_a_trigger_that_moves_to_another_triggerer_continues_the_log_where_it_was(
    api: ApiServer, connection: None, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(xcom_publisher, "_STARTUP_DELAY", 0.0)
    monkeypatch.setattr(xcom_publisher, "_UPDATE_INTERVAL", 0.05)
    grown = [reply({"status": "running", "logs": "".join(f"{n}\n" for n in range(count))}) for count in (1, 2, 2, 2, 2)]
    api.respond_to(POLL, *grown, reply({"status": "done", "logs": "0\n1\n2\n"}))
    asyncio.run(event_of(trigger(logs="logs")))
    published = [message.value for message in supervisor.of_kind("SetXCom") if message.key == WAIT_KEY]
    assert published[-1]["log"]["shown"] == 2
    capsys.readouterr()
    supervisor.xcoms[WAIT_KEY] = published[-1]
    api.respond_to(POLL, reply({"status": "done", "logs": "0\n1\n2\n"}))
    asyncio.run(event_of(trigger(logs="logs")))
    written = capsys.readouterr().out
    assert "log | 2" in written
    assert "log | 1" not in written


@pytest.mark.skipif(not SHOWS_PROGRESS, reason="an older Airflow")
def test_a_trigger_that_moves_to_another_triggerer_continues_the_time_without_a_change(
    api: ApiServer, connection: None, supervisor: Supervisor
) -> None:
    now = time.time()
    job = {**JobHandle("j-1", status="running", progress=0.5).dump(), "outcome": "running"}
    supervisor.xcoms[WAIT_KEY] = {"task_instance": "first", "identifier": "j-1"}
    supervisor.xcoms[JOB_KEY] = job
    poll = PollSummary(now - 60, 10.0, polls=20, stalled_at=now - 10, unchanged_since=now - 60)
    supervisor.xcoms[POLL_KEY] = poll.dump()
    api.respond_to(POLL, reply({"status": "running", "percent": 50}))
    waiting = trigger(started_at=now - 300, deadline=now + 300, stall_timeout=50, poke_interval=10)
    waiting.wait = replace(wait_of(waiting), polls=1, next_poll=now - 200, pause=0.01)
    event = asyncio.run(event_of(waiting))
    assert (event["status"], api.count(POLL)) == ("error", 1)
    assert "unchanged for 60 s, longer than stall_timeout allows, after 300 s and 27 polls" in event["message"]


def test_the_trigger_of_a_task_with_a_callback_hands_the_wait_back_to_a_worker(
    api: ApiServer, connection: None
) -> None:
    api.respond_to(POLL, reply({"status": "running"}))
    waiting = trigger(warn_after=0.15)
    waiting.resume_on_warning = True
    event = asyncio.run(event_of(waiting))
    state = WaitCheckpoint.parse(event["wait"])
    assert event["status"] == "warning"
    assert (state.handle.status, state.warned_at is not None, state.polls > 0) == ("running", True, True)
    assert waiting.serialize()[1]["resume_on_warning"] is True
