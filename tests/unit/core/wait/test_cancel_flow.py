"""A job that nobody wants any more is cancelled, unless it is over."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.wait.cancel_flow import cancel_if_running
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from tests.unit.core.flow_runner import Script, answer, lost, make_api, plan_fields

CANCEL = {"method": "DELETE", "endpoint": "/jobs/{identifier}"}
POLLED, CANCELLED = "GET /jobs/7", "DELETE /jobs/7"


def abandoned(*replies: Any, **given: Any) -> tuple[bool, Script]:
    script = Script(make_api(), *replies)
    plan = WaitPlan.parse(plan_fields(**{"cancel": CANCEL, **given}))
    return script.run(cancel_if_running(script.api, plan, JobHandle(7), "the task was killed")), script


@pytest.mark.parametrize("given", [{}, {"initial_delay": 3600}, {"max_iterations": 1}], ids=str)
def test_a_job_that_runs_is_cancelled_after_one_poll(given):
    agreed, script = abandoned(answer({"status": "running"}), answer(None, 204), answer({"status": "failed"}), **given)
    assert agreed
    assert script.paths == [POLLED, CANCELLED, POLLED]
    assert script.limits == [5, 30, 5.5]
    assert (
        script.said
        == "Job 7: the API has accepted the cancel (the task was killed), and the job has status 'failed' now"
    )


@pytest.mark.parametrize("status", ["done", "failed"])
def test_a_job_that_is_over_is_left_alone(status):
    agreed, script = abandoned(answer({"status": status}))
    assert not agreed
    assert script.paths == [POLLED]
    assert "Job 7 is over, so it isn't cancelled (the task was killed)" in script.said


@pytest.mark.parametrize("reply", [answer(None, 404), answer(None, 401), answer(b"<html>"), answer(None, 503), lost()])
def test_a_job_whose_status_cannot_be_told_is_cancelled(reply):
    agreed, script = abandoned(reply, answer(None, 204), answer(None, 404))
    assert agreed
    assert script.paths == [POLLED, CANCELLED, POLLED]


def test_without_a_request_for_it_nothing_is_asked():
    agreed, script = abandoned(cancel=None)
    assert not agreed
    assert script.requests == []


def test_a_job_that_was_known_to_be_over_is_left_alone_without_a_poll():
    script = Script(make_api())
    plan = WaitPlan.parse(plan_fields(cancel=CANCEL))
    assert not script.run(cancel_if_running(script.api, plan, JobHandle(7, Outcome.SUCCESS), "why"))
    assert script.requests == []


def test_the_cancel_may_name_what_the_poll_before_it_has_found():
    agreed, script = abandoned(
        answer({"status": "running", "lease": "l-9"}),
        answer(None, 204),
        answer(None, 404),
        cancel={"endpoint": "/leases/{lease}"},
        capture={"lease": "lease"},
    )
    assert agreed
    assert script.paths == [POLLED, "POST /leases/l-9", POLLED]


def test_a_job_that_cannot_be_asked_is_cancelled_without_a_poll():
    agreed, script = abandoned(answer(None, 204), endpoint=None, callback=True)
    assert agreed
    assert script.paths == [CANCELLED]
