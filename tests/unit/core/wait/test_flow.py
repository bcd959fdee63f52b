from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.effects import Flow, PollBatch, PollUntilChanged
from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
    AuthenticationError,
    ConfigurationError,
    ContentError,
    DeadlineError,
    JobFailedError,
    JobNotFoundError,
    MissingValueError,
    RefusedContentError,
    RequestRejectedError,
    SlowResponseError,
    ThrottledError,
    UnavailableError,
    UnstorableValueError,
)
from airflow_provider_asyncapi.core.flow_steps import FlowSteps
from airflow_provider_asyncapi.core.http import messages
from airflow_provider_asyncapi.core.http.delays import Delay, Reason
from airflow_provider_asyncapi.core.http.messages import Headers, Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.outcome import RESULT_IDENTIFIER, Outcome
from airflow_provider_asyncapi.core.requests.schedule import SHORTEST_WAIT, PollSchedule
from airflow_provider_asyncapi.core.status.policy import StatusPolicy
from airflow_provider_asyncapi.core.wait.batch_rounds import BatchRounds
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.ending import raise_deadline_error
from airflow_provider_asyncapi.core.wait.flow import wait
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from airflow_provider_asyncapi.core.wait.poll_flow import get_job
from tests.unit.core.flow_runner import (
    BASE,
    START,
    Clock,
    FlowRunner,
    make_api,
    make_lost_error,
    make_response,
    plan_fields,
)
from tests.unit.core.wait.batch_waiter import Waiter
from tests.unit.recorded_calls import recorded

JOB = JobHandle("7", submitted_at=START)
NEXT = JobHandle("7", submitted_at=START, variables={"next": "0"})
RUNNING, DONE = make_response({"status": "running"}), make_response({"status": "done"})
NEVER = {"selector": "never", "exists": True, "outcome": "success"}
CANCEL: dict[str, Any] = {"cancel": {"endpoint": "/jobs/{identifier}", "method": "DELETE"}}


def state(handle: JobHandle = JOB, **given: Any) -> WaitCheckpoint:
    return WaitCheckpoint(handle, START, **given)


def run(runner: FlowRunner, at: WaitCheckpoint | None = None, **given: Any) -> JobHandle:
    handle = runner.run(wait(runner.api, WaitPlan.parse(plan_fields(**given)), at or state()))
    assert isinstance(handle, JobHandle)
    return handle


def waited(*replies: Any, at: WaitCheckpoint | None = None, **given: Any) -> tuple[JobHandle, FlowRunner]:
    runner = FlowRunner(make_api(), *replies)
    return run(runner, at, **given), runner


# The plan and the state


def test_a_plan_needs_to_know_what_done_means():
    with pytest.raises(ConfigurationError, match="completion_key: is missing"):
        WaitPlan.parse({"endpoint": "/jobs"})
    assert WaitPlan.parse({"endpoint": "/jobs"}, complete=False).policy.is_empty


def test_a_plan_takes_all_parameters_of_the_sensor():
    plan = WaitPlan.parse(plan_fields(**CANCEL, result_identifier="data.file", progress="percent", capture={"n": "n"}))
    assert set(plan.captures) == {"n", RESULT_IDENTIFIER}
    assert plan.cancel is not None
    assert plan.progress is not None
    assert plan.schedule.interval == 10


def test_a_state_can_be_written_down_and_read_again():
    at = WaitCheckpoint(JOB, START, START + 60, polls=3, errors=1)
    assert WaitCheckpoint.parse(json.loads(json.dumps(at.dump()))) == at


# What an answer means


@pytest.mark.parametrize(
    ("at", "due"),
    [
        ({}, START + 40),
        ({"next_poll": START + 25}, START + 25),
        ({"next_poll": START + 25, "polls": 1}, START + 25),
        # Where it isn't known, it is now.
        ({"polls": 1}, START),
    ],
)
def test_a_state_tells_when_the_next_poll_is_due(at, due):
    assert state(**at).next_poll_due(PollSchedule(initial_delay=40)) == due


def test_a_state_that_is_taken_up_again_counts_the_polls_that_there_was_time_for():
    schedule = PollSchedule(interval=10, initial_delay=40, max_polls=5)
    assert state().resume_from_other_process(schedule, START + 45).polls == 0
    assert state().resume_from_other_process(schedule, START + 65).polls == 2
    assert state(polls=1, next_poll=START + 100).resume_from_other_process(schedule, START + 65).polls == 1
    assert state(polls=4, next_poll=START + 10).resume_from_other_process(schedule, START + 1000).polls == 5


def test_each_poll_tells_when_it_was_how_long_until_the_next_and_what_went_wrong():
    _, runner = waited(RUNNING, make_response({"title": "maintenance"}, 503), DONE)
    assert [(poll.at - START, poll.pause) for poll in runner.polls] == [(0, 10), (10, 10), (20, None)]
    errors = [poll.error for poll in runner.polls]
    assert errors[0] is None
    assert errors[1] is not None
    assert "answered 503: maintenance" in errors[1]
    assert errors[2] is None


def test_the_last_poll_tells_what_went_wrong_with_it():
    runner = FlowRunner(make_api(), make_response({}, 503))
    with pytest.raises(DeadlineError):
        run(runner, max_iterations=1)
    (poll,) = runner.polls
    assert (poll.pause, poll.error is None) == (None, False)
    assert "503" in str(poll.error)


def test_a_job_is_polled_until_it_is_done():
    handle, runner = waited(RUNNING, RUNNING, DONE, progress="percent")
    assert (handle.outcome, handle.status, handle.progress) == (Outcome.SUCCESS, "done", 1.0)
    assert handle.urls == {"status": f"{BASE}/jobs/7"}
    assert runner.paths == ["GET /jobs/7"] * 3
    assert runner.sleeps == [10, 10]
    assert [(poll.polls, poll.errors, poll.changed) for poll in runner.polls] == [
        (1, 0, True),
        (2, 0, False),
        (3, 0, True),
    ]


def test_the_log_has_a_line_per_change_and_not_per_poll():
    replies = [make_response({"status": "running", "p": percent}) for percent in (10, 10, 10, 60, 60)]
    _, runner = waited(*replies, DONE, progress="p", running_value="running")
    assert runner.logs == [
        (logging.INFO, "Job 7 has status running, 10%; next poll in 10 s"),
        (logging.INFO, "Job 7 has status running, 60%; next poll in 10 s"),
        (logging.INFO, "Job 7 has status done, 100%: success"),
    ]


