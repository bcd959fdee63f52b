from __future__ import annotations

import contextlib
import dataclasses
import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
    ConfigurationError,
    DeadlineExceededError,
    JobFailedError,
    ThrottledError,
)
from airflow_provider_asyncapi.core.http.messages import Headers, Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.outcome import RESULT_IDENTIFIER, Outcome
from airflow_provider_asyncapi.core.requests.schedule import SHORTEST_WAIT, PollSchedule
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.flow import wait
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from airflow_provider_asyncapi.core.wait.poll_times import first_delay
from tests.unit.core.flow_runner import (
    BASE,
    START,
    FlowRunner,
    make_api,
    make_lost_error,
    make_response,
    plan_fields,
)
from tests.unit.core.wait.waits import CANCEL, DONE, JOB, RUNNING, run, state, waited

NEXT = JobHandle("7", submitted_at=START, variables={"next": "0"})


# The plan and the state


def test_a_plan_needs_to_know_what_done_means():
    with pytest.raises(ConfigurationError, match="completion_key: is missing"):
        WaitPlan.parse({"endpoint": "/jobs"})
    assert WaitPlan.parse({"endpoint": "/jobs"}, complete=False).policy.is_empty


def test_a_plan_takes_all_parameters_of_the_sensor():
    plan = WaitPlan.parse(plan_fields(**CANCEL, result_identifier="data.file", progress="percent", capture={"n": "n"}))
    assert set(plan.captures) == {"n", RESULT_IDENTIFIER}
    assert plan.cancel is not None
    assert plan.progress is not None
    assert plan.schedule.interval == 10


def test_a_state_can_be_written_down_and_read_again():
    at = WaitCheckpoint(JOB, START, START + 60, polls=3, errors=1)
    assert WaitCheckpoint.parse(json.loads(json.dumps(at.dump()))) == at


# What an answer means


@pytest.mark.parametrize(
    ("at", "due"),
    [
        ({}, START + 40),
        ({"next_poll": START + 25}, START + 25),
        ({"next_poll": START + 25, "polls": 1}, START + 25),
        # Where it isn't known, it is now.
        ({"polls": 1}, START),
    ],
)
def test_a_state_tells_when_the_next_poll_is_due(at, due):
    assert state(**at).next_poll_due(PollSchedule(initial_delay=40)) == due


def test_a_state_that_is_taken_up_again_counts_the_polls_that_there_was_time_for():
    schedule = PollSchedule(interval=10, initial_delay=40, max_polls=5)
    assert state().resume_from_other_process(schedule, START + 45).polls == 0
    assert state().resume_from_other_process(schedule, START + 65).polls == 2
    assert state(polls=1, next_poll=START + 100).resume_from_other_process(schedule, START + 65).polls == 1
    assert state(polls=4, next_poll=START + 10).resume_from_other_process(schedule, START + 1000).polls == 5


@pytest.mark.parametrize("polls", [0, 4])
def test_a_poll_that_a_user_requests_is_made_within_a_second(polls):
    """Not at once, for a user may request it for many jobs."""
    at = state(polls=polls, next_poll=START + 3600, pause=3600)
    assert first_delay(make_api(), WaitPlan.parse(plan_fields()), at.to_poll_now(START), spread=True) == 0.5


def test_each_poll_tells_when_it_was_how_long_until_the_next_and_what_went_wrong():
    _, runner = waited(RUNNING, make_response({"title": "maintenance"}, 503), DONE)
    assert [(poll.at - START, poll.pause) for poll in runner.polls] == [(0, 10), (10, 10), (20, None)]
    errors = [poll.error for poll in runner.polls]
    assert errors[0] is None
    assert errors[1] is not None
    assert "answered 503: maintenance" in errors[1]
    assert errors[2] is None


def test_the_last_poll_tells_what_went_wrong_with_it():
    runner = FlowRunner(make_api(), make_response({}, 503))
    with pytest.raises(DeadlineExceededError):
        run(runner, max_iterations=1)
    (poll,) = runner.polls
    assert (poll.pause, poll.error is None) == (None, False)
    assert "503" in str(poll.error)


def test_a_job_is_polled_until_it_is_done():
    handle, runner = waited(RUNNING, RUNNING, DONE, progress="percent")
    assert (handle.outcome, handle.status, handle.progress) == (Outcome.SUCCESS, "done", 1.0)
    assert handle.urls == {"status": f"{BASE}/jobs/7"}
    assert runner.paths == ["GET /jobs/7"] * 3
    assert runner.sleeps == [10, 10]
    assert [(poll.polls, poll.errors, poll.changed) for poll in runner.polls] == [
        (1, 0, True),
        (2, 0, False),
        (3, 0, True),
    ]


