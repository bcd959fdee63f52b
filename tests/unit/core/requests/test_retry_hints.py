"""The hints by which an API asks for a wait: Retry-After, and the fields that retry_after selects."""

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.requests.retry_hints import read_retry_after
from airflow_provider_asyncapi.core.requests.schedule import PollSchedule
from airflow_provider_asyncapi.core.submit.flow import submit
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from airflow_provider_asyncapi.core.submit.submission import Submission
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.flow import wait
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from tests.unit.core.flow_runner import START, FlowRunner, make_api, make_response, plan_fields

DONE = make_response({"status": "done"})


def read(retry_after, response):
    return read_retry_after(make_api(), PollSchedule.parse({"retry_after": retry_after}), response)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (30, 30.0),
        ("2.5", 2.5),
        (START + 40, 40.0),
        (str(int(START) + 40), 40.0),
        ((START + 40) * 1000, 40.0),
        ("2023-11-14T22:14:20Z", 60.0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        (START - 40, 0.0),
        ("2023-11-14T00:00:00Z", 0.0),
        (START * 3, 366 * 86400.0),
        (10**9 + 1, 0.0),
        (9e8, 366 * 86400.0),
        (-1, None),
        ("soon", None),
        (True, None),
        ([1, 2], None),
        (None, None),
    ],
)
def test_a_hint_is_read_as_seconds_or_as_a_time(value, seconds):
    assert read("wait", make_response({"wait": value}, 503)) == seconds


def test_without_a_response_there_is_no_hint():
    assert read("wait", None) is None


@pytest.mark.parametrize(
    ("selectors", "seconds"),
    [
        ("header:X-Reset", 7.0),
        (["wait", "header:X-Reset"], 7.0),
        (["missing", "nothing.here"], 3.0),
        ("header:X-Text regex:in (\\d+) s", 12.0),
    ],
)
def test_the_first_selector_that_finds_a_time_counts_and_then_retry_after(selectors, seconds):
    html = make_response(b"<html>", 429, x_reset="7", x_text="try again in 12 s", retry_after="3")
    assert read(selectors, html) == seconds


@pytest.mark.parametrize(("status", "seconds"), [(200, None), (429, 50.0)])
def test_a_field_of_a_rate_limit_counts_only_with_an_error(status, seconds):
    selector = "header:X-RateLimit-Reset"
    assert read(selector, make_response({}, status, x_ratelimit_reset=str(int(START) + 50))) == seconds


def test_a_hint_of_a_good_response_sets_the_pause_until_the_next_poll():
    runner = FlowRunner(make_api(), *[make_response({"status": "run", "poll_in": 3})] * 3, DONE)
    plan = WaitPlan.parse(plan_fields(retry_after="poll_in"))
    runner.run(wait(runner.api, plan, WaitCheckpoint(JobHandle("7"), START)))
    assert runner.times == [0, 3, 6, 9]


def test_a_hint_of_an_error_sets_the_pause_until_the_next_poll():
    limited = make_response({}, 429, x_ratelimit_reset=str(int(START) + 90))
    runner = FlowRunner(make_api(), limited, DONE)
    plan = WaitPlan.parse(plan_fields(retry_after="header:X-RateLimit-Reset"))
    runner.run(wait(runner.api, plan, WaitCheckpoint(JobHandle("7"), START)))
    assert runner.times == [0, 90]


def test_a_hint_beyond_the_deadline_allows_no_other_poll():
    runner = FlowRunner(make_api(), make_response({"status": "run", "poll_in": 500}))
    plan = WaitPlan.parse(plan_fields(retry_after="poll_in"))
    with pytest.raises(Exception, match="wasn't done by the deadline"):
        runner.run(wait(runner.api, plan, WaitCheckpoint(JobHandle("7"), START, START + 100)))
    assert runner.times == [0]


def test_a_very_long_hint_is_cut_at_an_hour_with_a_warning():
    runner = FlowRunner(make_api(), make_response({"status": "run", "poll_in": 7200}), DONE)
    plan = WaitPlan.parse(plan_fields(retry_after="poll_in"))
    runner.run(wait(runner.api, plan, WaitCheckpoint(JobHandle("7"), START)))
    assert runner.times == [0, 3600]
    assert "asks for a wait of 7200 s; waiting 3600 s at most" in runner.log_text


def test_the_items_of_a_batch_have_hints_too():
    items = [
        make_response({"jobs": [{"id": "7", "status": status, "poll_in": 4}]}) for status in ("run", "run", "done")
    ]
    runner = FlowRunner(make_api(), *items)
    batch = {"endpoint": "/jobs?ids={identifiers}", "items": "jobs[*]", "id": "id"}
    plan = WaitPlan.parse({**plan_fields(batch=batch, retry_after="poll_in"), "endpoint": None})
    runner.run(wait(runner.api, plan, WaitCheckpoint(JobHandle("7"), START)))
    assert runner.times == [0, 4, 8]


def test_a_submit_that_is_repeated_waits_as_the_hint_says():
    given = {"endpoint": "/jobs", "identifier": "id", "retry_after": "header:X-RateLimit-Reset"}
    limited = make_response({}, 429, x_ratelimit_reset=str(int(START) + 20))
    runner = FlowRunner(make_api(), limited, make_response({"id": "7"}))
    assert runner.run(submit(runner.api, SubmitPlan.parse(given), Submission("k", 0))).identifier == "7"
    assert runner.times == [0, 20]


def test_a_submit_that_would_have_to_wait_too_long_names_the_time():
    given = {"endpoint": "/jobs", "identifier": "id", "retry_after": "wait"}
    runner = FlowRunner(make_api(), make_response({"wait": 3000}, 429))
    with pytest.raises(Exception, match="the next try may be in 3000 s, which is too long for a worker"):
        runner.run(submit(runner.api, SubmitPlan.parse(given), Submission("k", 0)))


def test_a_fetch_has_the_same_parameter():
    plan = FetchPlan.parse({"endpoint": "/x", "retry_after": ["a", "b"]})
    assert str(plan.schedule.retry_after) == "'a' or 'b'"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("header:", "retry_after: malformed selector"),
        ([], "retry_after: at least one selector"),
        (5, "retry_after: a selector has to be a string"),
        ("waits.{identifier}", r"retry_after: 'waits.{identifier}' names {identifier}, and only {connection.<name>}"),
    ],
)
def test_an_invalid_hint_is_refused(given, message):
    with pytest.raises(ConfigurationError, match=message):
        PollSchedule.parse({"retry_after": given})


def test_a_hint_may_name_a_variable_of_the_connection():
    assert PollSchedule.parse({"retry_after": "waits.{connection.region}"}).retry_after is not None
