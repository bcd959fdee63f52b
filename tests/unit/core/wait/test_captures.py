from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.errors import (
    MissingValueError,
    UnstorableValueError,
)
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.outcome import RESULT_IDENTIFIER
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
from tests.unit.core.wait.waits import DONE, state, waited

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


def test_a_captured_value_that_airflow_cannot_store_ends_the_wait_with_its_name():
    plan = WaitPlan.parse(plan_fields(result_identifier="result.id"))
    runner = FlowRunner(make_api(), make_response(b'{"status": "done", "result": {"id": ["x \\ud83d"]}}'))
    with pytest.raises(UnstorableValueError, match=r"capture 'result_identifier': half a character in .* at \$\[0\]"):
        runner.run(wait(runner.api, plan, WaitCheckpoint(JobHandle(7), START)))
