from __future__ import annotations

import logging

import pytest

from airflow_provider_asyncapi.core.errors import (
    MissingValueError,
    PartialResultError,
    ResultError,
    ResultTooLargeError,
    UnavailableError,
    UnknownVariableError,
)
from airflow_provider_asyncapi.core.fetch.flow import clean_up_job
from airflow_provider_asyncapi.core.jobs.cleanup import Cleanup, CleanupOn, classify_end
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from tests.unit.core.fetch.fetches import fetching
from tests.unit.core.flow_runner import BASE, FlowRunner, make_api, make_lost_error, make_response

# Cleanup


def cleaning(*replies, end="success", **given):
    runner = FlowRunner(make_api(), *replies)
    cleanup = {"endpoint": "/jobs/{identifier}", **given.pop("cleanup", {})}
    runner.run(fetching(runner.api, cleanup=cleanup, **given).clean_up(CleanupOn(end)))
    return runner


@pytest.mark.parametrize("status", [204, 404, 410])
def test_the_job_is_removed_or_gone_already(status):
    runner = cleaning(make_response(None, status))
    assert runner.paths == ["DELETE /jobs/7"]
    assert runner.logs == [(logging.INFO, f"cleanup: DELETE {BASE}/jobs/7 answered {status}")]


@pytest.mark.parametrize(
    "replies",
    [[make_response({"detail": "no"}, 403)], [make_lost_error()] * 5, [make_response({}, 302, location="ftp://x/")]],
    ids=["refused", "lost", "redirected"],
)
def test_a_failing_cleanup_is_only_logged(replies):
    level, message = cleaning(*replies).logs[-1]
    assert level == logging.WARNING
    assert "; the API may keep the job's data" in message


def test_a_cleanup_without_its_variable_is_only_logged():
    runner = cleaning(handle=JobHandle(None))
    assert runner.requests == []
    assert "the variable {identifier} is null" in runner.log_text


def test_a_task_that_fetches_nothing_can_clean_up_too():
    runner = FlowRunner(make_api(), make_response({}, 204))
    cleanup = Cleanup.parse(
        {"cleanup": {"endpoint": "/jobs/{identifier}"}},
        default=[CleanupOn.FAILURE],
        possible=list(CleanupOn),
        complete=True,
    )
    assert cleanup is not None
    runner.run(clean_up_job(runner.api, cleanup, JobHandle("7"), CleanupOn.NO_DATA))
    assert runner.requests == []
    runner.run(clean_up_job(runner.api, cleanup, JobHandle("7"), CleanupOn.FAILURE))
    assert runner.paths == ["DELETE /jobs/7"]


def test_a_cleanup_that_is_answered_with_another_page_is_done():
    runner = cleaning(make_response({}, 303, location="/v1/jobs"))
    assert runner.logs == [(logging.INFO, f"cleanup: DELETE {BASE}/jobs/7 answered 303")]


def test_a_cleanup_that_is_moved_is_followed_and_named():
    runner = cleaning(make_response({}, 307, location="/v2/jobs/7"), make_response({}, 405))
    assert runner.logs[0][1].startswith(
        f"cleanup: DELETE https://api.example.com/v2/jobs/7 (redirected from DELETE {BASE}/jobs/7) answered 405"
    )


def test_a_cleanup_may_have_rules():
    runner = cleaning(
        make_response({}, 409), cleanup={"rules": [{"selector": "status_code", "in": 409, "outcome": "success"}]}
    )
    assert runner.logs[-1][0] == logging.INFO


@pytest.mark.parametrize(
    ("cleanup_on", "ends"),
    [
        (None, {"success"}),
        ("failure", {"failure"}),
        (["success", "no_data", "partial", "failure"], {"success", "no_data", "partial", "failure"}),
    ],
)
def test_a_cleanup_is_sent_after_the_ends_that_it_is_wanted_after(cleanup_on, ends):
    for end in CleanupOn:
        runner = cleaning(make_response({}), end=end, cleanup_on=cleanup_on)
        assert runner.paths == (["DELETE /jobs/7"] if end in ends else [])


@pytest.mark.parametrize(
    ("error", "is_final", "end"),
    [
        (PartialResultError("2 of 3 failed"), False, CleanupOn.PARTIAL),
        (ResultError("a rule takes it for a failure"), True, CleanupOn.FAILURE),
        (UnavailableError("503"), True, CleanupOn.FAILURE),
        (UnavailableError("503"), False, None),
        (MissingValueError("result_path: found nothing"), True, None),
        (UnknownVariableError("{x}"), True, None),
        (ResultTooLargeError("max_bytes"), True, None),
        (OSError("disk full"), True, None),
        (None, True, None),
    ],
)
def test_a_fetch_that_may_still_be_made_is_no_failure(error, is_final, end):
    assert classify_end(error, is_final=is_final) is end


def test_without_a_cleanup_nothing_is_sent():
    runner = FlowRunner(make_api())
    runner.run(fetching(runner.api).clean_up(CleanupOn.SUCCESS))
    assert runner.requests == []
