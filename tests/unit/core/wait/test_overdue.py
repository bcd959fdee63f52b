"""A job that makes no progress fails the wait; one that takes longer than expected causes one warning."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError, DeadlineExceededError, JobStalledError
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.wait.callback_flow import wait_with_callbacks
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.flow import wait
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from tests.unit.core.flow_runner import (
    START,
    FlowRunner,
    make_api,
    make_lost_error,
    make_response,
    plan_fields,
)

JOB = JobHandle("7", submitted_at=START)
CANCEL: dict[str, Any] = {"cancel": {"endpoint": "/jobs/{identifier}", "method": "DELETE"}}
ALONE = dict.fromkeys(("endpoint", "completion_key", "completion_value", "failure_value"))
WARNING = "longer than warn_after"


def running(percent: int = 0, **more: Any) -> Any:
    return make_response({"status": "running", "percent": percent, **more})


DONE = make_response({"status": "done"})


def script_of(*replies: Any, forever: bool = True, calls: Any = ()) -> FlowRunner:
    return FlowRunner(make_api(), *replies, forever=forever, calls=calls)


def run(script: FlowRunner, state: WaitCheckpoint | None = None, **given: Any) -> Any:
    plan = WaitPlan.parse(plan_fields(progress="percent", **given))
    return script.run(wait(script.api, plan, state or WaitCheckpoint(JOB, START)))


def test_a_job_whose_status_and_progress_stay_the_same_is_stalled():
    script = script_of(running(40))
    with pytest.raises(
        JobStalledError, match=r"has status running, 40%, unchanged for 95 s, longer than stall_timeout"
    ):
        run(script, stall_timeout=95)
    assert script.times == [*range(0, 90, 10), 95], "the last poll is made when the time is over"
    assert script.polls[-1].pause is None


def test_unchanged_polls_before_that_time_are_not_processed():
    script = script_of(running(40))
    with pytest.raises(JobStalledError):
        run(script, stall_timeout=1000)
    assert len(script.requests) == 101
    assert script.resumed <= 4


@pytest.mark.parametrize(
    "replies", [[running(n) for n in range(20)], [make_response({"status": f"s{n}"}) for n in range(20)]]
)
def test_each_change_of_status_or_progress_begins_the_time_anew(replies):
    script = script_of(*replies, DONE)
    assert run(script, stall_timeout=25).status == "done"


def test_other_changes_of_the_response_are_no_progress():
    script = script_of(*[running(40, heartbeat=n) for n in range(20)], forever=False)
    with pytest.raises(JobStalledError):
        run(script, stall_timeout=60)
    assert len(script.requests) == 7


def test_a_stalled_job_is_cancelled():
    script = script_of(running(), running(), running(), make_response({}, 202), make_response({"status": "failed"}))
    with pytest.raises(JobStalledError, match="the API has accepted the cancel") as raised:
        run(script, stall_timeout=20, **CANCEL)
    assert raised.value.job == "7"
    assert raised.value.cancellation == "the API has accepted the cancel, and the job has status 'failed' now"
    assert raised.value.status == "failed"
    assert raised.value.ended_at == START + 20
    assert "DELETE /jobs/7" in script.paths


def test_a_poll_that_fails_shows_no_stall():
    script = script_of(running(), *[make_lost_error()] * 4, running(50), DONE)
    assert run(script, stall_timeout=30).status == "done"
    assert script.times[-1] > 90


def test_a_stalled_job_is_found_after_a_restart_by_the_stored_time():
    handle = JobHandle("7", status="running", progress=0.4)
    state = WaitCheckpoint(handle, START - 500, polls=9, changed_at=START - 100, next_poll=START)
    script = script_of(running(40))
    with pytest.raises(JobStalledError, match="unchanged for 110 s"):
        run(script, WaitCheckpoint.parse(state.dump()), stall_timeout=110)
    assert script.times == [0, 10]


def test_the_deadline_comes_before_a_stall_at_the_same_time():
    script = script_of(running())
    with pytest.raises(DeadlineExceededError, match="wasn't done by the deadline"):
        run(script, WaitCheckpoint(JOB, START, START + 50), stall_timeout=50)


def test_a_wait_that_takes_too_long_is_warned_about_once_and_on_time():
    script = script_of(*[running()] * 9, DONE, forever=False)
    run(script, warn_after=timedelta(seconds=35).total_seconds())
    warnings = [message for level, message in script.logs if level == logging.WARNING]
    assert warnings[1:] == ["Job 7 has status running, 0%, after a wait of 35 s, longer than warn_after (35 s)"]
    assert [polled.at - START for polled in script.polls if polled.warned] == [35]


def test_a_warning_does_not_wait_for_an_answered_poll():
    script = script_of(running(), make_lost_error(), make_lost_error(), running(), DONE)
    run(script, warn_after=15)
    assert script.log_text.count(WARNING) == 1
    assert next(polled for polled in script.polls if polled.warned).error is not None


def test_a_wait_that_was_warned_about_in_another_process_is_not_warned_about_again():
    state = WaitCheckpoint(JOB, START - 500, warned_at=START - 400)
    script = script_of(running(), running(), DONE)
    run(script, WaitCheckpoint.parse(state.dump()), warn_after=100)
    assert WARNING not in script.log_text


def test_the_checkpoint_takes_the_times_from_the_polls():
    script = script_of(running(1), running(2), running(2), running(2), DONE)
    run(script, warn_after=25)
    state = WaitCheckpoint(JOB, START)
    for polled in script.polls[:-1]:
        state = state.after_poll(polled)
    assert (state.changed_at, state.warned_at) == (START + 10, START + 25)


def test_a_late_job_that_only_calls_back_is_warned_about():
    calls = [(900, make_response({}))]
    script = script_of(calls=calls)
    fields = {name: value for name, value in plan_fields(callback=True, **ALONE, warn_after=400).items() if value}
    script.run(wait_with_callbacks(script.api, WaitPlan.parse(fields), WaitCheckpoint(JOB, START, START + 1000)))
    assert script.log_text.count(WARNING) == 1
    assert [(polled.at - START, polled.by_callback) for polled in script.polls if polled.warned] == [(400, True)]


def test_a_job_that_only_calls_back_is_stalled_if_no_callback_reports_a_change():
    given = plan_fields(callback=True, endpoint=None, stall_timeout=300, poke_interval=70, **CANCEL)
    script = script_of(make_response({}, 202), calls=[(140, running(10)), (280, running(20))])
    with pytest.raises(JobStalledError, match="unchanged for 300 s"):
        script.run(wait_with_callbacks(script.api, WaitPlan.parse(given), WaitCheckpoint(JOB, START)))
    assert script.clock() == START + 580


@pytest.mark.parametrize("name", ["stall_timeout", "warn_after"])
@pytest.mark.parametrize("value", [0, -1, "5", True])
def test_an_invalid_limit_is_refused_by_name(name, value):
    with pytest.raises(ConfigurationError, match=f"{name}: has to be"):
        WaitPlan.parse(plan_fields(**{name: value}))
