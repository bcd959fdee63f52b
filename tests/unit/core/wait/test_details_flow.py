from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_asyncapi.core.effects import Send
from airflow_provider_asyncapi.core.errors import (
    ConfigurationError,
    JobFailedError,
    RequestRejectedError,
    UnavailableError,
)
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.requests.request_template import refuse_secrets
from airflow_provider_asyncapi.core.wait.callback_flow import wait_with_callbacks
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.flow import wait
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from tests.unit.core.flow_runner import BASE, START, FlowRunner, make_api, make_lost_error, make_response, plan_fields

RUNNING, DONE = make_response({"status": "running"}), make_response({"status": "done", "report": "r-1", "percent": 90})
FAILED = make_response({"status": "failed", "errorId": "e-9", "message": "see the report"})
DETAILS = {
    "endpoint": "/reports/{report}",
    "completion_key": "result",
    "completion_value": "ok",
    "failure_value": "broken",
    "no_data_value": "empty",
    "error_message": "reason",
    "capture": {"rows": "rows"},
}
PLAN = {"capture": {"report": "report"}, "progress": "percent", "status_details": DETAILS}
WHY = {"capture": {"error": "errorId"}, "failure_details": {"endpoint": "/errors/{error}", "error_message": "text"}}


def waited(*replies: Any, **given: Any) -> tuple[JobHandle, FlowRunner]:
    runner = FlowRunner(make_api(), *replies)
    state = WaitCheckpoint(JobHandle("7", submitted_at=START), START)
    return runner.run(wait(runner.api, WaitPlan.parse(plan_fields(**given)), state)), runner


def failed(*replies: Any, **given: Any) -> str:
    with pytest.raises(JobFailedError) as raised:
        waited(*replies, **given)
    return str(raised.value)


# Before a success is believed


def test_a_success_is_believed_once_the_details_say_so():
    handle, runner = waited(RUNNING, DONE, make_response({"result": "ok", "rows": 5}), **PLAN)
    assert (handle.outcome, handle.status, handle.progress) == (Outcome.SUCCESS, "done", 1.0)
    assert handle.variables["rows"] == 5
    assert handle.urls["status"] == f"{BASE}/jobs/7"
    assert runner.paths == ["GET /jobs/7", "GET /jobs/7", "GET /reports/r-1"]


def test_details_may_say_that_a_finished_job_has_failed():
    message = failed(RUNNING, DONE, make_response({"result": "broken", "reason": "column missing"}), **PLAN)
    assert message == f"Job 7 has status broken: column missing (GET {BASE}/reports/r-1 answered 200)"


def test_details_may_say_that_there_is_no_data():
    handle, _ = waited(DONE, make_response({"result": "empty"}), **PLAN)
    assert (handle.outcome, handle.status) == (Outcome.NO_DATA, "empty")


def test_details_may_be_judged_by_rules():
    rules = [{"selector": "errors", "exists": True, "outcome": "failure"},
             {"selector": "status_code", "in": 200, "outcome": "success"}]  # fmt: skip
    details = {"endpoint": "/jobs/{identifier}/errors", "rules": rules}
    assert "has status failure: bad row" in failed(DONE, make_response({"errors": [{"message": "bad row"}]}),
                                                   status_details=details)  # fmt: skip
    handle, _ = waited(DONE, make_response({"errors": []}), status_details=details)
    assert (handle.outcome, handle.status) == (Outcome.SUCCESS, "done")


def test_details_that_say_nothing_of_success_are_only_read():
    details = {"endpoint": "/jobs/{identifier}/result", "capture": {"result_identifier": "file"}}
    handle, _ = waited(DONE, make_response({"file": "f-1"}), status_details=details, result_identifier="file")
    assert handle.result_identifier == "f-1"