def test_an_answer_that_repeats_itself_is_not_read_again():
    replies = [make_response({"status": "running"}) for _ in range(3)]
    handle, runner = waited(*replies, DONE)
    assert handle.status == "done"
    assert [poll.polls for poll in runner.polls] == [1, 2, 3, 4]
    assert ["json" in vars(reply) for reply in replies] == [True, False, False]


def test_an_answer_that_differs_in_the_headers_alone_is_read_where_a_selector_looks_there():
    replies = [make_response({"status": "running"}, x_part=part) for part in ("1", "2")]
    handle, _ = waited(*replies, DONE, capture={"part": "header:X-Part"})
    assert handle.variables["part"] == "2"


def test_a_large_answer_is_not_kept_for_comparing():
    replies = [make_response({"status": "running", "padding": "x" * 5000}) for _ in range(2)]
    waited(*replies, DONE)
    assert ["json" in vars(reply) for reply in replies] == [True, True]


def test_a_captured_value_changes_the_next_request():
    replies = [make_response({"status": "running", "next": page}) for page in ("a", "b", "b")]
    _, runner = waited(
        *replies,
        DONE,
        capture={"next": "next"},
        endpoint="/jobs/{identifier}",
        at=state(NEXT),
        query_params={"n": "{next}"},
    )
    assert runner.paths == [f"GET /jobs/7?n={page}" for page in "0abb"]


@pytest.mark.parametrize(
    ("next_poll", "interval", "first"), [(None, 10, 5), (-60, 10, 5), (-1, 3600, 30), (7, 10, 7)], ids=str
)
def test_those_who_are_overdue_together_do_not_poll_together(next_poll, interval, first):
    runner = FlowRunner(make_api(), RUNNING, RUNNING, DONE)
    at = dataclasses.replace(state(), next_poll=next_poll and START + next_poll)
    runner.run(wait(runner.api, WaitPlan.parse(plan_fields(poke_interval=interval)), at, spread=True))
    assert runner.sleeps == [first, interval, interval]


@pytest.mark.parametrize(("polls", "pause", "first"), [(1, 1, 0.5), (1, 3600, 30), (1, None, 5), (0, 1, 5)], ids=str)
def test_an_overdue_poll_is_spread_over_the_pause_that_was_due(polls, pause, first):
    runner = FlowRunner(make_api(), DONE)
    at = state(polls=polls, next_poll=START - 20, pause=pause)
    runner.run(wait(runner.api, WaitPlan.parse(plan_fields(poke_interval=10)), at, spread=True))
    assert runner.sleeps == [first]


def test_after_a_poll_the_state_holds_when_the_next_one_is_due():
    _, runner = waited(RUNNING, make_response({}, 503), DONE, retry_delays={503: 25})
    first, second, last = runner.polls
    at = state(callbacks_seen=2).after_poll(first)
    assert (at.handle, at.polls, at.errors, at.callbacks_seen) == (first.handle, 1, 0, 2)
    assert (at.next_poll, at.pause, at.after_poll(second).errors) == (START + 10, 10, 1)
    assert (at.after_poll(second).next_poll, at.after_poll(second).pause) == (START + 35, 25)
    assert (at.after_poll(last).next_poll, at.after_poll(last).pause) == (START + 35, None)


def throttled(seconds: float) -> ThrottledError:
    return ThrottledError("GET https://api.example.com/v1/jobs/7: not sent", seconds)


def test_a_poll_that_was_held_back_is_made_later_and_is_no_poll_and_no_error_until_then():
    _, runner = waited(RUNNING, throttled(40), throttled(1), RUNNING, DONE, max_iterations=3, max_consecutive_errors=1)
    # Those who hold back come again spread over an interval.
    assert runner.sleeps == [10, 45, 6, 10]
    assert [poll.polls for poll in runner.polls] == [1, 2, 3]
    assert "held" not in runner.log_text


def test_a_hold_does_not_outlast_the_deadline():
    runner = FlowRunner(make_api(), RUNNING, throttled(1000), throttled(950))
    with pytest.raises(DeadlineError, match=r"after 60 s and 1 poll; the last poll failed: .*not sent"):
        run(runner, state(deadline=START + 60))
    assert runner.sleeps == [10, 50]
    assert "no last poll can be made at the deadline" in runner.log_text


def test_an_unknown_status_runs_on_and_is_logged_once():
    queued = make_response({"status": "queued"})
    _, runner = waited(queued, queued, make_response({}), make_response({}), queued, DONE)
    warnings = [message for level, message in runner.logs if level == logging.WARNING]
    assert len(warnings) == 2
    assert "says 'queued', which none of the given values" in warnings[0]
    assert (
        "answered 200: there is no status at 'status', so the job counts as running; the body begins: {}"
        in (warnings[1])
    )


def test_a_status_that_is_nowhere_is_told_when_the_time_is_over():
    odd = make_response({"state": "running", "api_token": "geheim"})
    with pytest.raises(DeadlineError, match="1 poll; no response contained a status at 'status', so that"):
        waited(odd, max_iterations=1)
    with pytest.raises(DeadlineError, match="no response contained a status, so that may be the wrong"):
        waited(odd, max_iterations=1, completion_key=None, completion_value=None, failure_value=None, rules=[NEVER])
    with pytest.raises(DeadlineError, match=r"2 polls$"):
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


# What is taken from the answers


def test_captures_are_variables_of_the_next_poll():
    moved = make_response({"status": "running", "at": "/v1/moved/7"})
    handle, runner = waited(
        moved, DONE, endpoint="{url}", capture={"url": "at"}, at=state(JobHandle("7", variables={"url": "/v1/jobs/7"}))
    )
    assert runner.paths == ["GET /jobs/7", "GET /moved/7"]
    assert handle.variables["url"] == "/v1/moved/7"


def test_a_capture_that_cannot_be_read_is_left_out():
    rules = [{"selector": "status_code", "in": [202], "outcome": "success"}]
    handle, _ = waited(make_response(b"", 202), rules=rules, capture={"pages": "pages", "code": "status_code"})
    assert handle.variables["code"] == 202
    assert "pages" not in handle.variables


def test_the_result_identifier_is_a_variable():
    handle, _ = waited(make_response({"status": "done", "file": {"id": 9}}), result_identifier="file.id")
    assert handle.variables[RESULT_IDENTIFIER] == 9


