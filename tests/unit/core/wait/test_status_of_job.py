from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import (
    ContentError,
    DeadlineExceededError,
    JobFailedError,
    MissingValueError,
    RequestRejectedError,
    UnavailableError,
)
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.flow import wait
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from tests.unit.core.flow_runner import (
    BASE,
    START,
    FlowRunner,
    make_api,
    make_response,
    plan_fields,
)
from tests.unit.core.wait.waits import DONE, RUNNING, run, state, waited

NEVER = {"selector": "never", "exists": True, "outcome": "success"}


def test_an_unknown_status_runs_on_and_is_logged_once():
    queued = make_response({"status": "queued"})
    _, runner = waited(queued, queued, make_response({}), make_response({}), queued, DONE)
    warnings = [message for level, message in runner.logs if level == logging.WARNING]
    assert len(warnings) == 2
    assert "says 'queued', which none of the given values" in warnings[0]
    assert (
        "answered 200: there is no status at 'status', so the job counts as running; the JSON is an empty object;"
        " the body begins: {}" in (warnings[1])
    )


def test_a_status_that_is_nowhere_is_told_when_the_time_is_over():
    odd = make_response({"state": "running", "api_token": "geheim"})
    with pytest.raises(DeadlineExceededError, match="1 poll; no response contained a status at 'status', so that"):
        waited(odd, max_iterations=1)
    with pytest.raises(DeadlineExceededError, match="no response contained a status, so that may be the wrong"):
        waited(odd, max_iterations=1, completion_key=None, completion_value=None, failure_value=None, rules=[NEVER])
    with pytest.raises(DeadlineExceededError, match=r"2 polls$"):
        waited(odd, RUNNING, max_iterations=2)
    runner = FlowRunner(make_api(), odd, DONE)
    run(runner)
    assert "***" in runner.log_text
    assert "geheim" not in runner.log_text


def test_a_capture_that_has_found_nothing_by_the_end_is_told_once():
    captures: dict[str, Any] = {"capture": {"early": "e", "late": "l", "shard": ["data.shard", "shard"]}}
    _, runner = waited(
        make_response({"status": "running", "e": 1}), make_response({"status": "done", "l": 2}), **captures
    )
    said = [message for level, message in runner.logs if level == logging.WARNING and "capture" in message]
    place = "{shard} at 'data.shard' or 'shard'"
    assert said == [
        f"capture: the response to GET {BASE}/jobs/7 contains nothing for {place}; a request that names it fails"
    ]
    _, runner = waited(make_response({"status": "empty"}), no_data_value="empty", **captures)
    assert "capture" not in runner.log_text


@pytest.mark.parametrize(
    ("body", "status"), [({"status": "odd"}, "odd"), ({"status": 7}, 7), ({}, None)], ids=["text", "number", "none"]
)
def test_an_unknown_status_is_logged_once_though_another_process_goes_on(body, status):
    handle = JobHandle("7", submitted_at=START, status=status, urls={"status": f"{BASE}/jobs/7"})
    _, runner = waited(make_response(body), make_response({"status": "new"}), DONE, at=state(handle, polls=1))
    warnings = [message for level, message in runner.logs if level == logging.WARNING]
    assert len(warnings) == 1
    assert "'new'" in warnings[0]


def test_an_unknown_status_is_logged_where_no_poll_before_has_found_one():
    _, runner = waited(make_response({}), DONE, at=state(polls=3, errors=3))
    assert "there is no status at 'status'" in runner.log_text


def test_a_missing_status_is_logged_with_what_is_near():
    _, runner = waited(make_response({"job": {"Status": "new"}}), DONE)
    assert "so the job counts as running; there is $.job.Status; the body begins" in runner.log_text


def test_a_missing_result_identifier_is_an_error_that_names_what_is_near():
    with pytest.raises(MissingValueError, match=r"nothing found at 'file'; there is \$\.result\.file"):
        waited(make_response({"status": "done", "result": {"file": 5}}), result_identifier="file")


def test_an_unknown_status_fails_where_the_running_ones_are_given():
    with pytest.raises(JobFailedError, match=r"contains 'odd' at 'status', which is none of the given values \(r"):
        waited(RUNNING, make_response({"status": "odd"}), running_value=["running"])


@pytest.mark.parametrize(
    ("body", "found"), [({}, "nothing"), ({"status": None}, "nothing"), ({"status": {"a": 1}}, """'{"a":1}'""")]
)
def test_a_status_that_is_not_among_all_there_are_names_its_place_and_what_was_found(body, found):
    with pytest.raises(JobFailedError) as raised:
        waited(make_response({**body, "message": "see there"}), running_value=["running"])
    assert f"Job 7: the response contains {found} at 'status', which is none of the given values" in str(raised.value)
    assert "has no status yet" not in str(raised.value)