@pytest.mark.parametrize(
    "reply",
    [
        make_response({}, 503),
        make_lost_error(),
        make_response(b"<html>"),
        make_response({"result": "late"}),
        make_response({"result": "wait"}),
    ],
)
def test_details_that_are_not_ready_are_asked_for_again_with_the_next_poll(reply):
    details = {**DETAILS, "rules": [{"selector": "result", "in": "wait", "outcome": "retry"}]}
    handle, runner = waited(DONE, reply, DONE, make_response({"result": "ok"}), **{**PLAN, "status_details": details})
    assert handle.outcome is Outcome.SUCCESS
    assert runner.sleeps == [10]
    assert [poll.handle.outcome for poll in runner.polls] == [Outcome.RUNNING, Outcome.SUCCESS]
    assert runner.polls[0].handle.progress == 0.9 or runner.polls[0].handle.progress is None


def test_details_that_fail_too_often_end_the_wait():
    with pytest.raises(UnavailableError, match=r"/reports/r-1 answered 503: busy \(2 errors in a row\)"):
        waited(*[DONE, make_response({"message": "busy"}, 503)] * 2, max_consecutive_errors=2, **PLAN)


def test_details_that_are_refused_end_the_wait():
    with pytest.raises(RequestRejectedError, match=r"/reports/r-1 answered 400, expected 2xx: no such report"):
        waited(DONE, make_response({"reason": "no such report"}, 400), **PLAN)


def test_details_with_an_unknown_result_name_their_own_place():
    _, runner = waited(DONE, make_response({}), DONE, make_response({"result": "ok"}), **PLAN)
    assert "there is no status at 'result'" in runner.log_text
    closed = {**DETAILS, "running_value": ["checking"]}
    assert "contains 'odd' at 'result', which is none of" in failed(
        DONE, make_response({"result": "odd"}), **{**PLAN, "status_details": closed}
    )


def test_details_are_not_asked_for_while_a_job_runs_or_once_it_has_failed():
    _, runner = waited(RUNNING, RUNNING, make_response({"status": "empty"}), no_data_value="empty", **PLAN)
    assert runner.paths == ["GET /jobs/7"] * 3
    failed(FAILED, **PLAN)


# Why it failed


def test_the_reason_of_a_failure_may_be_behind_a_further_request():
    message = failed(FAILED, make_response({"text": "column x is missing"}), **WHY)
    assert message == f"Job 7 has status failed: column x is missing (GET {BASE}/errors/e-9 answered 200)"


def test_the_reason_of_a_failure_may_be_in_a_document_that_has_to_be_located():
    steps = [{"endpoint": "/jobs/{identifier}/log", "capture": {"url": "url"}}, {"endpoint": "{url}"}]
    runner = FlowRunner(
        make_api(), FAILED, make_response({"url": "logs/7.txt"}), make_response(b"Traceback\nKeyError: 'x'")
    )
    with pytest.raises(JobFailedError, match="Job 7 has status failed: Traceback KeyError: 'x'"):
        runner.run(
            wait(runner.api, WaitPlan.parse(plan_fields(failure_details=steps)), WaitCheckpoint(JobHandle("7"), START))
        )
    assert runner.paths[1:] == ["GET /jobs/7/log", "GET /jobs/7/logs/7.txt"]


def test_a_failure_that_the_details_tell_of_is_explained_too():
    message = failed(DONE, make_response({"result": "broken"}), make_response({"text": "why"}), **{**WHY, **PLAN,
                     "failure_details": {"endpoint": "/why", "error_message": "text"}})  # fmt: skip
    assert message == f"Job 7 has status broken: why (GET {BASE}/why answered 200)"


@pytest.mark.parametrize("reply", [make_response({}, 404), make_response({}, 503), make_lost_error()])
def test_a_failure_is_told_though_its_reason_can_not_be_found_out(reply):
    runner = FlowRunner(make_api(), FAILED, reply)
    with pytest.raises(JobFailedError, match="Job 7 has status failed: see the report"):
        runner.run(wait(runner.api, WaitPlan.parse(plan_fields(**WHY)), WaitCheckpoint(JobHandle("7"), START)))
    assert runner.sleeps == []
    assert runner.logs[-1][0] == logging.WARNING
    assert "failure_details: can't find out why the job failed" in runner.log_text