def test_a_result_identifier_of_an_earlier_poll_counts():
    handle, _ = waited(make_response({"status": "running", "file": 9}), DONE, result_identifier="file")
    assert handle.variables[RESULT_IDENTIFIER] == 9


def test_a_result_identifier_that_is_missing_is_an_error():
    with pytest.raises(
        MissingValueError, match=r"Job 7 has status done, 100%, but no result_identifier: .*nothing found at 'file'"
    ):
        waited(DONE, result_identifier="file")


def test_a_status_that_is_no_value_is_not_kept_and_a_long_one_is_cut():
    _, runner = waited(make_response({"status": ["a", "b"]}), make_response({"status": "x" * 500}), DONE)
    assert runner.polls[0].handle.status is None
    assert len(runner.polls[1].handle.status) < 250


def test_the_status_address_is_kept_without_query_and_credentials():
    handle, _ = waited(DONE, query_params={"sig": "planted"})
    assert handle.urls["status"] == f"{BASE}/jobs/7"


def test_a_reference_is_resolved_against_the_submissions_address():
    job = JobHandle("jobs/7", urls={"submit": "https://api.example.com/v2/jobs"})
    _, runner = waited(DONE, endpoint="{identifier}", at=state(job))
    assert runner.requests[0].url == "https://api.example.com/v2/jobs/7"


# A job that is over already


@pytest.mark.parametrize("outcome", [Outcome.SUCCESS, Outcome.NO_DATA])
def test_a_job_that_is_over_is_not_polled(outcome):
    job = JobHandle("7", outcome)
    handle, runner = waited(at=state(job), initial_delay=5)
    assert handle is job
    assert (runner.requests, runner.sleeps) == ([], [])


def test_a_job_that_failed_already_fails():
    with pytest.raises(JobFailedError, match="Job 7 has status bad: it has failed already"):
        waited(at=state(JobHandle("7", Outcome.FAILURE, status="bad")))


# Errors


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 521])
def test_transient_errors_back_off(status):
    trouble = make_response({"message": "busy"}, status)
    _, runner = waited(trouble, trouble, trouble, RUNNING, trouble, DONE, retry_delays={429: 77})
    assert runner.sleeps == ([77, 77, 77, 10, 77] if status == 429 else [10, 20, 40, 10, 10])
    assert [poll.errors for poll in runner.polls] == [1, 2, 3, 0, 1, 0]
    assert f"GET {BASE}/jobs/7 answered {status}: busy; polling again in" in runner.log_text


def test_lost_answers_back_off_and_end():
    runner = FlowRunner(make_api(), *[make_lost_error()] * 3)
    with pytest.raises(UnavailableError, match=r"the connection broke \(3 errors in a row\)"):
        run(runner, max_consecutive_errors=3)
    assert runner.sleeps == [10, 20]


def test_errors_before_a_restart_count_too():
    with pytest.raises(UnavailableError):
        waited(make_lost_error(), at=state(errors=9, polls=20))


@pytest.mark.parametrize(
    ("said", "wait_for"),
    [
        ("5", 5),
        ("0", 1),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60),
        ("3000", 3000),
        ("x", 10),
        (str(int(START) + 90), 90),
        (f"{int(START) + 90}000", 90),
        (str(int(START) - 90), 10),
    ],
)
@pytest.mark.parametrize("status", [200, 503])
def test_retry_after_is_obeyed(said, wait_for, status):
    _, runner = waited(make_response({"status": "running"}, status, retry_after=said), DONE)
    assert runner.sleeps == [wait_for]
    assert "Retry-After" not in runner.log_text


@pytest.mark.parametrize("status", [200, 429])
@pytest.mark.parametrize("said", ["100000", "1764342000", "1764342000000", "Sat, 28 Nov 2026 15:00:00 GMT"])
def test_a_retry_after_beyond_all_measure_is_shortened_and_that_is_said(said, status):
    _, runner = waited(make_response({"status": "running"}, status, retry_after=said), DONE)
    assert runner.sleeps == [3600]
    assert "waiting 3600 s at most (max_interval)" in runner.log_text
    _, runner = waited(make_response({"status": "running"}, status, retry_after=said), DONE, max_interval=7200)
    assert runner.sleeps == [7200]


@pytest.mark.parametrize(
    ("body", "said"),
    [(b"<html>Log in", "got an HTML page"), (b"", "got an empty body"), (b'{"status": ', "Expecting value at line 1")],
    ids=["HTML", "empty", "broken"],
)
def test_a_body_that_is_no_json_is_transient_but_ends_with_its_message(body, said):
    handle, runner = waited(make_response(body), DONE)
    assert handle.outcome is Outcome.SUCCESS
    assert runner.sleeps == [10]
    with pytest.raises(ContentError, match=said) as caught:
        waited(make_response(body), make_response(body), max_consecutive_errors=2)
    assert str(caught.value).startswith(f"GET {BASE}/jobs/7 answered 200: expected JSON")


@pytest.mark.parametrize(
    ("refused", "given"),
    [
        (
            make_response(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'),
            {"completion_key": ["xpath://a", "header:X-State"]},
        ),
        (RefusedContentError("the body has more than 1048576 bytes"), {"completion_key": "header:X-State"}),
    ],
    ids=["XML with entities", "too long, says the driver"],
)
def test_a_body_that_is_not_read_is_transient_like_one_that_cannot_be_read(refused, given):
    handle, runner = waited(refused, make_response(x_state="done"), **given)
    assert handle.outcome is Outcome.SUCCESS
    assert runner.sleeps == [10]
    with pytest.raises(RefusedContentError):
        waited(refused, refused, max_consecutive_errors=2, **given)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, AuthenticationError), (403, AuthenticationError), (404, JobNotFoundError), (410, JobNotFoundError),
     (400, RequestRejectedError), (304, RequestRejectedError), (501, RequestRejectedError),
     (505, RequestRejectedError)],
)  # fmt: skip
def test_final_errors_end_the_wait(status, kind):
    with pytest.raises(kind, match="no such thing") as raised:
        waited(make_response({"mine": "no such thing"}, status), error_message="mine")
    assert (raised.value.url, raised.value.status_code) == (f"{BASE}/jobs/7", status)
    assert (raised.value.job, raised.value.status, raised.value.message) == ("7", None, "no such thing")


