from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.errors import (
    AuthenticationError,
    BodyTooLargeError,
    ContentError,
    DeadlineExceededError,
    JobFailedError,
    JobNotFoundError,
    RequestRejectedError,
    UnavailableError,
    UnsafeContentError,
)
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.outcome import Outcome
from tests.unit.core.flow_runner import (
    BASE,
    START,
    FlowRunner,
    make_api,
    make_lost_error,
    make_response,
)
from tests.unit.core.wait.waits import DONE, RUNNING, run, state, waited

# Errors


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 521])
def test_transient_errors_back_off(status):
    trouble = make_response({"message": "busy"}, status)
    _, runner = waited(trouble, trouble, trouble, RUNNING, trouble, DONE, retry_delays={429: 77})
    assert runner.sleeps == ([77, 77, 77, 10, 77] if status == 429 else [10, 20, 40, 10, 10])
    assert [poll.errors for poll in runner.polls] == [1, 2, 3, 0, 1, 0]
    assert f"GET {BASE}/jobs/7 answered {status}: busy; polling again in" in runner.log_text


def test_lost_answers_back_off_and_end():
    runner = FlowRunner(make_api(), *[make_lost_error()] * 3)
    with pytest.raises(UnavailableError, match=r"the connection broke \(3 errors in a row\)"):
        run(runner, max_consecutive_errors=3)
    assert runner.sleeps == [10, 20]


def make_size_error(status: int) -> BodyTooLargeError:
    error = BodyTooLargeError(f"GET … answered {status} with a body of more than 5 bytes, which isn't read")
    error.head = make_response(b"", status)
    return error


def test_a_rule_of_the_status_code_decides_though_the_body_is_too_large():
    rules = [
        {"selector": "status_code", "in": 202, "outcome": "running"},
        {"selector": "status_code", "in": 200, "outcome": "success"},
    ]
    job, runner = waited(make_response({}, 202), make_size_error(202), make_size_error(200), rules=rules)
    assert job.outcome is Outcome.SUCCESS
    assert job.urls["status"] == f"{BASE}/jobs/7"
    assert (
        "answered 200 with a body of more than 5 bytes, which isn't read; a rule decides without it" in runner.log_text
    )
    assert [poll.errors for poll in runner.polls][-1] == 0


@pytest.mark.parametrize("error", [make_size_error(200), BodyTooLargeError("too large")])
def test_a_status_that_is_too_large_is_an_error_if_its_body_decides(error):
    _, runner = waited(error, DONE)
    assert [poll.errors for poll in runner.polls] == [1, 0]
    assert "poll a request whose response doesn't, or set a rule" in runner.log_text


def test_errors_before_a_restart_count_too():
    with pytest.raises(UnavailableError):
        waited(make_lost_error(), at=state(errors=9, polls=20))


@pytest.mark.parametrize(
    ("said", "wait_for"),
    [
        ("5", 5),
        ("0", 1),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60),
        ("3000", 3000),
        ("x", 10),
        (str(int(START) + 90), 90),
        (f"{int(START) + 90}000", 90),
        (str(int(START) - 90), 10),
    ],
)
@pytest.mark.parametrize("status", [200, 503])
def test_retry_after_is_obeyed(said, wait_for, status):
    _, runner = waited(make_response({"status": "running"}, status, retry_after=said), DONE)
    assert runner.sleeps == [wait_for]
    assert "Retry-After" not in runner.log_text


@pytest.mark.parametrize("status", [200, 429])
@pytest.mark.parametrize("said", ["100000", "1764342000", "1764342000000", "Sat, 28 Nov 2026 15:00:00 GMT"])
def test_a_retry_after_beyond_all_measure_is_shortened_and_that_is_said(said, status):
    _, runner = waited(make_response({"status": "running"}, status, retry_after=said), DONE)
    assert runner.sleeps == [3600]
    assert "waiting 3600 s at most (max_interval)" in runner.log_text
    _, runner = waited(make_response({"status": "running"}, status, retry_after=said), DONE, max_interval=7200)
    assert runner.sleeps == [7200]


@pytest.mark.parametrize(
    ("body", "said"),
    [(b"<html>Log in", "got an HTML page"), (b"", "got an empty body"), (b'{"status": ', "Expecting value at line 1")],
    ids=["HTML", "empty", "broken"],
)
def test_a_body_that_is_no_json_is_transient_but_ends_with_its_message(body, said):
    handle, runner = waited(make_response(body), DONE)
    assert handle.outcome is Outcome.SUCCESS
    assert runner.sleeps == [10]
    with pytest.raises(ContentError, match=said) as caught:
        waited(make_response(body), make_response(body), max_consecutive_errors=2)
    assert str(caught.value).startswith(f"GET {BASE}/jobs/7 answered 200: expected JSON")


