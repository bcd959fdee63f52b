from __future__ import annotations

import dataclasses
from itertools import pairwise

import pytest

from airflow_provider_asyncapi.core.errors import (
    DeadlineExceededError,
)
from airflow_provider_asyncapi.core.http.delays import Delay, Reason
from airflow_provider_asyncapi.core.outcome import Outcome
from tests.unit.core.flow_runner import (
    START,
    Clock,
    FlowRunner,
    make_api,
    make_response,
)
from tests.unit.core.wait.waits import DONE, RUNNING, Resumed, among, passing, played, run, state, waited

# When


def test_the_first_poll_may_be_delayed():
    _, runner = waited(RUNNING, DONE, initial_delay=33)
    assert runner.sleeps == [33, 10]


def test_a_resumed_wait_is_not_delayed_again():
    _, runner = waited(DONE, at=state(polls=1), initial_delay=33)
    assert runner.sleeps == []


def test_polls_become_rarer():
    _, runner = waited(*[RUNNING] * 5, DONE, backoff=2, max_interval=50)
    assert runner.sleeps == pytest.approx([10, 20, 40, 50, 50])


def test_jitter_spreads_the_polls():
    api = make_api()
    dice = iter([0.0, 0.999999])
    runner = FlowRunner(dataclasses.replace(api, rng=lambda: next(dice)), RUNNING, RUNNING, DONE)
    run(runner, jitter=0.5)
    assert runner.sleeps == pytest.approx([5, 15], abs=0.001)


def test_polls_are_counted():
    runner = FlowRunner(make_api(), RUNNING, forever=True)
    with pytest.raises(
        DeadlineExceededError, match=r"running and wasn't done by as many polls as allowed .*, after 20 s and 3"
    ):
        run(runner, max_iterations=3)
    assert len(runner.requests) == 3


def test_polls_before_a_restart_count_too():
    runner = FlowRunner(make_api(), RUNNING, forever=True)
    with pytest.raises(DeadlineExceededError):
        run(runner, state(polls=8), max_iterations=10)
    assert len(runner.requests) == 2


@pytest.mark.parametrize("deadline", [25, 30, 35])
def test_the_last_poll_is_made_exactly_at_the_deadline(deadline):
    runner = FlowRunner(make_api(), RUNNING, forever=True)
    with pytest.raises(DeadlineExceededError, match=f"wasn't done by the deadline, after {deadline} s"):
        run(runner, state(deadline=START + deadline))
    assert runner.times[-1] == deadline
    assert runner.polls[-1].polls == len(runner.requests)


def test_a_job_that_is_done_at_the_deadline_is_done():
    handle, runner = waited(RUNNING, DONE, at=state(deadline=START + 15))
    assert handle.outcome is Outcome.SUCCESS
    assert runner.times == [0, 15]


@pytest.mark.parametrize("deadline", [10.1, 19.9, 20, 20.19, 29.9, 300.19])
def test_the_last_poll_comes_no_sooner_than_the_interval_allows(deadline):
    runner = FlowRunner(make_api(), RUNNING, forever=True)
    with pytest.raises(DeadlineExceededError):
        run(runner, state(deadline=START + deadline))
    assert runner.times[-1] == pytest.approx(deadline)
    gaps = [later - earlier for earlier, later in pairwise(runner.times)]
    assert all(9.999 <= gap < 20 for gap in gaps)


def test_a_wait_that_is_shorter_than_the_interval_polls_once():
    runner = FlowRunner(make_api(), RUNNING, forever=True)
    with pytest.raises(DeadlineExceededError, match=r"wasn't done by the deadline, after 4 s and 1 poll$"):
        run(runner, state(deadline=START + 4))
    assert runner.times == [0]
    assert "no other poll is allowed before the deadline" in runner.log_text


