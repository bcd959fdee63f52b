"""What polls tell users beyond the state of the job: problems, the last response, what the next pause follows from."""

from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.effects import PauseReason
from airflow_provider_asyncapi.core.errors import DeadlineExceededError
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.wait.poll_report import MAX_RESPONSE
from airflow_provider_asyncapi.core.wait.unclear_status import StatusProblem, StatusProblemKind
from tests.unit.core.flow_runner import BASE, START, FlowRunner, make_api, make_lost_error, make_response
from tests.unit.core.wait.waits import DONE, RUNNING, Resumed, run, state, waited


def test_a_response_without_a_status_leaves_a_status_problem_that_names_where_it_should_be():
    _, runner = waited(make_response({"state": "running"}), make_response({"state": "running"}), DONE)
    first, second, last = runner.polls
    assert first.status_problem is not None
    assert first.status_problem.kind is StatusProblemKind.STATUS_MISSING
    assert first.status_problem.message.startswith("No status found at 'status'")
    # The driver hasn't shown the second response to the flow, since it is the same.
    assert second.status_problem is first.status_problem
    assert (first.shown_response is None, second.shown_response is None) == (False, True)
    assert last.status_problem is None


def test_an_unknown_status_is_a_status_problem_of_its_own_and_ends_with_a_known_one():
    replies = [make_response({"status": name, "n": n}) for n, name in enumerate(["odd", "odd", "odder", "running"])]
    runner = FlowRunner(make_api(), *replies, DONE)
    run(runner)
    problems = [each.status_problem for each in runner.polls]
    assert problems[0] is not None
    assert problems[0].kind is StatusProblemKind.UNKNOWN_STATUS
    assert "'odd'" in problems[0].message
    assert problems[1] is problems[0], "the same status is the same problem"
    assert problems[2] is not None
    assert "'odder'" in problems[2].message
    # running isn't listed either.
    assert problems[3] is not None


def test_a_status_problem_outlasts_an_error():
    replies = [make_response({}), make_response(status=503), make_response({}), DONE]
    _, runner = waited(*replies)
    first, failed, again, _ = runner.polls
    assert first.status_problem is failed.status_problem is again.status_problem
    assert first.status_problem is not None
    assert failed.status_code == 503


def test_a_status_problem_is_read_back_from_a_summary():
    status_problem = StatusProblem(StatusProblemKind.UNKNOWN_STATUS, "Unknown status 'x'", "x")
    dumped = status_problem.dump()
    assert StatusProblem.parse(dumped["status_problem"], dumped["status_problem_message"]) == StatusProblem(
        StatusProblemKind.UNKNOWN_STATUS, "Unknown status 'x'"
    )
    assert StatusProblem.parse("x", "message") is None
    assert StatusProblem.parse([], "message") is None
    assert StatusProblem.parse("unknown_status", 7) is None


def test_a_report_comes_with_the_response_masked_and_cut():
    body = {"status": "running", "password": "planted", "more": "x" * 9000}
    _, runner = waited(make_response(body), DONE)
    answer = runner.polls[0].shown_response
    assert answer is not None
    assert (answer["request"], answer["status_code"]) == (f"GET {BASE}/jobs/7", 200)
    assert answer["content_type"] == "application/json"
    text = str(answer["text"])
    assert "planted" not in text
    assert "***" in text
    assert len(text) < MAX_RESPONSE + 50


def test_the_query_of_a_url_in_a_response_is_left_out():
    """It may be the signature with which anybody reads the result."""
    body = {"status": "running", "url": "https://store.example/f.csv?sig=planted&se=1", "why": "ready? yes=1"}
    _, runner = waited(make_response(body), DONE)
    answer = runner.polls[0].shown_response
    assert answer is not None
    assert "https://store.example/f.csv?…" in str(answer["text"])
    assert "planted" not in str(answer["text"])
    assert "ready? yes=1" in str(answer["text"])


def test_a_poll_that_finds_nothing_new_describes_nothing():
    resumed = Resumed(make_api(), RUNNING, RUNNING, DONE)
    run(resumed, running_value="running")
    _, unchanged, _ = resumed.polls
    assert (unchanged.shown_response, unchanged.pause_reason) == (None, None)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (RUNNING, PauseReason.INTERVAL),
        (make_response({"status": "running"}, retry_after="7"), PauseReason.REQUESTED),
        (make_response(status=503, retry_after="7"), PauseReason.ERROR),
        (make_lost_error(), PauseReason.ERROR),
    ],
)
def test_a_poll_says_what_the_next_pause_follows_from(reply, reason):
    _, runner = waited(reply, DONE)
    assert runner.polls[0].pause_reason is reason
    assert (runner.polls[0].shown_response is None) == (not isinstance(reply, Response))


def test_half_of_the_stall_timeout_is_the_time_from_which_a_job_counts_as_stalled():
    with pytest.raises(DeadlineExceededError):
        waited(RUNNING, RUNNING, RUNNING, RUNNING, at=state(deadline=START + 20), stall_timeout=600)
    _, runner = waited(RUNNING, DONE, stall_timeout=600)
    assert (runner.polls[0].stalled_at, runner.polls[0].unchanged_since) == (START + 300, START)
    _, runner = waited(RUNNING, DONE)
    assert (runner.polls[0].stalled_at, runner.polls[0].unchanged_since) == (None, None)