def test_a_reason_whose_request_can_not_be_made_is_only_logged():
    message = failed(FAILED, failure_details={"endpoint": "/errors/{nothing}"})
    assert "see the report" in message


# After a callback

CALLED = make_response({"status": "done", "report": "r-1"})


def callbacks_seen(*replies: Any, calls: list[Any], **given: Any) -> tuple[JobHandle, FlowRunner]:
    runner = FlowRunner(make_api(), *replies, calls=[(0, call) for call in calls])
    plan = WaitPlan.parse(plan_fields(callback=True, **PLAN, **given))
    return runner.run(
        wait_with_callbacks(runner.api, plan, WaitCheckpoint(JobHandle("7"), START, START + 1000))
    ), runner


def test_a_success_that_a_callback_tells_of_is_confirmed_too():
    handle, runner = callbacks_seen(make_response({"result": "ok", "rows": 5}), calls=[CALLED])
    assert (handle.outcome, handle.call, handle.variables["rows"]) == (Outcome.SUCCESS, 0, 5)
    assert runner.paths == ["GET /reports/r-1"]
    with pytest.raises(JobFailedError, match="column missing"):
        callbacks_seen(make_response({"result": "broken", "reason": "column missing"}), calls=[CALLED])


def test_a_callback_whose_details_can_not_be_had_is_a_hint_to_poll():
    handle, runner = callbacks_seen(make_response({}, 503), DONE, make_response({"result": "ok"}), calls=[CALLED])
    assert handle.outcome is Outcome.SUCCESS
    assert runner.paths == ["GET /reports/r-1", "GET /jobs/7", "GET /reports/r-1"]
    assert "polling the status instead" in runner.log_text
    with pytest.raises(UnavailableError):
        callbacks_seen(make_response({}, 503), calls=[CALLED], endpoint=None)


# What can't be meant


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"status_details": "x"}, "status_details: has to be a mapping that describes a request, not 'x'"),
        ({"status_details": {"method": "GET"}}, "status_details: endpoint is missing"),
        ({"status_details": {"endpoint": "/x", "completion_value": 1}}, "status_details: completion_value: needs"),
        ({"status_details": {"endpoint": "/x", "foo": 1}}, "status_details: unknown key 'foo'"),
        ({"failure_details": [{"endpoint": "/x"}, 7]}, "failure_details: has to be a mapping"),
        ({"failure_details": {"endpoint": "/x", "completion_key": "y"}}, "failure_details: unknown key"),
    ],
)
def test_what_can_not_be_meant_is_an_error_that_names_the_parameter(given, message):
    with pytest.raises(ConfigurationError, match=message):
        WaitPlan.parse(plan_fields(**given))


@pytest.mark.parametrize("name", ["status_details", "failure_details"])
def test_no_secret_stands_in_a_request_that_is_stored(name):
    with pytest.raises(ConfigurationError, match=rf"{name}\.headers: 'Authorization' looks like a secret"):
        refuse_secrets({name: {"endpoint": "/x", "headers": {"Authorization": "Bearer planted"}}})
    with pytest.raises(ConfigurationError, match="failure_details"):
        refuse_secrets({"failure_details": [{"endpoint": "/y"}, {"endpoint": "/x", "json": {"password": "planted"}}]})


# In time


def test_details_are_given_up_as_a_poll_is():
    limits: list[float | None] = []

    class Watching(FlowRunner):
        def perform(self, effect: Any) -> Any:
            if isinstance(effect, Send):
                limits.append(effect.until)
            return super().perform(effect)

    runner = Watching(make_api(), DONE, make_response({"result": "broken"}), make_response({"text": "why"}))
    plan = WaitPlan.parse(plan_fields(**PLAN, failure_details={"endpoint": "/why"}))
    with pytest.raises(JobFailedError):
        runner.run(wait(runner.api, plan, WaitCheckpoint(JobHandle("7"), START, START + 100)))
    status, details, why = limits
    assert status == details
    assert why is not None