@pytest.mark.parametrize("status", [200, 429])
def test_no_last_poll_is_made_that_retry_after_forbids(status):
    runner = FlowRunner(make_api(), RUNNING, make_response({"status": "running"}, status, retry_after="600"))
    with pytest.raises(DeadlineExceededError, match="after 60 s and 2 polls"):
        run(runner, state(deadline=START + 60))
    assert runner.times == [0, 10]
    assert runner.sleeps == [10, 50]
    # The page shows when another would be allowed.
    assert runner.polls[-1].pause == 600


def test_a_last_poll_that_another_process_may_not_make_is_not_made_after_a_hand_over():
    runner = FlowRunner(make_api(), DONE)
    with pytest.raises(DeadlineExceededError):
        run(runner, state(deadline=START + 60, polls=1, next_poll=START + 600))
    assert runner.requests == []
    # Nobody pauses for nothing once the deadline is over.
    runner = FlowRunner(make_api(Clock(START + 100)), DONE)
    with pytest.raises(DeadlineExceededError):
        run(runner, state(deadline=START + 60, polls=1, next_poll=START + 600))
    assert runner.sleeps == []
    # Whoever takes the wait up after that moment may look.
    api = make_api(Clock(START + 601))
    runner = FlowRunner(api, DONE)
    assert run(runner, state(deadline=START + 60, polls=1, next_poll=START + 600)).outcome is Outcome.SUCCESS


@pytest.mark.parametrize("pause", [0.5, 20])
def test_after_an_error_the_last_poll_is_made_at_the_deadline(pause):
    errors = [make_response({}, 503)] * 2
    handle, runner = waited(*errors, DONE, at=state(deadline=START + 22), retry_delays={503: pause}, poke_interval=1)
    assert handle.outcome is Outcome.SUCCESS
    assert runner.times[-1] <= 22


def test_the_initial_delay_ends_at_the_deadline():
    _, runner = waited(DONE, at=state(deadline=START + 5), initial_delay=60)
    assert runner.sleeps == [5]


def test_a_wait_that_is_resumed_after_the_deadline_polls_once_more():
    late = START - 1000
    assert waited(DONE, at=state(deadline=late))[0].outcome is Outcome.SUCCESS
    runner = FlowRunner(make_api(), RUNNING, forever=True)
    with pytest.raises(DeadlineExceededError):
        run(runner, state(deadline=late))
    assert len(runner.requests) == 1


def test_the_deadline_says_what_went_wrong_last():
    with pytest.raises(DeadlineExceededError, match=r"the last poll failed: .*503") as caught:
        waited(make_response({}, 503), at=state(deadline=START))
    assert "has no status yet" in str(caught.value)


def test_a_clock_that_is_a_little_behind_does_not_make_it_spin():
    clock = Clock()
    runner = FlowRunner(make_api(clock), RUNNING, forever=True)
    with pytest.raises(DeadlineExceededError):
        run(runner, state(deadline=START + 10 + 1e-6))
    assert runner.sleeps == [pytest.approx(10)]
    assert len(runner.requests) == 2


@pytest.mark.parametrize("kind", [FlowRunner, Resumed])
def test_each_poll_says_by_how_much_it_was_late(kind):
    late = Delay(9.0, Reason.CONNECTIONS)
    replies = [make_response({"status": status}) for status in ("running", "running", "done")]
    for reply in replies[:2]:
        reply.delay = late
    _, runner = played(kind(make_api(), *replies))
    assert [poll.delay for poll in runner.polls] == [late, late, None]


def test_the_delay_of_an_answer_is_that_of_each_job_in_it():
    late = Delay(9.0, Reason.EVENT_LOOP)
    replies = [among(status="running"), among(status="running"), among(status="done")]
    for reply in replies:
        reply.delay = late
    _, runner = passing(*replies)
    assert [poll.delay for poll in runner.polls] == [late] * 3


def test_the_last_poll_says_it_too():
    reply = make_response({"status": "running"})
    reply.delay = Delay(9.0, Reason.RATE)
    _, runner = played(FlowRunner(make_api(), reply), max_iterations=1)
    assert [poll.delay for poll in runner.polls] == [reply.delay]
