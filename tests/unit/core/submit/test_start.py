from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.errors import (
    AmbiguousSubmitError,
    JobFailedError,
    RedirectError,
    RequestRejectedError,
)
from airflow_provider_asyncapi.core.outcome import Outcome
from tests.unit.core.flow_runner import make_lost_error, make_response
from tests.unit.core.submit.submits import CREATED, SAYS_NO, rule, submitted

PAGE_AFTER = [
    make_response({"message": "busy"}, 503),
    make_response({"error": "gone"}, 404),
    make_lost_error(),
    make_response(None, 303, location="//"),
]


@pytest.mark.parametrize("page", PAGE_AFTER, ids=["503", "404", "lost", "nowhere"])
def test_a_start_that_is_answered_with_a_303_is_done_whatever_comes_of_the_next_page(page):
    start = {"endpoint": "/jobs/{identifier}/phase", "rules": SAYS_NO}
    handle, runner = submitted(CREATED, make_response(None, 303, location="/v1/jobs/7"), page, start=start)
    assert handle.outcome is Outcome.RUNNING
    assert runner.paths[1:] == ["POST /jobs/job-7/phase", "GET /jobs/7"]
    assert "answered 303, so it was carried out; the page after it: " in runner.log_text


def test_the_page_after_a_start_is_read_where_it_can_be():
    start = {"endpoint": "/jobs/{identifier}/phase", "capture": {"file": "file"}, "rules": SAYS_NO}
    handle, _ = submitted(
        CREATED, make_response(None, 303, location="/v1/jobs/7"), make_response({"file": "f-1"}), start=start
    )
    assert handle.variables["file"] == "f-1"
    with pytest.raises(JobFailedError, match="no stars"):
        submitted(
            CREATED, make_response(None, 303, location="/v1/jobs/7"), make_response({"error": "no stars"}), start=start
        )


def test_a_start_that_is_refused_is_refused():
    with pytest.raises(RequestRejectedError):
        submitted(CREATED, make_response({}, 409), start={"endpoint": "/jobs/{identifier}/phase"})
    with pytest.raises(RequestRejectedError):
        submitted(
            CREATED, make_response(None, 302, location="/login"), make_response({}, 404), start={"endpoint": "/start"}
        )
    with pytest.raises(RedirectError):
        submitted(
            CREATED, make_response(None, 302, location="/v1/start"), start={"endpoint": "/start", "method": "GET"}
        )


def test_a_job_may_need_several_requests_until_it_starts():
    upload = {"method": "PUT", "endpoint": "/jobs/{identifier}/data", "data": "a,b", "capture": {"part": "part"}}
    start = {"endpoint": "/jobs/{identifier}/close", "json": {"part": "{part}"}}
    handle, runner = submitted(CREATED, make_response({"part": 3}), make_response({}), start=[upload, start])
    assert runner.paths == ["POST /jobs", "PUT /jobs/job-7/data", "POST /jobs/job-7/close"]
    assert runner.requests[2].body == b'{"part":3}'
    assert handle.variables["part"] == 3


def test_nothing_more_is_sent_once_a_job_is_over():
    over = {"endpoint": "/jobs/{identifier}/start", "rules": [{"selector": "x", "in": 1, "outcome": "success"}]}
    handle, runner = submitted(CREATED, make_response({"x": 1}), start=[over, {"endpoint": "/never"}])
    assert runner.paths == ["POST /jobs", "POST /jobs/job-7/start"]
    assert handle.outcome == "success"


# Starting


START_STEP = {"endpoint": "/jobs/{identifier}/start"}


def test_a_job_is_started_after_it_was_made():
    handle, runner = submitted(
        CREATED, make_response({"queue": 4}), start={**START_STEP, "capture": {"queue": "queue"}}
    )
    assert runner.paths == ["POST /jobs", "POST /jobs/job-7/start"]
    assert handle.variables["queue"] == 4
    assert handle.outcome is Outcome.RUNNING
    assert "Started job job-7" in runner.log_text


def test_starting_has_rules_of_its_own():
    done = {**START_STEP, "rules": [rule("success", selector="state", **{"in": "done"})]}
    handle, runner = submitted(CREATED, make_response({"state": "done"}), start=done)
    assert handle.outcome is Outcome.SUCCESS
    assert "The job is over already" in runner.log_text
    no = {**START_STEP, "rules": [rule("failure", selector="state", **{"in": "no"})]}
    with pytest.raises(JobFailedError, match="start: POST") as raised:
        submitted(CREATED, make_response({"state": "no"}), start=no)
    assert raised.value.job == "job-7"


def test_starting_is_not_repeated_blindly_either():
    with pytest.raises(AmbiguousSubmitError, match=r"start: .*/jobs/job-7/start"):
        submitted(CREATED, make_lost_error(), start=START_STEP)


def test_the_start_knows_where_the_job_was_made():
    _handle, runner = submitted(
        make_response({"data": {"id": "jobs/7"}}), make_response({}), start={"endpoint": "{identifier}"}
    )
    assert runner.paths[1] == "POST /jobs/7"
