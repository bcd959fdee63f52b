from __future__ import annotations

import logging

import pytest

from airflow_provider_asyncapi.core.flows.cancel import cancel
from airflow_provider_asyncapi.core.handle import JobHandle
from airflow_provider_asyncapi.core.names import Outcome
from airflow_provider_asyncapi.core.plans.step import Step
from tests.unit.core.flows.script import BASE, Script, answer, lost, make_api

HANDLE = JobHandle("7", urls={"submit": "https://api.example.com/v2/jobs"})


def step(**given) -> Step:
    return Step.parse({"endpoint": "/jobs/{identifier}", "method": "DELETE", **given}, "cancel", method="POST")


def test_a_job_is_cancelled():
    script = Script(make_api(), answer(None, 204))
    assert script.run(cancel(script.api, step(), HANDLE, "the task was cleared")) is True
    assert script.paths == ["DELETE /jobs/7"]
    assert script.logs == [(logging.INFO, "Job 7 was cancelled (the task was cleared)")]


def test_a_job_that_is_over_is_not_cancelled():
    script = Script(make_api())
    assert script.run(cancel(script.api, step(), JobHandle("7", Outcome.SUCCESS), "why")) is False
    assert script.requests == []


def test_cancelling_is_tried_a_few_times_within_half_a_minute():
    script = Script(make_api(), lost(), answer({}, 500), answer({}))
    assert script.run(cancel(script.api, step(), HANDLE, "why")) is True
    assert script.sleeps == [0.5, 1.0]
    assert script.limits == [30, 30, 30]


@pytest.mark.parametrize(
    "replies",
    [[answer({"detail": "too late"}, 409)], [lost()] * 3, [answer({}, 401)], [answer({}, 302, location="ftp://x/")]],
    ids=["refused", "lost", "401", "redirected"],
)
def test_no_error_leaves(replies):
    script = Script(make_api(), *replies)
    assert script.run(cancel(script.api, step(), HANDLE, "why")) is False
    level, message = script.logs[-1]
    assert level == logging.WARNING
    assert "Job 7 could not be cancelled (why) and may go on" in message


def test_a_variable_that_is_missing_is_only_logged():
    script = Script(make_api())
    assert script.run(cancel(script.api, step(endpoint="/{nothing}"), HANDLE, "why")) is False
    assert "{nothing}" in script.said


def test_rules_say_what_an_agreement_is():
    rules = [
        {"selector": "status_code", "in": [409], "outcome": "success"},
        {"selector": "error", "exists": True, "outcome": "failure"},
    ]
    script = Script(make_api(), answer({}, 409), answer({"error": "no"}))
    assert script.run(cancel(script.api, step(rules=rules), HANDLE, "why")) is True
    assert script.run(cancel(script.api, step(rules=rules), HANDLE, "why")) is False


def test_a_reference_is_resolved_against_the_submissions_address():
    handle = JobHandle("7", urls=HANDLE.urls, variables={"stop": "jobs/7/stop"})
    script = Script(make_api(), answer({}))
    script.run(cancel(script.api, step(endpoint="{stop}", method="POST"), handle, "why"))
    assert script.requests[0].url == "https://api.example.com/v2/jobs/7/stop"
    assert BASE not in script.requests[0].url
