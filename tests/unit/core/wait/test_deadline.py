from __future__ import annotations

import contextlib
import logging
import re

import pytest

from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
    DeadlineExceededError,
    SlowResponseError,
    UnsafeContentError,
    read_error,
)
from airflow_provider_asyncapi.core.wait.ending import raise_deadline_error
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from tests.unit.core.flow_runner import (
    START,
    Clock,
    FlowRunner,
    make_api,
    make_lost_error,
    make_response,
    plan_fields,
)
from tests.unit.core.wait.waits import CANCEL, DONE, RUNNING, run, state

# Cancelling


@pytest.mark.parametrize(("deadline", "limits"), [(None, [None, None]), (25, [30, 30]), (-60, [5, 15])])
def test_no_poll_lasts_longer_than_a_moment_past_the_deadline(deadline, limits):
    at = state(deadline=None if deadline is None else START + deadline)
    runner = FlowRunner(make_api(), RUNNING, DONE)
    with contextlib.suppress(DeadlineExceededError):
        run(runner, at)
    assert runner.limits == limits[: len(runner.limits)]


def test_on_the_deadline_the_job_is_cancelled():
    runner = FlowRunner(
        make_api(), RUNNING, make_response(None, 204), make_response({"status": "stopped"}), forever=True
    )
    accepted = "after 0 s and 1 poll; the API has accepted the cancel, and the job has status 'stopped' now"
    with pytest.raises(DeadlineExceededError, match=accepted) as raised:
        run(runner, state(deadline=START), **CANCEL)
    assert runner.paths == ["GET /jobs/7", "DELETE /jobs/7", *["GET /jobs/7"] * 3]
    # Another process publishes what has happened, and when.
    stored = read_error(raised.value.dump())
    assert stored.ended_at == START
    assert stored.cancellation == "the API has accepted the cancel, and the job has status 'stopped' now"
    assert stored.status == "stopped", "the status after the cancel, which people see last"


def test_a_job_that_runs_on_though_the_api_has_accepted_the_cancel_is_said_to_run():
    runner = FlowRunner(make_api(), RUNNING, make_response(None, 204), RUNNING, forever=True)
    with pytest.raises(
        DeadlineExceededError, match="accepted the cancel, but the job still has status 'running', 4 s later"
    ):
        run(runner, state(deadline=START), **CANCEL)
    assert runner.logs[-1][0] == logging.WARNING


def test_a_poll_after_the_cancel_that_fails_is_said():
    runner = FlowRunner(make_api(), RUNNING, make_response(None, 204), make_response(None, 503), forever=True)
    with pytest.raises(
        DeadlineExceededError, match=r"the job's status is unknown, so it may still be running: GET .* 503"
    ):
        run(runner, state(deadline=START), **CANCEL)


@pytest.mark.parametrize(
    ("given", "replies", "became"),
    [({}, [], ""), (CANCEL, [make_response(status=204)], "; the API has accepted the cancel")],
)
def test_a_wait_whose_answer_is_looked_at_beyond_the_deadline_is_ended_without_another_look(given, replies, became):
    runner, slow = FlowRunner(make_api(Clock(START + 60)), *replies), SlowResponseError("GET /jobs/7: too slow")
    plan, at = WaitPlan.parse(plan_fields(**given)), state(polls=2, deadline=START + 50)
    expected = f"wasn't done by the deadline, after 60 s and 3 polls; the last poll failed: {slow}{became}"
    with pytest.raises(DeadlineExceededError, match=rf"{re.escape(expected)}$"):
        runner.run(raise_deadline_error(runner.api, plan, at, slow))
    assert runner.paths == ["DELETE /jobs/7"] * len(replies)


def test_a_cancel_that_fails_does_not_hide_the_reason():
    runner = FlowRunner(make_api(), RUNNING, make_response({}, 500), forever=True)
    with pytest.raises(
        DeadlineExceededError, match=r"and 1 poll; the cancel failed, so it may still be running: DELETE .* 500"
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
        UnsafeContentError(""),
    ],
    ids=["failure", "404", "401", "HTML", "no answer", "too long"],
)
def test_any_other_end_cancels_nothing(reply):
    runner = FlowRunner(make_api(), reply)
    with pytest.raises(AsyncApiError):
        run(runner, max_consecutive_errors=1, **CANCEL)
    assert len(runner.requests) == 1
