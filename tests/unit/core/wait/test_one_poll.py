from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import (
    UnavailableError,
)
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from airflow_provider_asyncapi.core.wait.poll_flow import get_job
from tests.unit.core.flow_runner import (
    FlowRunner,
    make_api,
    make_response,
    plan_fields,
)
from tests.unit.core.wait.waits import DONE, JOB, RUNNING

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