def test_the_log_has_a_line_per_change_and_not_per_poll():
    replies = [make_response({"status": "running", "p": percent}) for percent in (10, 10, 10, 60, 60)]
    _, runner = waited(*replies, DONE, progress="p", running_value="running")
    assert runner.logs == [
        (logging.INFO, "Job 7 has status running, 10%; next poll in 10 s"),
        (logging.INFO, "Job 7 has status running, 60%; next poll in 10 s"),
        (logging.INFO, "Job 7 has status done, 100%: success"),
    ]


def test_an_answer_that_repeats_itself_is_not_read_again():
    replies = [make_response({"status": "running"}) for _ in range(3)]
    handle, runner = waited(*replies, DONE)
    assert handle.status == "done"
    assert [poll.polls for poll in runner.polls] == [1, 2, 3, 4]
    assert ["json" in vars(reply) for reply in replies] == [True, False, False]


def test_an_answer_that_differs_in_the_headers_alone_is_read_where_a_selector_looks_there():
    replies = [make_response({"status": "running"}, x_part=part) for part in ("1", "2")]
    handle, _ = waited(*replies, DONE, capture={"part": "header:X-Part"})
    assert handle.variables["part"] == "2"


def test_a_large_answer_is_not_kept_for_comparing():
    replies = [make_response({"status": "running", "padding": "x" * 5000}) for _ in range(2)]
    waited(*replies, DONE)
    assert ["json" in vars(reply) for reply in replies] == [True, True]


def test_a_captured_value_changes_the_next_request():
    replies = [make_response({"status": "running", "next": page}) for page in ("a", "b", "b")]
    _, runner = waited(
        *replies,
        DONE,
        capture={"next": "next"},
        endpoint="/jobs/{identifier}",
        at=state(NEXT),
        query_params={"n": "{next}"},
    )
    assert runner.paths == [f"GET /jobs/7?n={page}" for page in "0abb"]


@pytest.mark.parametrize(
    ("next_poll", "interval", "first"), [(None, 10, 5), (-60, 10, 5), (-1, 3600, 30), (7, 10, 7)], ids=str
)
def test_those_who_are_overdue_together_do_not_poll_together(next_poll, interval, first):
    runner = FlowRunner(make_api(), RUNNING, RUNNING, DONE)
    at = dataclasses.replace(state(), next_poll=next_poll and START + next_poll)
    runner.run(wait(runner.api, WaitPlan.parse(plan_fields(poke_interval=interval)), at, spread=True))
    assert runner.sleeps == [first, interval, interval]


@pytest.mark.parametrize(("polls", "pause", "first"), [(1, 1, 0.5), (1, 3600, 30), (1, None, 5), (0, 1, 5)], ids=str)
def test_an_overdue_poll_is_spread_over_the_pause_that_was_due(polls, pause, first):
    runner = FlowRunner(make_api(), DONE)
    at = state(polls=polls, next_poll=START - 20, pause=pause)
    runner.run(wait(runner.api, WaitPlan.parse(plan_fields(poke_interval=10)), at, spread=True))
    assert runner.sleeps == [first]


def test_after_a_poll_the_state_holds_when_the_next_one_is_due():
    _, runner = waited(RUNNING, make_response({}, 503), DONE, retry_delays={503: 25})
    first, second, last = runner.polls
    at = state(callbacks_seen=2).after_poll(first)
    assert (at.handle, at.polls, at.errors, at.callbacks_seen) == (first.handle, 1, 0, 2)
    assert (at.next_poll, at.pause, at.after_poll(second).errors) == (START + 10, 10, 1)
    assert (at.after_poll(second).next_poll, at.after_poll(second).pause) == (START + 35, 25)
    assert (at.after_poll(last).next_poll, at.after_poll(last).pause) == (START + 35, None)


def throttled(seconds: float) -> ThrottledError:
    return ThrottledError("GET https://api.example.com/v1/jobs/7: not sent", seconds)


def test_a_poll_that_was_held_back_is_made_later_and_is_no_poll_and_no_error_until_then():
    _, runner = waited(RUNNING, throttled(40), throttled(1), RUNNING, DONE, max_iterations=3, max_consecutive_errors=1)
    # Those who hold back come again spread over an interval.
    assert runner.sleeps == [10, 45, 6, 10]
    assert [poll.polls for poll in runner.polls] == [1, 2, 3]
    assert "held" not in runner.log_text


