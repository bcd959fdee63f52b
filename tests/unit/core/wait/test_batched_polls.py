from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
    AuthenticationError,
    DeadlineExceededError,
    JobFailedError,
    UnavailableError,
)
from airflow_provider_asyncapi.core.http import messages
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.status.policy import StatusPolicy
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from tests.unit.core.flow_runner import (
    BASE,
    START,
    FlowRunner,
    make_lost_error,
    make_response,
)
from tests.unit.core.wait.waits import BATCH, DONE, among, passing, state, waited
from tests.unit.recorded_calls import recorded


def in_a_batch(
    *replies: Any, at: WaitCheckpoint | None = None, absent: str | None = None, **given: Any
) -> tuple[JobHandle, FlowRunner]:
    return waited(*replies, at=at, batch={**BATCH, "absent": absent}, **given)


def test_each_job_is_told_its_own_item():
    replies = [among(status="running", percent=40), among(status="done", file="f-1")]
    handle, runner = in_a_batch(*replies, progress="percent", capture={"file": "file"})
    assert (handle.outcome, handle.progress, handle.variables["file"]) == (Outcome.SUCCESS, 1.0, "f-1")
    assert runner.paths == ["GET /jobs?ids=7"] * 2
    assert handle.urls == {"status": f"{BASE}/jobs"}


@pytest.mark.parametrize("fingerprint", [None, b"x" * 5000], ids=["nested too deeply", "large"])
def test_an_item_that_is_not_kept_for_comparing_is_read_each_time(fingerprint, monkeypatch):
    classified: list[Any] = []
    classify = StatusPolicy.classify
    monkeypatch.setattr(messages, "freeze", lambda _: fingerprint)
    monkeypatch.setattr(StatusPolicy, "classify", recorded(classify, classified, lambda *given: given))
    handle, _ = in_a_batch(among(status="running"), among(status="running"), among(status="done"))
    assert handle.outcome is Outcome.SUCCESS
    assert len(classified) == 3


def test_an_item_can_say_why_its_job_failed():
    with pytest.raises(JobFailedError, match=r"status failed: no rows \(GET https://api.example.com/v1/jobs"):
        in_a_batch(among(status="failed", why="no rows"), error_message="why")


def test_rules_look_at_the_item():
    handle, _ = in_a_batch(
        among(parts=[1]), among(parts=[]), rules=[{"selector": "parts", "exists": False, "outcome": "success"}]
    )
    assert handle.outcome is Outcome.SUCCESS


def test_a_job_that_is_absent_is_asked_for_singly():
    handle, runner = in_a_batch(make_response({"jobs": []}), DONE)
    assert handle.outcome is Outcome.SUCCESS
    assert runner.paths == ["GET /jobs?ids=7", "GET /jobs/7"]


@pytest.mark.parametrize(("absent", "outcome"), [("success", Outcome.SUCCESS), ("running", Outcome.SUCCESS)])
def test_that_a_job_is_absent_may_mean_something(absent, outcome):
    handle, runner = in_a_batch(make_response({"jobs": []}), among(status="done"), absent=absent)
    assert handle.outcome is outcome
    assert len(runner.requests) == (1 if absent == "success" else 2)


def test_that_a_job_is_absent_may_mean_that_it_failed():
    with pytest.raises(JobFailedError, match="has status absent"):
        in_a_batch(make_response({"jobs": []}), absent="failure")


def test_that_a_job_is_absent_may_be_a_passing_error():
    handle, runner = in_a_batch(make_response({"jobs": []}), among(status="done"), absent="retry")
    assert handle.outcome is Outcome.SUCCESS
    assert "the response doesn't contain job 7; polling again in 10 s" in runner.log_text


def test_without_an_endpoint_it_is_always_the_batch_that_is_sent():
    with pytest.raises(UnavailableError, match="doesn't contain job 7"):
        in_a_batch(*[make_response({})] * 3, endpoint=None, max_consecutive_errors=3)


