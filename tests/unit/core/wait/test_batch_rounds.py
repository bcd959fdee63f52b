"""Jobs with the same batch and interval are polled in common requests, round by round, each once in an interval."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_asyncapi.core.effects import PollBatch, Polled
from airflow_provider_asyncapi.core.errors import ContentError, TransportError
from airflow_provider_asyncapi.core.flow_steps import FlowSteps
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.wait.batch_plan import Batch, BatchResponse
from airflow_provider_asyncapi.core.wait.batch_rounds import BatchRounds
from tests.unit.core.flow_runner import FlowRunner, make_api, make_lost_error, make_response
from tests.unit.core.wait.batch_waiter import Waiter

BATCH = {"endpoint": "/jobs", "query_params": {"ids": "{identifiers}"}, "items": "jobs[*]", "id": "id"}
UNCHANGED = Polled(JobHandle(1), 1, 0, changed=False, at=0.0, pause=10)

Skip = Callable[[BatchResponse], Polled | None]


def jobs(request: Request) -> Response:
    identifiers = request.url.partition("ids=")[2].split("%2C")
    return make_response({"jobs": [{"id": each, "state": f"state of {each}"} for each in identifiers]})


def times(count: int, polled: Polled = UNCHANGED) -> Skip:
    """Skip this number of responses."""
    left = [polled] * count
    return lambda _: left.pop() if left else None


class Rounds:
    """The rounds of a batch, and the runner that runs them."""

    def __init__(self, *replies: Any, interval: float = 10.0, **given: Any) -> None:
        batch = Batch.parse({**BATCH, **given}, singly=True)
        assert batch is not None
        self.batch = batch
        self.runner = FlowRunner(make_api(), *(replies or [jobs]), forever=True)
        self.interval = interval
        self.rounds = BatchRounds(self.runner.api, self.batch, interval)

    def join(self, identifier: str | int, skip: Skip = lambda _: None) -> Waiter:
        poll = PollBatch(self.batch, identifier, self.interval, skip)
        waiter = Waiter(poll, self.runner.polls.append)
        self.rounds.join(waiter)
        return waiter

    def run(self) -> list[str]:
        """Run the rounds to their end; return the jobs of each request."""
        self.runner.run(self.rounds.poll_in_rounds())
        return [request.url.partition("ids=")[2].replace("%2C", ",") for request in self.runner.requests]


def state(waiter: Waiter) -> Any:
    response = waiter.outcome().response_for(waiter.poll.identifier)
    assert response is not None
    return response.json["state"]


def test_flows_that_wait_for_jobs_of_a_batch_share_a_request_and_each_gets_its_response():
    rounds = Rounds()
    waiters = [rounds.join(number) for number in (1, 2, 3, 2)]
    assert rounds.run() == ["1,2,3"]
    assert [state(waiter) for waiter in waiters] == ["state of 1", "state of 2", "state of 3", "state of 2"]


def test_a_round_waits_for_other_jobs_for_a_part_of_the_interval():
    for interval, gather in ((10.0, 0.5), (2.0, 0.1)):
        rounds = Rounds(interval=interval)
        rounds.join(1, times(2))
        rounds.run()
        assert rounds.runner.times == pytest.approx([gather, 2 * gather + interval, 3 * gather + 2 * interval])


def test_no_request_contains_more_jobs_than_the_size_and_the_requests_are_spread():
    rounds = Rounds(size=2)
    for number in range(5):
        rounds.join(number)
    assert rounds.run() == ["0,1", "2,3", "4"]
    starts = [sleep for sleep in rounds.runner.sleeps if 0 < sleep < 0.5]
    assert starts == pytest.approx([0.5 / 3, 1 / 3])


def test_a_job_whose_response_is_unchanged_is_reported_and_polled_in_the_next_round():
    rounds = Rounds()
    first, second = rounds.join(1, times(2)), rounds.join(2)
    assert rounds.run() == ["1,2", "1", "1"]
    assert rounds.runner.polls == [UNCHANGED] * 2
    assert (len(first.responses), len(second.responses)) == (1, 1)


def test_a_flow_that_was_cancelled_gets_nothing_and_is_not_polled():
    rounds = Rounds()
    gone, stays = rounds.join(1), rounds.join(2)
    gone.was_cancelled = True
    assert rounds.run() == ["2"]
    assert (gone.is_gone, gone.responses, state(stays)) == (True, [], "state of 2")
    rounds = Rounds()
    rounds.join(1).was_cancelled = True
    assert rounds.run() == []


def test_a_flow_that_is_cancelled_during_its_poll_gets_nothing():
    waiters: list[Waiter] = []

    def cancel(request: Request) -> Response:
        waiters[0].was_cancelled = True
        return jobs(request)

    rounds = Rounds(cancel)
    waiters += [rounds.join(1), rounds.join(2)]
    assert rounds.run() == ["1,2"]
    assert (waiters[0].responses, state(waiters[1])) == ([], "state of 2")


def test_an_error_of_a_request_is_raised_in_each_of_its_flows_as_a_copy():
    rounds = Rounds(make_lost_error(), jobs, size=2)
    waiters = [rounds.join(number) for number in range(3)]
    rounds.run()
    first, second = waiters[0].errors[0], waiters[1].errors[0]
    assert isinstance(first, TransportError)
    assert isinstance(second, TransportError)
    assert first is not second
    assert state(waiters[2]) == "state of 2"


def test_an_error_of_one_flow_is_raised_in_that_flow_only():
    def fail(_: BatchResponse) -> None:
        raise ContentError("no such item")

    rounds = Rounds()
    bad, good = rounds.join(1, fail), rounds.join(2)
    rounds.run()
    assert isinstance(bad.errors[0], ContentError)
    assert state(good) == "state of 2"


def test_an_error_that_ends_the_rounds_is_raised_in_all_flows_that_still_wait():
    rounds = Rounds()
    over, polled = rounds.join(1), rounds.join(2)
    with FlowSteps(rounds.rounds.poll_in_rounds()) as steps:
        next(steps)
        next(steps)
    over.was_cancelled = True
    joining = rounds.join(3)
    rounds.rounds.fail(ValueError("closed"))
    assert over.errors == []
    assert [type(each.errors[0]) for each in (polled, joining)] == [ValueError] * 2