def test_an_error_tells_the_job_its_last_status_and_the_message_of_the_api():
    with pytest.raises(JobFailedError) as failed:
        waited(RUNNING, make_response({"status": "failed", "mine": "out of rows"}), error_message="mine")
    error = failed.value
    assert (error.job, error.status, error.message, error.status_code) == ("7", "failed", "out of rows", 200)
    with pytest.raises(DeadlineError) as late:
        waited(RUNNING, max_iterations=1)
    assert (late.value.job, late.value.status, late.value.message) == ("7", "running", None)


def test_a_job_that_failed_for_reasons_told_elsewhere_has_the_message_of_the_last_request():
    details = [{"endpoint": "/jobs/7/log", "error_message": "line"}]
    with pytest.raises(JobFailedError) as failed:
        waited(make_response({"status": "failed"}), make_response({"line": "disk full"}), failure_details=details)
    assert failed.value.message == "disk full"
    assert str(failed.value).endswith(f"disk full (GET {BASE}/jobs/7/log answered 200)")


def test_an_answer_that_cannot_be_read_ends_with_an_error_that_tells_its_status_code():
    with pytest.raises(ContentError) as raised:
        waited(make_response(b"<html>"), max_consecutive_errors=1)
    assert (raised.value.method, raised.value.status_code) == ("GET", 200)


def test_a_token_is_renewed_on_the_way():
    api = make_api(auth="login", login_request={"endpoint": "/login"}, login_selector="t")
    runner = FlowRunner(
        api, make_response({"t": "one1"}), RUNNING, make_response({}, 401), make_response({"t": "two2"}), DONE
    )
    assert run(runner).outcome is Outcome.SUCCESS
    assert runner.sleeps == [10]


def test_a_login_that_fails_in_passing_is_transient():
    api = make_api(auth="login", login_request={"endpoint": "/login"}, login_selector="t")
    runner = FlowRunner(api, make_response({}, 503), make_response({"t": "one1"}), DONE)
    assert run(runner).outcome is Outcome.SUCCESS
    assert runner.sleeps == [10]


def test_a_job_that_cannot_be_seen_yet_is_waited_for():
    gone = make_response({"message": "unknown job"}, 404)
    handle, runner = waited(gone, gone, gone, DONE, visible_after=25)
    assert handle.outcome is Outcome.SUCCESS
    assert runner.polls[0].errors == 0
    with pytest.raises(JobNotFoundError):
        waited(gone, gone, gone, gone, visible_after=25)


def test_a_job_of_unknown_age_is_taken_for_as_old_as_the_wait():
    handle, runner = waited(
        make_response({}, 404), make_response({}, 404), DONE, at=state(JobHandle("7")), visible_after=25
    )
    assert handle.outcome is Outcome.SUCCESS
    assert runner.sleeps == [10, 10]
    with pytest.raises(JobNotFoundError):
        waited(*[make_response({}, 404)] * 4, at=state(JobHandle("7")), visible_after=25)


# When


def test_the_first_poll_may_be_delayed():
    _, runner = waited(RUNNING, DONE, initial_delay=33)
    assert runner.sleeps == [33, 10]


def test_a_resumed_wait_is_not_delayed_again():
    _, runner = waited(DONE, at=state(polls=1), initial_delay=33)
    assert runner.sleeps == []


def test_polls_become_rarer():
    _, runner = waited(*[RUNNING] * 5, DONE, backoff=2, max_interval=50)
    assert runner.sleeps == pytest.approx([10, 20, 40, 50, 50])


def test_jitter_spreads_the_polls():
    api = make_api()
    dice = iter([0.0, 0.999999])
    runner = FlowRunner(dataclasses.replace(api, rng=lambda: next(dice)), RUNNING, RUNNING, DONE)
    run(runner, jitter=0.5)
    assert runner.sleeps == pytest.approx([5, 15], abs=0.001)


def test_polls_are_counted():
    runner = FlowRunner(make_api(), RUNNING, forever=True)
    with pytest.raises(
        DeadlineError, match=r"running and wasn't done by as many polls as allowed .*, after 20 s and 3"
    ):
        run(runner, max_iterations=3)
    assert len(runner.requests) == 3


def test_polls_before_a_restart_count_too():
    runner = FlowRunner(make_api(), RUNNING, forever=True)
    with pytest.raises(DeadlineError):
        run(runner, state(polls=8), max_iterations=10)
    assert len(runner.requests) == 2


@pytest.mark.parametrize("deadline", [25, 30, 35])
def test_the_last_poll_is_made_exactly_at_the_deadline(deadline):
    runner = FlowRunner(make_api(), RUNNING, forever=True)
    with pytest.raises(DeadlineError, match=f"wasn't done by the deadline, after {deadline} s"):
        run(runner, state(deadline=START + deadline))
    assert runner.times[-1] == deadline
    assert runner.polls[-1].polls == len(runner.requests)


def test_a_job_that_is_done_at_the_deadline_is_done():
    handle, runner = waited(RUNNING, DONE, at=state(deadline=START + 15))
    assert handle.outcome is Outcome.SUCCESS
    assert runner.times == [0, 15]


@pytest.mark.parametrize("deadline", [10.1, 19.9, 20, 20.19, 29.9, 300.19])
def test_the_last_poll_comes_no_sooner_than_the_interval_allows(deadline):
    runner = FlowRunner(make_api(), RUNNING, forever=True)
    with pytest.raises(DeadlineError):
        run(runner, state(deadline=START + deadline))
    assert runner.times[-1] == pytest.approx(deadline)
    gaps = [later - earlier for earlier, later in pairwise(runner.times)]
    assert all(9.999 <= gap < 20 for gap in gaps)


def test_a_wait_that_is_shorter_than_the_interval_polls_once():
    runner = FlowRunner(make_api(), RUNNING, forever=True)
    with pytest.raises(DeadlineError, match=r"wasn't done by the deadline, after 4 s and 1 poll$"):
        run(runner, state(deadline=START + 4))
    assert runner.times == [0]
    assert "no other poll is allowed before the deadline" in runner.log_text


@pytest.mark.parametrize("status", [200, 429])
def test_no_last_poll_is_made_that_retry_after_forbids(status):
    runner = FlowRunner(make_api(), RUNNING, make_response({"status": "running"}, status, retry_after="600"))
    with pytest.raises(DeadlineError, match="after 60 s and 2 polls"):
        run(runner, state(deadline=START + 60))
    assert runner.times == [0, 10]
    assert runner.sleeps == [10, 50]
    # The page shows when another would be allowed.
    assert runner.polls[-1].pause == 600