@pytest.mark.parametrize(
    ("refused", "given"),
    [
        (
            make_response(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'),
            {"completion_key": ["xpath://a", "header:X-State"]},
        ),
        (UnsafeContentError("the body has more than 1048576 bytes"), {"completion_key": "header:X-State"}),
    ],
    ids=["XML with entities", "too long, says the driver"],
)
def test_a_body_that_is_not_read_is_transient_like_one_that_cannot_be_read(refused, given):
    handle, runner = waited(refused, make_response(x_state="done"), **given)
    assert handle.outcome is Outcome.SUCCESS
    assert runner.sleeps == [10]
    with pytest.raises(UnsafeContentError):
        waited(refused, refused, max_consecutive_errors=2, **given)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, AuthenticationError), (403, AuthenticationError), (404, JobNotFoundError), (410, JobNotFoundError),
     (400, RequestRejectedError), (304, RequestRejectedError), (501, RequestRejectedError),
     (505, RequestRejectedError)],
)  # fmt: skip
def test_final_errors_end_the_wait(status, kind):
    with pytest.raises(kind, match="no such thing") as raised:
        waited(make_response({"mine": "no such thing"}, status), error_message="mine")
    assert (raised.value.url, raised.value.status_code) == (f"{BASE}/jobs/7", status)
    assert (raised.value.job, raised.value.status, raised.value.message) == ("7", None, "no such thing")


def test_an_error_tells_the_job_its_last_status_and_the_message_of_the_api():
    with pytest.raises(JobFailedError) as failed:
        waited(RUNNING, make_response({"status": "failed", "mine": "out of rows"}), error_message="mine")
    error = failed.value
    assert (error.job, error.status, error.message, error.status_code) == ("7", "failed", "out of rows", 200)
    with pytest.raises(DeadlineExceededError) as late:
        waited(RUNNING, max_iterations=1)
    assert (late.value.job, late.value.status, late.value.message) == ("7", "running", None)


def test_a_job_that_failed_for_reasons_told_elsewhere_has_the_message_of_the_last_request():
    details = [{"endpoint": "/jobs/7/log", "error_message": "line"}]
    with pytest.raises(JobFailedError) as failed:
        waited(make_response({"status": "failed"}), make_response({"line": "disk full"}), failure_details=details)
    assert failed.value.message == "disk full"
    assert str(failed.value).endswith(f"disk full (GET {BASE}/jobs/7/log answered 200)")


def test_an_answer_that_cannot_be_read_ends_with_an_error_that_tells_its_status_code():
    with pytest.raises(ContentError) as raised:
        waited(make_response(b"<html>"), max_consecutive_errors=1)
    assert (raised.value.method, raised.value.status_code) == ("GET", 200)


def test_a_token_is_renewed_on_the_way():
    api = make_api(auth="login", login_request={"endpoint": "/login"}, login_selector="t")
    runner = FlowRunner(
        api, make_response({"t": "one1"}), RUNNING, make_response({}, 401), make_response({"t": "two2"}), DONE
    )
    assert run(runner).outcome is Outcome.SUCCESS
    assert runner.sleeps == [10]


def test_a_login_that_fails_in_passing_is_transient():
    api = make_api(auth="login", login_request={"endpoint": "/login"}, login_selector="t")
    runner = FlowRunner(api, make_response({}, 503), make_response({"t": "one1"}), DONE)
    assert run(runner).outcome is Outcome.SUCCESS
    assert runner.sleeps == [10]


def test_a_job_that_cannot_be_seen_yet_is_waited_for():
    gone = make_response({"message": "unknown job"}, 404)
    handle, runner = waited(gone, gone, gone, DONE, visible_after=25)
    assert handle.outcome is Outcome.SUCCESS
    assert runner.polls[0].errors == 0
    with pytest.raises(JobNotFoundError):
        waited(gone, gone, gone, gone, visible_after=25)


def test_a_job_of_unknown_age_is_taken_for_as_old_as_the_wait():
    handle, runner = waited(
        make_response({}, 404), make_response({}, 404), DONE, at=state(JobHandle("7")), visible_after=25
    )
    assert handle.outcome is Outcome.SUCCESS
    assert runner.sleeps == [10, 10]
    with pytest.raises(JobNotFoundError):
        waited(*[make_response({}, 404)] * 4, at=state(JobHandle("7")), visible_after=25)
