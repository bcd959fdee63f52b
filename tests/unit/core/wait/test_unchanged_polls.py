"""A poll is repeated as long as its response is unchanged; each poll is sent, reported and followed by its pause."""

from __future__ import annotations

import gc
import inspect
import weakref
from typing import Any

import pytest

from airflow_provider_asyncapi.core.effects import Flow, Polled, PollUntilChanged, Send, Sleep
from airflow_provider_asyncapi.core.errors import TransportError
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.wait.unchanged_polls import perform_each_poll
from tests.unit.core.flow_runner import BASE, FlowRunner, make_api, make_lost_error, make_response

SEND = Send(Request("GET", f"{BASE}/jobs/7"))


def count(polls: int, pause: float | None) -> Polled:
    return Polled(JobHandle("7"), polls, 0, changed=False, at=0.0, pause=pause)


def poll(*unchanged: Polled | None) -> Flow[Any]:
    left = iter(unchanged)
    try:
        response = yield PollUntilChanged(SEND, lambda _: next(left))
    except TransportError as error:
        return str(error)
    return response.status


def test_a_request_is_sent_again_after_the_pause_of_each_unchanged_response():
    polls = [count(1, 5), count(2, 7)]
    runner = FlowRunner(make_api(), make_response(), make_response(), make_response(None, 404))
    assert runner.run(poll(*polls, None)) == 404
    assert (runner.polls, runner.times, runner.resumed) == (polls, [0, 5, 12], 1)


def test_after_a_poll_without_a_pause_the_flow_goes_on():
    runner = FlowRunner(make_api(), make_response(None, 404))
    assert runner.run(poll(count(1, None))) == 404
    assert runner.polls == []


def test_an_error_of_a_later_poll_is_raised_in_the_flow():
    runner = FlowRunner(make_api(), make_response(), make_lost_error())
    assert "the connection broke" in runner.run(poll(count(1, 5)))


def test_no_response_is_held_during_a_pause():
    running = perform_each_poll(poll(count(1, 5)))
    assert next(running) is SEND
    response = Response(200)
    held = weakref.ref(response)
    assert isinstance(running.send(response), Polled)
    del response
    gc.collect()
    assert held() is None
    assert running.send(None) == Sleep(5)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_repeated_poll_that_is_given_up_closes_its_flow(steps):
    flow: Any = poll(count(1, 5))
    running = perform_each_poll(flow)
    for reply in [None, make_response(), None][:steps]:
        running.send(reply)
    running.close()
    assert inspect.getgeneratorstate(flow) == inspect.GEN_CLOSED