def test_a_last_poll_that_another_process_may_not_make_is_not_made_after_a_hand_over():
    runner = FlowRunner(make_api(), DONE)
    with pytest.raises(DeadlineError):
        run(runner, state(deadline=START + 60, polls=1, next_poll=START + 600))
    assert runner.requests == []
    # Nobody pauses for nothing once the deadline is over.
    runner = FlowRunner(make_api(Clock(START + 100)), DONE)
    with pytest.raises(DeadlineError):
        run(runner, state(deadline=START + 60, polls=1, next_poll=START + 600))
    assert runner.sleeps == []
    # Whoever takes the wait up after that moment may look.
    api = make_api(Clock(START + 601))
    runner = FlowRunner(api, DONE)
    assert run(runner, state(deadline=START + 60, polls=1, next_poll=START + 600)).outcome is Outcome.SUCCESS


@pytest.mark.parametrize("pause", [0.5, 20])
def test_after_an_error_the_last_poll_is_made_at_the_deadline(pause):
    errors = [make_response({}, 503)] * 2
    handle, runner = waited(*errors, DONE, at=state(deadline=START + 22), retry_delays={503: pause}, poke_interval=1)
    assert handle.outcome is Outcome.SUCCESS
    assert runner.times[-1] <= 22


def test_the_initial_delay_ends_at_the_deadline():
    _, runner = waited(DONE, at=state(deadline=START + 5), initial_delay=60)
    assert runner.sleeps == [5]


def test_a_wait_that_is_resumed_after_the_deadline_polls_once_more():
    late = START - 1000
    assert waited(DONE, at=state(deadline=late))[0].outcome is Outcome.SUCCESS
    runner = FlowRunner(make_api(), RUNNING, forever=True)
    with pytest.raises(DeadlineError):
        run(runner, state(deadline=late))
    assert len(runner.requests) == 1


def test_the_deadline_says_what_went_wrong_last():
    with pytest.raises(DeadlineError, match=r"the last poll failed: .*503") as caught:
        waited(make_response({}, 503), at=state(deadline=START))
    assert "has no status yet" in str(caught.value)


def test_a_clock_that_is_a_little_behind_does_not_make_it_spin():
    clock = Clock()
    runner = FlowRunner(make_api(clock), RUNNING, forever=True)
    with pytest.raises(DeadlineError):
        run(runner, state(deadline=START + 10 + 1e-6))
    assert runner.sleeps == [pytest.approx(10)]
    assert len(runner.requests) == 2


# Cancelling


@pytest.mark.parametrize(("deadline", "limits"), [(None, [None, None]), (25, [30, 30]), (-60, [5, 15])])
def test_no_poll_lasts_longer_than_a_moment_past_the_deadline(deadline, limits):
    at = state(deadline=None if deadline is None else START + deadline)
    runner = FlowRunner(make_api(), RUNNING, DONE)
    with contextlib.suppress(DeadlineError):
        run(runner, at)
    assert runner.limits == limits[: len(runner.limits)]


def test_on_the_deadline_the_job_is_cancelled():
    runner = FlowRunner(
        make_api(), RUNNING, make_response(None, 204), make_response({"status": "stopped"}), forever=True
    )
    accepted = "after 0 s and 1 poll; the API has accepted the cancel, and the job has status 'stopped' now"
    with pytest.raises(DeadlineError, match=accepted):
        run(runner, state(deadline=START), **CANCEL)
    assert runner.paths == ["GET /jobs/7", "DELETE /jobs/7", *["GET /jobs/7"] * 3]


def test_a_job_that_runs_on_though_the_api_has_accepted_the_cancel_is_said_to_run():
    runner = FlowRunner(make_api(), RUNNING, make_response(None, 204), RUNNING, forever=True)
    with pytest.raises(DeadlineError, match="accepted the cancel, but the job still has status 'running', 4 s later"):
        run(runner, state(deadline=START), **CANCEL)
    assert runner.logs[-1][0] == logging.WARNING


def test_a_poll_after_the_cancel_that_fails_is_said():
    runner = FlowRunner(make_api(), RUNNING, make_response(None, 204), make_response(None, 503), forever=True)
    with pytest.raises(DeadlineError, match=r"the job's status is unknown, so it may still be running: GET .* 503"):
        run(runner, state(deadline=START), **CANCEL)


@pytest.mark.parametrize(
    ("given", "replies", "became"),
    [({}, [], ""), (CANCEL, [make_response(status=204)], "; the API has accepted the cancel")],
)
def test_a_wait_whose_answer_is_looked_at_beyond_the_deadline_is_ended_without_another_look(given, replies, became):
    runner, slow = FlowRunner(make_api(Clock(START + 60)), *replies), SlowResponseError("GET /jobs/7: too slow")
    plan, at = WaitPlan.parse(plan_fields(**given)), state(polls=2, deadline=START + 50)
    expected = f"wasn't done by the deadline, after 60 s and 3 polls; the last poll failed: {slow}{became}"
    with pytest.raises(DeadlineError, match=rf"{re.escape(expected)}$"):
        runner.run(raise_deadline_error(runner.api, plan, at, slow))
    assert runner.paths == ["DELETE /jobs/7"] * len(replies)


def test_a_cancel_that_fails_does_not_hide_the_reason():
    runner = FlowRunner(make_api(), RUNNING, make_response({}, 500), forever=True)
    with pytest.raises(
        DeadlineError, match=r"and 1 poll; the cancel failed, so it may still be running: DELETE .* 500"
    ):
        run(runner, state(), max_iterations=1, **CANCEL)
    assert "could not be cancelled" in runner.log_text


@pytest.mark.parametrize(
    "reply",
    [
        make_response({"status": "failed"}),
        make_response({}, 404),
        make_response({}, 401),
        make_response(b"<html>"),
        make_lost_error(),
        RefusedContentError(""),
    ],
    ids=["failure", "404", "401", "HTML", "no answer", "too long"],
)
def test_any_other_end_cancels_nothing(reply):
    runner = FlowRunner(make_api(), reply)
    with pytest.raises(AsyncApiError):
        run(runner, max_consecutive_errors=1, **CANCEL)
    assert len(runner.requests) == 1


# Never