def test_errors_of_the_batch_are_borne_as_those_of_a_poll():
    replies = [
        make_response({}, 503, retry_after="20"),
        make_lost_error(),
        make_response(b"<html>"),
        among(status="done"),
    ]
    handle, runner = in_a_batch(*replies)
    assert handle.outcome is Outcome.SUCCESS
    assert runner.sleeps == [20, 20, 40]
    assert [poll.errors for poll in runner.polls] == [1, 2, 3, 0]


def test_a_batch_that_is_refused_is_fatal():
    with pytest.raises(AuthenticationError):
        in_a_batch(make_response({}, 401))


def test_a_batch_counts_against_the_polls_and_the_deadline():
    with pytest.raises(DeadlineExceededError, match="2 polls"):
        in_a_batch(*[among(status="running")] * 2, max_iterations=2)
    with pytest.raises(DeadlineExceededError, match="the deadline"):
        in_a_batch(*[among(status="running")] * 3, at=state(deadline=START + 15))


def test_a_job_whose_item_stays_the_same_is_not_woken_and_its_polls_are_counted():
    again = [among(status="running")] * 4
    handle, runner = passing(*again, among(status="running", percent=3), among(status="done"))
    assert handle.outcome is Outcome.SUCCESS
    assert (len(runner.requests), runner.resumed) == (6, 3)
    assert [(poll.polls, poll.changed) for poll in runner.polls] == [
        (1, True), (2, False), (3, False), (4, False), (5, False), (6, True),
    ]  # fmt: skip


def test_what_is_news_of_other_jobs_wakes_nobody_else():
    others = [make_response({"jobs": [{"id": 7, "status": "running"}, {"id": 8, "at": at}]}) for at in range(4)]
    _, runner = passing(*others, among(status="done"))
    assert runner.resumed == 2


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"ready": 0}, {"ready": False}),
        ({"ready": 1}, {"ready": True}),
        ({"ready": 1}, {"ready": 1.0}),
        ({"ready": "1"}, {"ready": 1}),
    ],
)
def test_equal_for_python_is_not_the_same(first, then):
    _, runner = passing(among(status="running", **first), among(status="running", **then), among(status="done"))
    assert runner.resumed == 3


@pytest.mark.parametrize(
    "news",
    [
        make_lost_error(),
        make_response({}, 503),
        make_response({"jobs": []}),
        make_response({"jobs": [{"id": 7, "status": "running"}]}, retry_after="30"),
    ],
)
def test_an_error_an_absence_and_a_retry_after_wake_the_flow(news):
    single = [DONE] if news.__class__ is Response and b"[]" in news.body else []
    _, runner = passing(among(status="running"), among(status="running"), news, *single, among(status="done"))
    assert runner.resumed == (2 if isinstance(news, AsyncApiError) else 3)
    assert runner.polls[1].polls == 2
    assert runner.polls[-1].polls == (3 if single else 4)


def test_after_an_error_the_first_good_answer_is_seen_by_the_flow():
    replies = [
        among(status="running"),
        make_lost_error(),
        among(status="running"),
        make_lost_error(),
        among(status="done"),
    ]
    handle, runner = passing(*replies, max_consecutive_errors=2)
    assert handle.outcome is Outcome.SUCCESS
    assert [poll.errors for poll in runner.polls] == [0, 1, 0, 1, 0]


def test_jobs_that_are_not_woken_end_by_the_polls_allowed_and_by_the_deadline():
    error, runner = passing(*[among(status="running")] * 5, max_iterations=5)
    assert isinstance(error, DeadlineExceededError)
    assert (len(runner.requests), runner.resumed) == (5, 2)
    error, runner = passing(*[among(status="running")] * 6, at=state(deadline=START + 45))
    assert "the deadline" in str(error)
    # Woken in time to make the last poll at the deadline, not some time after it.
    assert runner.times[-1] == 45


@pytest.mark.parametrize("given", [{"backoff": 2}, {"jitter": 0.1}, {"capture": {"at": "header:X-At"}}])
def test_where_each_poll_may_mean_something_each_wakes_the_flow(given):
    _, runner = passing(*[among(status="running")] * 3, among(status="done"), **given)
    assert runner.resumed == 4