@pytest.mark.parametrize("blank", ["", "  ", None])
def test_a_result_identifier_that_is_empty_is_not_there_yet(blank):
    running, done = {"status": "running", "file": blank}, {"status": "done", "file": "f-1"}
    handle, _ = waited(make_response(running), make_response(done), result_identifier="file")
    assert handle.result_identifier == "f-1"
    with pytest.raises(MissingValueError, match=r"but no result_identifier: .*nothing found at 'file'"):
        waited(make_response({**done, "file": blank}), result_identifier="file")


FILES = [{"kind": "log", "url": "/l"}, {"kind": "csv", "url": "/a"}, {"kind": "csv", "url": "/b"}]


def test_a_result_identifier_is_the_only_value_and_several_are_an_error_that_says_what_to_do():
    done = make_response({"status": "done", "files": FILES})
    handle, _ = waited(done, result_identifier="files[?(@.kind == 'log')].url", capture={"logs": "$.files[:1].url"})
    assert handle.result_identifier == "/l"
    assert handle.variables["logs"] == ["/l"]
    several = "files[?(@.kind == 'csv')].url"
    with pytest.raises(ContentError, match=r"but no result_identifier: .* finds 2 values, and one is needed: select"):
        waited(done, result_identifier=several)
    assert waited(done, result_identifier={"selector": several, "first": True})[0].result_identifier == "/a"


def test_several_values_of_a_status_are_an_error_that_says_what_to_do():
    parts = make_response({"parts": [{"state": "done"}, {"state": "done"}]})
    with pytest.raises(ContentError, match=r"'parts\[\*\].state' finds 2 values, and one is needed: .*'first': True"):
        waited(*[parts] * 10, completion_key="parts[*].state")


def test_a_result_identifier_that_was_found_outlives_an_empty_one():
    early, late = {"status": "running", "file": "f-1"}, {"status": "done", "file": ""}
    assert waited(make_response(early), make_response(late), result_identifier="file")[0].result_identifier == "f-1"


def test_a_result_identifier_that_xml_declares_as_nil_is_not_there():
    nil = b'<j xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><s>done</s><f xsi:nil="true"/></j>'
    with pytest.raises(MissingValueError, match="no result_identifier"):
        waited(make_response(nil), completion_key="xpath://s", result_identifier="xpath://f")


def test_an_error_body_under_500_is_read_by_a_rule():
    rules = [{"selector": "error", "exists": True, "outcome": "failure"},
             {"selector": "state", "in": "late", "outcome": "retry"}]  # fmt: skip
    with pytest.raises(JobFailedError, match=r"has status failure: no such job \(GET .* answered 500\)"):
        waited(make_response({"error": {"code": -1, "message": "no such job"}}, 500),
               rules=[{"selector": "error.code", "in": -1, "outcome": "failure"}])  # fmt: skip
    spring = {"status": 500, "error": "Internal Server Error"}
    assert waited(make_response(spring, 500), DONE, rules=rules)[0].outcome is Outcome.SUCCESS
    _, runner = waited(make_response({"state": "late"}, 400), DONE, rules=rules)
    assert runner.sleeps == [10]
    with pytest.raises(RequestRejectedError):
        waited(make_response({"message": "no"}, 400), rules=rules)
    with pytest.raises(JobFailedError, match="has status dead"):
        waited(make_response({"error": "x", "status": "dead"}, 422), rules=rules)


def test_no_data_ends_well():
    handle, _ = waited(make_response({"status": "empty"}), no_data_value="empty", result_identifier="data.file")
    assert handle.outcome is Outcome.NO_DATA


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"detail": "no gstin", "title": "Bad"}, "Bad: no gstin"),
        ({"error": {"message": "no gstin"}}, "no gstin"),
        ({"errors": [{"message": "no gstin"}]}, "no gstin"),
        ({"message": "no gstin"}, "no gstin"),
    ],
)
def test_a_failure_says_what_the_api_says_in_the_usual_places(body, said):
    with pytest.raises(JobFailedError) as caught:
        waited(make_response({"status": "failed", **body}))
    assert str(caught.value) == f"Job 7 has status failed: {said} (GET {BASE}/jobs/7 answered 200)"