def test_no_secret_is_shown():
    api = make_api(
        auth="api_key",
        key_in="query",
        password="planted-key",
        headers={"X-Own": "planted-head"},
        variables={"v": "planted-var"},
    )
    body = {"status": "planted-key", "message": "planted-head planted-var", "p": 1}
    runner = FlowRunner(
        api,
        make_response(body),
        make_response(body, 503),
        make_response(b"planted-var<html>"),
        make_response(
            {
                "status": "failed",
                **body,
            }
        ),
        forever=True,
    )
    with pytest.raises(AsyncApiError) as caught:
        run(runner, failure_value="planted-key", completion_value="x", max_iterations=4)
    runner = FlowRunner(
        api, make_response(body), make_response(body, 503), make_response(b"planted-var<html>"), forever=True
    )
    with pytest.raises(AsyncApiError) as also:
        run(runner, max_consecutive_errors=3, query_params={"q": "{connection.v}"})
    assert "planted" not in f"{caught.value} {also.value} {runner.log_text}"


BODIES = [
    b"",
    b"{",
    b"<html>",
    b"[]",
    b"null",
    b'{"status": null}',
    b'{"status": "running"}',
    b'{"status": "odd"}',
    b'{"status": {}}',
    b"\xff",
]
REPLIES = st.one_of(
    st.builds(
        lambda status, body, said: Response(status, Headers(() if said is None else [("Retry-After", said)]), body),
        st.sampled_from([200, 201, 202, 204, 206, 304, 404, 408, 425, 429, 500, 502, 503, 504]),
        st.sampled_from(BODIES),
        st.one_of(
            st.none(),
            st.sampled_from(
                ["0", "-1", "-0", "0.0", "nan", "inf", "-inf", "1e-9", "Thu, 01 Jan 1970 00:00:00 GMT", "x", "9"]
            ),
        ),
    ),
    st.builds(make_lost_error),
)


@given(
    replies=st.lists(REPLIES, min_size=1, max_size=30),
    interval=st.floats(SHORTEST_WAIT, 100),
    jitter=st.floats(0, 1),
    dice=st.floats(0, 0.999),
    deadline=st.one_of(st.none(), st.floats(-10, 100)),
    retry_delays=st.dictionaries(st.sampled_from([404, 429, 500, 503]), st.floats(0, 10)),
)
@settings(max_examples=300, deadline=None)
def test_whatever_an_api_answers_the_loop_does_not_spin(replies, interval, jitter, dice, deadline, retry_delays):
    api = make_api()
    runner = FlowRunner(dataclasses.replace(api, rng=lambda: dice), *replies, DONE)
    with_deadline = state(deadline=None if deadline is None else START + deadline)
    plan = plan_fields(
        poke_interval=interval, jitter=jitter, retry_delays=retry_delays, visible_after=1000,
        max_consecutive_errors=100, initial_delay=1,
    )  # fmt: skip
    with contextlib.suppress(AsyncApiError):
        runner.run(wait(runner.api, WaitPlan.parse(plan), with_deadline))
    gaps = [later - earlier for earlier, later in zip(runner.times, runner.times[1:], strict=False)]
    assert all(gap >= SHORTEST_WAIT * 0.999 for gap in gaps)
    assert all(pause >= SHORTEST_WAIT for pause in runner.sleeps)


# In a batch

BATCH = {"endpoint": "/jobs", "query_params": {"ids": "{identifiers}"}, "items": "jobs[*]", "id": "id"}


def among(**item: Any) -> Response:
    return make_response({"jobs": [{"id": 7, **item}, {"id": "8", "status": "failed"}]})


def in_a_batch(
    *replies: Any, at: WaitCheckpoint | None = None, absent: str | None = None, **given: Any
) -> tuple[JobHandle, FlowRunner]:
    return waited(*replies, at=at, batch={**BATCH, "absent": absent}, **given)


def test_each_job_is_told_its_own_item():
    replies = [among(status="running", percent=40), among(status="done", file="f-1")]
    handle, runner = in_a_batch(*replies, progress="percent", capture={"file": "file"})
    assert (handle.outcome, handle.progress, handle.variables["file"]) == (Outcome.SUCCESS, 1.0, "f-1")
    assert runner.paths == ["GET /jobs?ids=7"] * 2
    assert handle.urls == {"status": f"{BASE}/jobs"}


@pytest.mark.parametrize("fingerprint", [None, b"x" * 5000], ids=["nested too deeply", "large"])
def test_an_item_that_is_not_kept_for_comparing_is_read_each_time(fingerprint, monkeypatch):
    classified: list[Any] = []
    classify = StatusPolicy.classify
    monkeypatch.setattr(messages, "freeze", lambda _: fingerprint)
    monkeypatch.setattr(StatusPolicy, "classify", recorded(classify, classified, lambda *given: given))
    handle, _ = in_a_batch(among(status="running"), among(status="running"), among(status="done"))
    assert handle.outcome is Outcome.SUCCESS
    assert len(classified) == 3


def test_an_item_can_say_why_its_job_failed():
    with pytest.raises(JobFailedError, match=r"status failed: no rows \(GET https://api.example.com/v1/jobs"):
        in_a_batch(among(status="failed", why="no rows"), error_message="why")


def test_rules_look_at_the_item():
    handle, _ = in_a_batch(
        among(parts=[1]), among(parts=[]), rules=[{"selector": "parts", "exists": False, "outcome": "success"}]
    )
    assert handle.outcome is Outcome.SUCCESS


def test_a_job_that_is_absent_is_asked_for_singly():
    handle, runner = in_a_batch(make_response({"jobs": []}), DONE)
    assert handle.outcome is Outcome.SUCCESS
    assert runner.paths == ["GET /jobs?ids=7", "GET /jobs/7"]


@pytest.mark.parametrize(("absent", "outcome"), [("success", Outcome.SUCCESS), ("running", Outcome.SUCCESS)])
def test_that_a_job_is_absent_may_mean_something(absent, outcome):
    handle, runner = in_a_batch(make_response({"jobs": []}), among(status="done"), absent=absent)
    assert handle.outcome is outcome
    assert len(runner.requests) == (1 if absent == "success" else 2)


def test_that_a_job_is_absent_may_mean_that_it_failed():
    with pytest.raises(JobFailedError, match="has status absent"):
        in_a_batch(make_response({"jobs": []}), absent="failure")


def test_that_a_job_is_absent_may_be_a_passing_error():
    handle, runner = in_a_batch(make_response({"jobs": []}), among(status="done"), absent="retry")
    assert handle.outcome is Outcome.SUCCESS
    assert "the response doesn't contain job 7; polling again in 10 s" in runner.log_text


