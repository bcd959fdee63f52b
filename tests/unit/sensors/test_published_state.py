"""What a waiting task publishes: the state of the job, its history, and links."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    TaskDeferred,
)

from airflow_provider_asyncapi.core.wait.summaries import PollSummary, parse_time
from airflow_provider_asyncapi.exceptions import AsyncApiJobFailed
from airflow_provider_asyncapi.monitoring.xcoms import HISTORY_KEY, POLL_KEY, WAIT_KEY
from airflow_provider_asyncapi.tasks.waiting_task import AIRFLOW_TIMEOUT
from airflow_provider_asyncapi.triggers.events import WaitEvent
from tests.unit.fake_airflow import TI, ApiServer, OwnTI, context_of, reply
from tests.unit.recorded_calls import recorded
from tests.unit.sensors.modes import MODES, POLL, in_all_modes, make_sensor, running, wait

pytestmark = pytest.mark.usefixtures("connection", "run_outside_of_airflow")


def test_status_and_progress_are_in_xcom_while_a_worker_waits(api: ApiServer) -> None:
    ti = TI()
    seen: list[Any] = []
    push = ti.xcom_push
    ti.xcom_push = recorded(push, seen, lambda key, value: (key, value))
    api.respond_to(POLL, running(percent=10), running(percent=10), running(percent=60), reply({"status": "done"}))
    wait("poke", ti, progress="percent")
    handles = [(value["status"], value["progress"]) for key, value in seen if key == "job"]
    assert handles == [(None, None), ("running", 0.1), ("running", 0.6), ("done", 1.0)]
    assert [key for key, _ in seen].count(POLL_KEY) == 1, "polls without errors are told of once"


@pytest.mark.parametrize("mode", MODES)
def test_what_people_are_shown_of_a_wait_is_in_xcom(api: ApiServer, mode: str) -> None:
    api.respond_to(POLL, running(), reply({"status": "failed"}))
    began = time.time()
    outcome = wait(mode, error_message="no.such")
    shown = outcome.xcoms[WAIT_KEY]
    assert (shown["asyncapi_conn_id"], shown["identifier"]) == ("asyncapi_default", "j-1")
    assert shown["task_instance"] == TI.id
    started, deadline = parse_time(shown["started_at"]), parse_time(shown["deadline"])
    assert started is not None
    assert deadline is not None
    assert began - 1 <= started <= time.time()
    assert deadline - started == pytest.approx(20)
    poll = PollSummary.parse(outcome.xcoms[POLL_KEY])
    assert poll is not None
    assert (poll.error, poll.pause) == (str(outcome.error), None)
    assert "has status failed" in str(poll.error)
    assert outcome.xcoms["job"]["status"] == "failed"


def kinds_in(history: Any) -> list[tuple[str, str | None]]:
    return [(each["kind"], each.get("status")) for each in history["entries"]]


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_what_has_happened_is_kept_in_xcom_from_poke_to_poke(api: ApiServer, mode: str) -> None:
    ti = TI()
    seen: list[Any] = []
    ti.xcom_push = recorded(ti.xcom_push, seen, lambda key, value: (key, value))
    queued = reply({"status": "queued", "password": "planted"})
    api.respond_to(POLL, queued, queued, reply(status=503), running(), running(), reply({"status": "done"}))
    wait(mode, ti, running_value=["queued", "running"])
    histories = [value for key, value in seen if key == HISTORY_KEY]
    assert kinds_in(histories[-1]) == [("status", "queued"), ("error", "queued"), ("status", "running")]
    assert "running" in histories[-1]["last_response"]["text"]
    assert "planted" not in str(histories)
    if mode == "poke":
        assert len(histories) == 3, "polls that find nothing new push nothing"


def test_a_wait_that_resumes_on_a_worker_continues_the_history(api: ApiServer) -> None:
    ti = OwnTI()
    status = {"status": "queued"}
    api.respond_to(POLL, reply(status))
    with pytest.raises(TaskDeferred) as deferral:
        make_sensor("deferred", warn_after=1, on_warning_callback=lambda _: None).execute(context_of(ti))
    assert kinds_in(ti.xcoms[WAIT_KEY]["history"]) == [("unknown_status", "queued")]
    first_poll = {name: ti.xcoms[WAIT_KEY][name] for name in ("poll", "history")}
    status["status"] = "writing"
    state = dataclasses.replace(deferral.value.trigger.wait, next_poll=0.0)
    api.respond_to(POLL, reply(status))
    given = {"event": WaitEvent.of_warning(state).dump()}
    sensor = make_sensor("poke", max_iterations=3)
    with pytest.raises(AirflowException):
        sensor.resume_execution("execute_complete", given, context_of(ti))
    assert kinds_in(ti.xcoms[HISTORY_KEY])[:2] == [("unknown_status", "queued"), ("unknown_status", "writing")]
    assert {name: ti.xcoms[WAIT_KEY][name] for name in first_poll} == first_poll, "a later summary keeps them"


def test_a_deadline_is_shown_if_somebody_has_set_it(api: ApiServer) -> None:
    api.respond_to(POLL, running())
    for timeout, name in ((600, "deadline"), (AIRFLOW_TIMEOUT, "default_deadline")):
        ti = TI()
        with pytest.raises(TaskDeferred) as deferral:
            make_sensor("deferred", timeout=timeout).execute(context_of(ti))
        assert {"deadline", "default_deadline"} & ti.xcoms[WAIT_KEY].keys() == {name}
        assert deferral.value.trigger.wait.has_default_deadline is (name == "default_deadline")


def test_a_status_that_is_missing_is_shown_with_its_selector(api: ApiServer) -> None:
    ti = TI()
    api.respond_to(POLL, reply({"state": "running"}))
    with pytest.raises(TaskDeferred):
        make_sensor("deferred").execute(context_of(ti))
    poll = PollSummary.parse(ti.xcoms[WAIT_KEY]["poll"])
    assert poll is not None
    assert poll.status_problem is not None
    assert poll.status_problem.message.startswith("No status found at 'status'")
    assert poll.polls == 1


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_an_error_on_the_way_is_shown_until_a_poll_is_answered(api: ApiServer, mode: str) -> None:
    ti = TI()
    seen: list[Any] = []
    push = ti.xcom_push
    ti.xcom_push = recorded(push, seen, lambda key, value: (key, value))
    api.respond_to(POLL, running(), reply(status=503), running(), reply({"status": "done"}))
    wait(mode, ti)
    errors = [value["error"] for key, value in seen if key == POLL_KEY]
    assert [error and "503" in error for error in errors] == [None, True, None]


def test_that_nothing_can_be_shown_changes_no_outcome(api: ApiServer) -> None:
    ti = TI()
    push, refused = ti.xcom_push, []

    def broken(key: str, value: Any) -> None:
        if ti.xcoms:
            refused.append(key)
            raise RuntimeError("the API server is away")
        push(key, value)

    ti.xcom_push = broken
    api.respond_to(POLL, running(), reply({"status": "failed"}))
    assert isinstance(wait("poke", ti).error, AsyncApiJobFailed)
    assert refused == [WAIT_KEY, *[WAIT_KEY, "job"] * 2, POLL_KEY]


def test_what_could_not_be_shown_while_airflow_was_away_is_shown_with_the_next_poll(api: ApiServer) -> None:
    ti = TI()
    seen: list[Any] = []
    push = ti.xcom_push

    def away_at_times(key: str, value: Any) -> None:
        # The wait itself, twice, and the end of the error, are told in vain at first.
        seen.append(key)
        if (key, seen.count(key)) in ((WAIT_KEY, 1), (WAIT_KEY, 2), (POLL_KEY, 1)):
            raise RuntimeError("the API server is away")
        push(key, value)
        told = value.get("poll") if key == WAIT_KEY else value if key == POLL_KEY else None
        if told is not None:
            errors.append(told["error"] and "503" in told["error"])

    errors: list[Any] = []
    ti.xcom_push = away_at_times
    api.respond_to(POLL, running(), reply(status=503), running(), running(), reply({"status": "done"}))
    wait("poke", ti)
    assert errors == [True, None]
    assert ti.xcoms[WAIT_KEY]["deadline"]
    assert kinds_in(ti.xcoms[WAIT_KEY]["history"])[-1][0] == "error"
    assert kinds_in(ti.xcoms[HISTORY_KEY])[-1] == ("unknown_status", "running")


@pytest.mark.parametrize("begun_by", ["the trigger of an earlier try", "the wait for an earlier job"])
def test_a_wait_replaces_what_another_process_may_have_pushed(api: ApiServer, begun_by: str) -> None:
    ti = TI()
    api.respond_to(POLL, running())
    sensor = make_sensor("deferred")
    if begun_by == "the trigger of an earlier try":
        ti.try_number, ti.max_tries = 2, 1
        begin = sensor.execute
    else:
        begin = sensor.execute_next_job
    with pytest.raises(TaskDeferred):
        begin(context_of(ti))
    assert list(ti.xcoms) == ["job", WAIT_KEY, POLL_KEY, HISTORY_KEY]
    assert {"poll", "history"} & ti.xcoms[WAIT_KEY].keys() == set()


@pytest.mark.parametrize(("size", "keys"), [(10, []), (2000, [HISTORY_KEY])])
def test_a_large_first_response_is_no_part_of_the_summary_of_the_wait(
    api: ApiServer, size: int, keys: list[str]
) -> None:
    ti = TI()
    api.respond_to(POLL, running(note="x" * size))
    with pytest.raises(TaskDeferred):
        make_sensor("deferred").execute(context_of(ti))
    assert list(ti.xcoms) == ["job", WAIT_KEY, *keys]
    history = ti.xcoms[HISTORY_KEY] if keys else ti.xcoms[WAIT_KEY]["history"]
    assert "xxx" in history["last_response"]["text"]


def test_the_link_to_the_job_is_there_while_it_is_waited_for(api: ApiServer) -> None:
    api.respond_to(POLL, running())
    ti = TI()
    with pytest.raises(TaskDeferred):
        make_sensor("deferred", job_url="https://vendor.example/jobs/{identifier}").execute(context_of(ti))
    assert ti.xcoms["job_url"] == "https://vendor.example/jobs/j-1"
    assert ti.xcoms["job"]["identifier"] == "j-1"


def test_a_link_that_cannot_be_made_is_no_reason_to_fail(api: ApiServer) -> None:
    outcome = in_all_modes(
        lambda: api.respond_to(POLL, reply({"status": "done"})), job_url="https://vendor.example/{nothing}"
    )
    assert outcome.returned == "j-1"
    assert "job_url" not in outcome.xcoms


def test_a_link_leads_to_web_pages_and_nowhere_else(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    api.respond_to(POLL, reply({"status": "done"}))
    outcome = wait("poke", job_url="javascript:alert(1)")
    assert outcome.returned == "j-1"
    assert "job_url" not in outcome.xcoms
    assert "isn't an http(s) URL: javascript:alert(1)" in capsys.readouterr().out
