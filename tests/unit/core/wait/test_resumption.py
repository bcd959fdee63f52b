from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
    AuthenticationError,
)
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.outcome import Outcome
from tests.unit.core.flow_runner import (
    BASE,
    START,
    FlowRunner,
    make_api,
    make_lost_error,
    make_response,
)
from tests.unit.core.wait.waits import DONE, RUNNING, Resumed, played, state

# Of a poll of its own, too, the flow needn't know


KNOWN_REPLIES: list[Response | AsyncApiError] = [
    RUNNING,
    make_response({"status": "running", "percent": 10}),
    make_response({"status": "running"}, retry_after="30"),
    make_response({"status": "queued"}),
    make_response({}, 503),
    make_response(b"<html>"),
    make_lost_error(),
    DONE,
    make_response({"status": "failed"}),
]


@given(
    replies=st.lists(st.sampled_from(KNOWN_REPLIES), min_size=1, max_size=12).flatmap(st.permutations),
    options=st.fixed_dictionaries(
        {},
        optional={
            "backoff": st.just(1.5),
            "jitter": st.just(0.1),
            "max_iterations": st.integers(1, 9),
            "max_consecutive_errors": st.integers(1, 3),
            "progress": st.just("percent"),
            "capture": st.just({"percent": "percent"}),
            "rules": st.just([{"status_code": [503], "outcome": "running"}]),
        },
    ),
    deadline=st.none() | st.integers(5, 120),
)
def test_a_wait_goes_the_same_way_if_unchanged_responses_do_not_resume_it(replies, options, deadline):
    at = state(deadline=None if deadline is None else START + deadline)
    ends = [*replies, RUNNING, RUNNING, DONE]
    outcome, runner = played(Resumed(make_api(), *ends), at, **options)
    same, other = played(FlowRunner(make_api(), *ends), at, **options)
    assert repr(same) == repr(outcome)
    assert other.times == runner.times
    assert other.sleeps == runner.sleeps
    assert other.polls == runner.polls
    assert other.logs == runner.logs


def test_a_job_whose_answer_stays_the_same_is_not_woken():
    handle, runner = played(FlowRunner(make_api(), *[RUNNING] * 5, DONE))
    assert handle.outcome is Outcome.SUCCESS
    assert (len(runner.requests), runner.resumed) == (6, 2)


def test_a_token_is_renewed_in_time_although_the_flow_is_not_woken():
    login: dict[str, Any] = {"auth": "login", "login_request": {"endpoint": "/login"}, "login_selector": "token"}
    tokens = [make_response({"token": f"token-{number}", "in": 100}) for number in range(2)]
    api = make_api(**login, login_expiry="in")
    # It is renewed 10 s before its end.
    handle, runner = played(FlowRunner(api, tokens[0], *[RUNNING] * 9, tokens[1], RUNNING, DONE))
    assert handle.outcome is Outcome.SUCCESS
    assert [number for number, path in enumerate(runner.paths) if path.endswith("/login")] == [0, 10]
    assert runner.times[10] == 90
    assert runner.resumed == 4


def test_each_token_that_expires_is_renewed_although_the_answer_stays_the_same():
    login: dict[str, Any] = {"auth": "login", "login_request": {"endpoint": "/login"}, "login_selector": "token"}
    tokens = [make_response({"token": f"token-{number}"}) for number in range(4)]
    expired = make_response({}, 401)
    talk = [tokens[0], RUNNING, RUNNING, expired, tokens[1], RUNNING, RUNNING, expired, tokens[2], RUNNING, DONE]
    handle, runner = played(FlowRunner(make_api(**login), *talk))
    assert handle.outcome is Outcome.SUCCESS
    assert sum(path.endswith("/login") for path in runner.paths) == 3
    # One that is refused right after it was renewed is final all the same.
    error, _ = played(FlowRunner(make_api(**login), *talk[:8], tokens[2], expired))
    assert isinstance(error, AuthenticationError)
    assert "after the token was renewed" in str(error)


def test_after_a_redirect_each_poll_asks_at_the_first_place_again():
    there = make_response(None, 302, location="/elsewhere")
    _, runner = played(FlowRunner(make_api(), there, RUNNING, there, RUNNING, there, DONE))
    assert runner.paths == ["GET /jobs/7", f"GET {BASE.replace('/v1', '')}/elsewhere"] * 3