def test_without_an_endpoint_it_is_always_the_batch_that_is_sent():
    with pytest.raises(UnavailableError, match="doesn't contain job 7"):
        in_a_batch(*[make_response({})] * 3, endpoint=None, max_consecutive_errors=3)


def test_errors_of_the_batch_are_borne_as_those_of_a_poll():
    replies = [
        make_response({}, 503, retry_after="20"),
        make_lost_error(),
        make_response(b"<html>"),
        among(status="done"),
    ]
    handle, runner = in_a_batch(*replies)
    assert handle.outcome is Outcome.SUCCESS
    assert runner.sleeps == [20, 20, 40]
    assert [poll.errors for poll in runner.polls] == [1, 2, 3, 0]


def test_a_batch_that_is_refused_is_fatal():
    with pytest.raises(AuthenticationError):
        in_a_batch(make_response({}, 401))


def test_a_batch_counts_against_the_polls_and_the_deadline():
    with pytest.raises(DeadlineError, match="2 polls"):
        in_a_batch(*[among(status="running")] * 2, max_iterations=2)
    with pytest.raises(DeadlineError, match="the deadline"):
        in_a_batch(*[among(status="running")] * 3, at=state(deadline=START + 15))


class Resumed(FlowRunner):
    """Hands each response to the flow, even if it is unchanged."""

    def run(self, flow: Flow[Any]) -> Any:
        with FlowSteps(flow) as steps:
            for effect in steps:
                try:
                    steps.reply = self.perform(effect.send if isinstance(effect, PollUntilChanged) else effect)
                except AsyncApiError as error:
                    steps.error = error
        return steps.result


class InRounds(FlowRunner):
    """Polls in the rounds of a batch, as the driver of the triggerer does."""

    def perform(self, effect: Any) -> Any:
        if not isinstance(effect, PollBatch):
            return super().perform(effect)
        rounds, waiter = BatchRounds(self.api, effect.batch, effect.interval), Waiter(effect, self.polls.append)
        rounds.join(waiter)
        with FlowSteps(rounds.poll_in_rounds()) as steps:
            while not waiter.is_gone:
                steps.reply = self.perform(next(steps))
        return waiter.outcome()


def played(runner: FlowRunner, at: WaitCheckpoint | None = None, **given: Any) -> tuple[Any, Any]:
    """Run a wait; give what came of it, and the runner."""
    try:
        return run(runner, at, **given), runner
    except AsyncApiError as error:
        return error, runner


def passing(*replies: Any, at: WaitCheckpoint | None = None, **given: Any) -> tuple[Any, Any]:
    """Run a wait among others whose driver asks again by itself as long as it may."""
    return played(InRounds(make_api(), *replies), at, batch=BATCH, **given)


def test_a_job_whose_item_stays_the_same_is_not_woken_and_its_polls_are_counted():
    again = [among(status="running")] * 4
    handle, runner = passing(*again, among(status="running", percent=3), among(status="done"))
    assert handle.outcome is Outcome.SUCCESS
    assert (len(runner.requests), runner.resumed) == (6, 3)
    assert [(poll.polls, poll.changed) for poll in runner.polls] == [
        (1, True), (2, False), (3, False), (4, False), (5, False), (6, True),
    ]  # fmt: skip


def test_what_is_news_of_other_jobs_wakes_nobody_else():
    others = [make_response({"jobs": [{"id": 7, "status": "running"}, {"id": 8, "at": at}]}) for at in range(4)]
    _, runner = passing(*others, among(status="done"))
    assert runner.resumed == 2


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"ready": 0}, {"ready": False}),
        ({"ready": 1}, {"ready": True}),
        ({"ready": 1}, {"ready": 1.0}),
        ({"ready": "1"}, {"ready": 1}),
    ],
)
def test_equal_for_python_is_not_the_same(first, then):
    _, runner = passing(among(status="running", **first), among(status="running", **then), among(status="done"))
    assert runner.resumed == 3


@pytest.mark.parametrize(
    "news",
    [
        make_lost_error(),
        make_response({}, 503),
        make_response({"jobs": []}),
        make_response({"jobs": [{"id": 7, "status": "running"}]}, retry_after="30"),
    ],
)
def test_an_error_an_absence_and_a_retry_after_wake_the_flow(news):
    single = [DONE] if news.__class__ is Response and b"[]" in news.body else []
    _, runner = passing(among(status="running"), among(status="running"), news, *single, among(status="done"))
    assert runner.resumed == (2 if isinstance(news, AsyncApiError) else 3)
    assert runner.polls[1].polls == 2
    assert runner.polls[-1].polls == (3 if single else 4)


def test_after_an_error_the_first_good_answer_is_seen_by_the_flow():
    replies = [
        among(status="running"),
        make_lost_error(),
        among(status="running"),
        make_lost_error(),
        among(status="done"),
    ]
    handle, runner = passing(*replies, max_consecutive_errors=2)
    assert handle.outcome is Outcome.SUCCESS
    assert [poll.errors for poll in runner.polls] == [0, 1, 0, 1, 0]


def test_jobs_that_are_not_woken_end_by_the_polls_allowed_and_by_the_deadline():
    error, runner = passing(*[among(status="running")] * 5, max_iterations=5)
    assert isinstance(error, DeadlineError)
    assert (len(runner.requests), runner.resumed) == (5, 2)
    error, runner = passing(*[among(status="running")] * 6, at=state(deadline=START + 45))
    assert "the deadline" in str(error)
    # Woken in time to make the last poll at the deadline, not some time after it.
    assert runner.times[-1] == 45


@pytest.mark.parametrize("given", [{"backoff": 2}, {"jitter": 0.1}, {"capture": {"at": "header:X-At"}}])
def test_where_each_poll_may_mean_something_each_wakes_the_flow(given):
    _, runner = passing(*[among(status="running")] * 3, among(status="done"), **given)
    assert runner.resumed == 4


# Of a poll of its own, too, the flow needn't know


KNOWN_REPLIES: list[Response | AsyncApiError] = [
    RUNNING,
    make_response({"status": "running", "percent": 10}),
    make_response({"status": "running"}, retry_after="30"),
    make_response({"status": "queued"}),
    make_response({}, 503),
    make_response(b"<html>"),
    make_lost_error(),
    DONE,
    make_response({"status": "failed"}),
]


