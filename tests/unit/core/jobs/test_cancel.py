from __future__ import annotations

import logging

import pytest

from airflow_provider_asyncapi.core.effects import Sleep
from airflow_provider_asyncapi.core.errors import AsyncApiError, JobNotFoundError, UnavailableError
from airflow_provider_asyncapi.core.jobs.cancel import Cancellation, cancel
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.requests.request_step import RequestStep
from tests.unit.core.flow_runner import BASE, FlowRunner, make_api, make_lost_error, make_response

HANDLE = JobHandle("7", urls={"submit": "https://api.example.com/v2/jobs"})


def step(**given) -> RequestStep:
    return RequestStep.parse({"endpoint": "/jobs/{identifier}", "method": "DELETE", **given}, "cancel", method="POST")


def test_a_job_is_cancelled():
    runner = FlowRunner(make_api(), make_response(None, 204))
    assert runner.run(cancel(runner.api, step(), HANDLE, "the task was cleared")).is_accepted
    assert runner.paths == ["DELETE /jobs/7"]
    assert runner.logs == [(logging.INFO, "Job 7: the API has accepted the cancel (the task was cleared)")]


def poll_results(*found: JobHandle | AsyncApiError):
    """Return a function that polls the job's status, and receives these responses one after the other."""
    answers = iter(found)

    def look(_handle: JobHandle):
        yield from ()
        answer = next(answers)
        if isinstance(answer, AsyncApiError):
            raise answer
        return answer

    return look


RUNNING = JobHandle("7", status="running")
STILL = (logging.WARNING, "but the job still has status 'running', 4 s later")


@pytest.mark.parametrize(
    ("found", "level", "became"),
    [
        ([JobHandle("7", Outcome.FAILURE, "stopped")], logging.INFO, "and the job has status 'stopped' now"),
        # Nothing that this provider has been told about, but a status of its own.
        ([JobHandle("7", status="stopped")] * 3, logging.INFO, "and the job has status 'stopped' now"),
        ([RUNNING, JobHandle("7", Outcome.FAILURE, "stopped")], logging.INFO, "and the job has status 'stopped' now"),
        ([JobHandle("7", Outcome.SUCCESS, "done")], logging.INFO, "but the job was already over: it has status 'done'"),
        ([JobNotFoundError("404")], logging.INFO, "and no longer knows the job"),
        ([RUNNING] * 3, *STILL),
        ([UnavailableError("503")] * 2 + [RUNNING], *STILL),
        (
            [RUNNING, RUNNING, UnavailableError("answered 503")],
            logging.WARNING,
            "but the job's status is unknown, so it may still be running: answered 503",
        ),
    ],
)
def test_what_became_of_the_job_is_asked_and_told(found, level, became):
    runner = FlowRunner(make_api(), make_response(None, 202))
    cancellation = runner.run(cancel(runner.api, step(), RUNNING, "why", poll_results(*found)))
    latest = found[-1] if isinstance(found[-1], JobHandle) else RUNNING
    assert cancellation == Cancellation(True, f"the API has accepted the cancel, {became}", latest)
    assert runner.logs == [(level, f"Job 7: the API has accepted the cancel (why), {became}")]


def test_looking_what_became_of_the_job_ends_also_where_each_look_takes_long():
    runner = FlowRunner(make_api(), make_response(None, 202))
    asked = []

    def look(_handle):
        asked.append(runner.api.clock())
        yield Sleep(60.0)
        return RUNNING

    assert runner.run(cancel(runner.api, step(), RUNNING, "why", look)).is_accepted
    assert len(asked) == 1


def test_a_cancel_that_was_refused_is_followed_by_no_look():
    runner = FlowRunner(make_api(), make_response({"detail": "too late"}, 409))
    cancellation = runner.run(cancel(runner.api, step(), RUNNING, "why", poll_results()))
    assert not cancellation.is_accepted
    assert "the cancel failed, so it may still be running: DELETE" in cancellation.summary
    assert "too late" in cancellation.summary


def test_a_job_that_is_over_is_not_cancelled():
    runner = FlowRunner(make_api())
    assert not runner.run(cancel(runner.api, step(), JobHandle("7", Outcome.SUCCESS), "why")).is_accepted
    assert runner.requests == []


def test_cancelling_is_tried_a_few_times_within_half_a_minute():
    runner = FlowRunner(make_api(), make_lost_error(), make_response({}, 500), make_response({}))
    assert runner.run(cancel(runner.api, step(), HANDLE, "why")).is_accepted
    assert runner.sleeps == [0.5, 1.0]
    assert runner.limits == [30, 30, 30]


@pytest.mark.parametrize(
    "replies",
    [
        [make_response({"detail": "too late"}, 409)],
        [make_lost_error()] * 3,
        [make_response({}, 401)],
        [make_response({}, 302, location="ftp://x/")],
    ],
    ids=["refused", "lost", "401", "redirected"],
)
def test_no_error_leaves(replies):
    runner = FlowRunner(make_api(), *replies)
    assert not runner.run(cancel(runner.api, step(), HANDLE, "why")).is_accepted
    level, message = runner.logs[-1]
    assert level == logging.WARNING
    assert "Job 7 could not be cancelled (why) and may still be running" in message


def test_a_cancel_that_is_answered_with_a_303_is_an_agreement_though_the_page_is_gone():
    runner = FlowRunner(make_api(), make_response(None, 303, location="/v1/jobs"), make_response({}, 405))
    assert runner.run(cancel(runner.api, step(), HANDLE, "why"))
    assert runner.paths == ["DELETE /jobs/7", "GET /jobs"]


def test_a_variable_that_is_missing_is_only_logged():
    runner = FlowRunner(make_api())
    assert not runner.run(cancel(runner.api, step(endpoint="/{nothing}"), HANDLE, "why")).is_accepted
    assert "{nothing}" in runner.log_text


def test_rules_say_what_an_agreement_is():
    rules = [
        {"selector": "status_code", "in": [409], "outcome": "success"},
        {"selector": "error", "exists": True, "outcome": "failure"},
    ]
    runner = FlowRunner(make_api(), make_response({}, 409), make_response({"error": "no"}))
    assert runner.run(cancel(runner.api, step(rules=rules), HANDLE, "why")).is_accepted
    assert not runner.run(cancel(runner.api, step(rules=rules), HANDLE, "why")).is_accepted


def test_a_reference_is_resolved_against_the_submissions_address():
    handle = JobHandle("7", urls=HANDLE.urls, variables={"stop": "jobs/7/stop"})
    runner = FlowRunner(make_api(), make_response({}))
    runner.run(cancel(runner.api, step(endpoint="{stop}", method="POST"), handle, "why"))
    assert runner.requests[0].url == "https://api.example.com/v2/jobs/7/stop"
    assert BASE not in runner.requests[0].url