def test_a_hold_does_not_outlast_the_deadline():
    runner = FlowRunner(make_api(), RUNNING, throttled(1000), throttled(950))
    with pytest.raises(DeadlineExceededError, match=r"after 60 s and 1 poll; the last poll failed: .*not sent"):
        run(runner, state(deadline=START + 60))
    assert runner.sleeps == [10, 50]
    assert "no last poll can be made at the deadline" in runner.log_text


# A job that is over already


@pytest.mark.parametrize("outcome", [Outcome.SUCCESS, Outcome.NO_DATA])
def test_a_job_that_is_over_is_not_polled(outcome):
    job = JobHandle("7", outcome)
    handle, runner = waited(at=state(job), initial_delay=5)
    assert handle is job
    assert (runner.requests, runner.sleeps) == ([], [])


def test_a_job_that_failed_already_fails():
    with pytest.raises(JobFailedError, match="Job 7 has status bad: it has failed already"):
        waited(at=state(JobHandle("7", Outcome.FAILURE, status="bad")))


# Never


def test_no_secret_is_shown():
    api = make_api(
        auth="api_key",
        key_in="query",
        password="planted-key",
        headers={"X-Own": "planted-head"},
        variables={"v": "planted-var"},
    )
    body = {"status": "planted-key", "message": "planted-head planted-var", "p": 1}
    runner = FlowRunner(
        api,
        make_response(body),
        make_response(body, 503),
        make_response(b"planted-var<html>"),
        make_response(
            {
                "status": "failed",
                **body,
            }
        ),
        forever=True,
    )
    with pytest.raises(AsyncApiError) as caught:
        run(runner, failure_value="planted-key", completion_value="x", max_iterations=4)
    runner = FlowRunner(
        api, make_response(body), make_response(body, 503), make_response(b"planted-var<html>"), forever=True
    )
    with pytest.raises(AsyncApiError) as also:
        run(runner, max_consecutive_errors=3, query_params={"q": "{connection.v}"})
    assert "planted" not in f"{caught.value} {also.value} {runner.log_text}"


BODIES = [
    b"",
    b"{",
    b"<html>",
    b"[]",
    b"null",
    b'{"status": null}',
    b'{"status": "running"}',
    b'{"status": "odd"}',
    b'{"status": {}}',
    b"\xff",
]
REPLIES = st.one_of(
    st.builds(
        lambda status, body, said: Response(status, Headers(() if said is None else [("Retry-After", said)]), body),
        st.sampled_from([200, 201, 202, 204, 206, 304, 404, 408, 425, 429, 500, 502, 503, 504]),
        st.sampled_from(BODIES),
        st.one_of(
            st.none(),
            st.sampled_from(
                ["0", "-1", "-0", "0.0", "nan", "inf", "-inf", "1e-9", "Thu, 01 Jan 1970 00:00:00 GMT", "x", "9"]
            ),
        ),
    ),
    st.builds(make_lost_error),
)


@given(
    replies=st.lists(REPLIES, min_size=1, max_size=30),
    interval=st.floats(SHORTEST_WAIT, 100),
    jitter=st.floats(0, 1),
    dice=st.floats(0, 0.999),
    deadline=st.one_of(st.none(), st.floats(-10, 100)),
    retry_delays=st.dictionaries(st.sampled_from([404, 429, 500, 503]), st.floats(0, 10)),
)
@settings(max_examples=300, deadline=None)
def test_whatever_an_api_answers_the_loop_does_not_spin(replies, interval, jitter, dice, deadline, retry_delays):
    api = make_api()
    runner = FlowRunner(dataclasses.replace(api, rng=lambda: dice), *replies, DONE)
    with_deadline = state(deadline=None if deadline is None else START + deadline)
    plan = plan_fields(
        poke_interval=interval, jitter=jitter, retry_delays=retry_delays, visible_after=1000,
        max_consecutive_errors=100, initial_delay=1,
    )  # fmt: skip
    with contextlib.suppress(AsyncApiError):
        runner.run(wait(runner.api, WaitPlan.parse(plan), with_deadline))
    gaps = [later - earlier for earlier, later in zip(runner.times, runner.times[1:], strict=False)]
    assert all(gap >= SHORTEST_WAIT * 0.999 for gap in gaps)
    assert all(pause >= SHORTEST_WAIT for pause in runner.sleeps)