@given(
    replies=st.lists(st.sampled_from(KNOWN_REPLIES), min_size=1, max_size=12).flatmap(st.permutations),
    options=st.fixed_dictionaries(
        {},
        optional={
            "backoff": st.just(1.5),
            "jitter": st.just(0.1),
            "max_iterations": st.integers(1, 9),
            "max_consecutive_errors": st.integers(1, 3),
            "progress": st.just("percent"),
            "capture": st.just({"percent": "percent"}),
            "rules": st.just([{"status_code": [503], "outcome": "running"}]),
        },
    ),
    deadline=st.none() | st.integers(5, 120),
)
def test_a_wait_goes_the_same_way_if_unchanged_responses_do_not_resume_it(replies, options, deadline):
    at = state(deadline=None if deadline is None else START + deadline)
    ends = [*replies, RUNNING, RUNNING, DONE]
    outcome, runner = played(Resumed(make_api(), *ends), at, **options)
    same, other = played(FlowRunner(make_api(), *ends), at, **options)
    assert repr(same) == repr(outcome)
    assert other.times == runner.times
    assert other.sleeps == runner.sleeps
    assert other.polls == runner.polls
    assert other.logs == runner.logs


def test_a_job_whose_answer_stays_the_same_is_not_woken():
    handle, runner = played(FlowRunner(make_api(), *[RUNNING] * 5, DONE))
    assert handle.outcome is Outcome.SUCCESS
    assert (len(runner.requests), runner.resumed) == (6, 2)


def test_a_token_is_renewed_in_time_although_the_flow_is_not_woken():
    login: dict[str, Any] = {"auth": "login", "login_request": {"endpoint": "/login"}, "login_selector": "token"}
    tokens = [make_response({"token": f"token-{number}", "in": 100}) for number in range(2)]
    api = make_api(**login, login_expiry="in")
    # It is renewed 10 s before its end.
    handle, runner = played(FlowRunner(api, tokens[0], *[RUNNING] * 9, tokens[1], RUNNING, DONE))
    assert handle.outcome is Outcome.SUCCESS
    assert [number for number, path in enumerate(runner.paths) if path.endswith("/login")] == [0, 10]
    assert runner.times[10] == 90
    assert runner.resumed == 4


def test_each_token_that_expires_is_renewed_although_the_answer_stays_the_same():
    login: dict[str, Any] = {"auth": "login", "login_request": {"endpoint": "/login"}, "login_selector": "token"}
    tokens = [make_response({"token": f"token-{number}"}) for number in range(4)]
    expired = make_response({}, 401)
    talk = [tokens[0], RUNNING, RUNNING, expired, tokens[1], RUNNING, RUNNING, expired, tokens[2], RUNNING, DONE]
    handle, runner = played(FlowRunner(make_api(**login), *talk))
    assert handle.outcome is Outcome.SUCCESS
    assert sum(path.endswith("/login") for path in runner.paths) == 3
    # One that is refused right after it was renewed is final all the same.
    error, _ = played(FlowRunner(make_api(**login), *talk[:8], tokens[2], expired))
    assert isinstance(error, AuthenticationError)
    assert "after the token was renewed" in str(error)


def test_after_a_redirect_each_poll_asks_at_the_first_place_again():
    there = make_response(None, 302, location="/elsewhere")
    _, runner = played(FlowRunner(make_api(), there, RUNNING, there, RUNNING, there, DONE))
    assert runner.paths == ["GET /jobs/7", f"GET {BASE.replace('/v1', '')}/elsewhere"] * 3


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


def test_a_captured_value_that_airflow_cannot_store_ends_the_wait_with_its_name():
    plan = WaitPlan.parse(plan_fields(result_identifier="result.id"))
    runner = FlowRunner(make_api(), make_response(b'{"status": "done", "result": {"id": ["x \\ud83d"]}}'))
    with pytest.raises(UnstorableValueError, match=r"capture 'result_identifier': half a character in .* at \$\[0\]"):
        runner.run(wait(runner.api, plan, WaitCheckpoint(JobHandle(7), START)))


@pytest.mark.parametrize("kind", [FlowRunner, Resumed])
def test_each_poll_says_by_how_much_it_was_late(kind):
    late = Delay(9.0, Reason.CONNECTIONS)
    replies = [make_response({"status": status}) for status in ("running", "running", "done")]
    for reply in replies[:2]:
        reply.delay = late
    _, runner = played(kind(make_api(), *replies))
    assert [poll.delay for poll in runner.polls] == [late, late, None]


def test_the_delay_of_an_answer_is_that_of_each_job_in_it():
    late = Delay(9.0, Reason.EVENT_LOOP)
    replies = [among(status="running"), among(status="running"), among(status="done")]
    for reply in replies:
        reply.delay = late
    _, runner = passing(*replies)
    assert [poll.delay for poll in runner.polls] == [late] * 3


def test_the_last_poll_says_it_too():
    reply = make_response({"status": "running"})
    reply.delay = Delay(9.0, Reason.RATE)
    _, runner = played(FlowRunner(make_api(), reply), max_iterations=1)
    assert [poll.delay for poll in runner.polls] == [reply.delay]


# One poll


def polled(*replies: Any, job: JobHandle = JOB, **given: Any) -> tuple[JobHandle, FlowRunner]:
    runner = FlowRunner(make_api(), *replies)
    return runner.run(get_job(runner.api, WaitPlan.parse(plan_fields(**given)), job)), runner


def test_one_poll_tells_how_a_job_is_whatever_that_is():
    assert polled(RUNNING)[0].status == "running"
    handle, runner = polled(make_response({"status": "failed"}))
    assert (handle.outcome, runner.paths, runner.sleeps) == (Outcome.FAILURE, ["GET /jobs/7"], [])
    assert "which none of the given values or rules lists" in polled(make_response({"status": "odd"}))[1].log_text


def test_one_poll_asks_for_the_details_of_a_success():
    details = {"endpoint": "/jobs/7/result", "completion_key": "ok", "completion_value": True, "failure_value": False}
    handle, runner = polled(DONE, make_response({"ok": False}), status_details=details)
    assert (handle.outcome, runner.paths) == (Outcome.FAILURE, ["GET /jobs/7", "GET /jobs/7/result"])


def test_a_job_that_is_over_is_not_polled_once_more():
    over = dataclasses.replace(JOB, outcome=Outcome.NO_DATA)
    handle, runner = polled(job=over)
    assert (handle, runner.paths) == (over, [])


def test_one_poll_that_tells_nothing_is_an_error_that_names_the_job():
    with pytest.raises(UnavailableError) as raised:
        polled(make_response({}, 503))
    assert (raised.value.job, raised.value.status_code) == ("7", 503)