def test_a_failure_says_what_stands_where_the_author_says():
    with pytest.raises(JobFailedError, match="failed: no gstin"):
        waited(
            make_response({"status": "failed", "message": "x", "log": {"7": "no gstin"}}),
            error_message='log."{identifier}"',
        )


def test_rules_decide_before_the_simple_values():
    rules = [{"selector": "numError", "gt": 0, "outcome": "failure"}]
    with pytest.raises(JobFailedError, match="2 rows"):
        waited(make_response({"status": "done", "numError": 2, "message": "2 rows"}), rules=rules)
    assert waited(make_response({"status": "done", "numError": 0}), rules=rules)[0].outcome is Outcome.SUCCESS


@pytest.mark.parametrize(
    ("status", "headers"), [(303, {"location": "/v1/result"}), (400, {}), (404, {}), (503, {}), (401, {})]
)
def test_a_rule_of_the_status_code_decides_before_redirects_and_errors(status, headers):
    rules = [{"selector": "status_code", "in": [status], "outcome": "success"}]
    handle, runner = waited(make_response(None, status, **headers), rules=rules)
    assert handle.outcome is Outcome.SUCCESS
    assert len(runner.requests) == 1


def test_a_rule_may_run_on_at_an_error_status():
    rules = [{"selector": "status_code", "in": [409], "outcome": "running"}]
    handle, runner = waited(make_response({"status": "locked"}, 409), DONE, rules=rules)
    assert handle.outcome is Outcome.SUCCESS
    assert runner.polls[0].handle.status is None


def test_a_rule_that_wants_to_see_a_gateways_page_does_not_matter():
    both = {"all": [{"selector": "status_code", "in": [502]}, {"selector": "a", "exists": True}], "outcome": "failure"}
    handle, runner = waited(make_response(b"<html>", 502, retry_after="3"), DONE, rules=[both])
    assert handle.outcome is Outcome.SUCCESS
    assert runner.sleeps == [3.0]


def test_rules_alone_are_enough():
    rules = [
        {"selector": "status_code", "in": [202], "outcome": "running"},
        {"selector": "status_code", "in": [200], "outcome": "success"},
    ]
    plan = WaitPlan.parse({"endpoint": "/x", "rules": rules, "poke_interval": 1})
    runner = FlowRunner(make_api(), make_response(None, 202), make_response(None, 200))
    handle = runner.run(wait(runner.api, plan, state()))
    assert (handle.outcome, handle.status) == (Outcome.SUCCESS, "success")
    assert "Job 7 has status running; next poll in 1 s" in runner.log_text


def test_a_job_that_a_rule_takes_for_failed_has_no_status_code_for_a_status():
    rules = [{"selector": "status_code", "in": 422, "outcome": "failure"}]
    with pytest.raises(JobFailedError, match=r"Job 7 has status failure: too large \(GET .* answered 422\)"):
        waited(make_response({"detail": "too large"}, 422), rules=rules, completion_key=None, completion_value=None,
               failure_value=None)  # fmt: skip


def test_a_redirect_without_a_rule_is_followed():
    handle, runner = waited(make_response(None, 303, location="/v1/result"), DONE)
    assert runner.paths == ["GET /jobs/7", "GET /result"]
    assert handle.urls["status"] == f"{BASE}/result"


def test_retry_backs_off_and_counts_as_an_error():
    rules = [{"selector": "status", "in": "locked", "outcome": "retry"}]
    locked = make_response({"status": "locked", "message": "come again"})
    handle, runner = waited(locked, locked, DONE, rules=rules)
    assert handle.outcome is Outcome.SUCCESS
    assert runner.sleeps == [10, 20]
    assert "come again; polling again in 10 s" in runner.log_text
    with pytest.raises(UnavailableError, match="2 errors in a row"):
        waited(locked, locked, rules=rules, max_consecutive_errors=2)


# What Airflow can't store


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (b"99999999999999999999", "99999999999999999999"),
        (b'"x \\ud83d"', "x �"),
        (b'"a\\u0000b"', "a�b"),
        (b"NaN", "NaN"),
        (b"1e999", "Infinity"),
        (b"[" * 200 + b"]" * 200, None),
    ],
)
def test_a_status_that_airflow_cannot_store_is_shown_as_text(status: bytes, shown: str | None):
    runner = FlowRunner(make_api(), make_response(b'{"status": %s}' % status), make_response({"status": "done"}))
    runner.run(wait(runner.api, WaitPlan.parse(plan_fields()), WaitCheckpoint(JobHandle(7), START)))
    assert runner.polls[0].handle.status == shown
