"""A job that nobody wants any more is cancelled, unless it is over."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_asyncapi.core.jobs.cancel import Cancellation
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.wait.cancel_flow import cancel_if_running
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from tests.unit.core.flow_runner import FlowRunner, make_api, make_lost_error, make_response, plan_fields

CANCEL = {"method": "DELETE", "endpoint": "/jobs/{identifier}"}
POLLED, CANCELLED = "GET /jobs/7", "DELETE /jobs/7"


def abandoned(*replies: Any, **given: Any) -> tuple[Cancellation, FlowRunner]:
    runner = FlowRunner(make_api(), *replies)
    plan = WaitPlan.parse(plan_fields(**{"cancel": CANCEL, **given}))
    return runner.run(cancel_if_running(runner.api, plan, JobHandle(7), "the task was killed")), runner


@pytest.mark.parametrize("given", [{}, {"initial_delay": 3600}, {"max_iterations": 1}], ids=str)
def test_a_job_that_runs_is_cancelled_after_one_poll(given):
    agreed, runner = abandoned(
        make_response({"status": "running"}), make_response(None, 204), make_response({"status": "failed"}), **given
    )
    assert agreed.is_accepted
    assert runner.paths == [POLLED, CANCELLED, POLLED]
    assert runner.limits == [5, 30, 5.5]
    assert (
        runner.log_text
        == "Job 7: the API has accepted the cancel (the task was killed), and the job has status 'failed' now"
    )


@pytest.mark.parametrize("status", ["done", "failed"])
def test_a_job_that_is_over_is_left_alone(status):
    agreed, runner = abandoned(make_response({"status": status}))
    assert (agreed.is_accepted, agreed.handle.status) == (False, status)
    assert agreed.summary == f"the job was over already, with status {status!r}"
    assert runner.paths == [POLLED]
    assert "Job 7 is over, so it isn't cancelled (the task was killed)" in runner.log_text


@pytest.mark.parametrize(
    "reply",
    [
        make_response(None, 404),
        make_response(None, 401),
        make_response(b"<html>"),
        make_response(None, 503),
        make_lost_error(),
    ],
)
def test_a_job_whose_status_cannot_be_told_is_cancelled(reply):
    agreed, runner = abandoned(reply, make_response(None, 204), make_response(None, 404))
    assert agreed.is_accepted
    assert runner.paths == [POLLED, CANCELLED, POLLED]


def test_without_a_request_for_it_nothing_is_asked():
    agreed, runner = abandoned(cancel=None)
    assert not agreed.is_accepted
    assert agreed.summary == "there is no cancel request, so it may still be running"
    assert runner.requests == []


def test_a_job_that_was_known_to_be_over_is_left_alone_without_a_poll():
    runner = FlowRunner(make_api())
    plan = WaitPlan.parse(plan_fields(cancel=CANCEL))
    assert not runner.run(cancel_if_running(runner.api, plan, JobHandle(7, Outcome.SUCCESS), "why")).is_accepted
    assert runner.requests == []


def test_the_cancel_may_name_what_the_poll_before_it_has_found():
    agreed, runner = abandoned(
        make_response({"status": "running", "lease": "l-9"}),
        make_response(None, 204),
        make_response(None, 404),
        cancel={"endpoint": "/leases/{lease}"},
        capture={"lease": "lease"},
    )
    assert agreed.is_accepted
    assert runner.paths == [POLLED, "POST /leases/l-9", POLLED]


def test_a_job_that_cannot_be_asked_is_cancelled_without_a_poll():
    agreed, runner = abandoned(make_response(None, 204), endpoint=None, callback=True)
    assert agreed.is_accepted
    assert runner.paths == [CANCELLED]
