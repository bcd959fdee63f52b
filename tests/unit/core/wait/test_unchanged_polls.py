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
from tests.unit.core.flow_runner import BASE, Script, answer, lost, make_api

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
    script = Script(make_api(), answer(), answer(), answer(None, 404))
    assert script.run(poll(*polls, None)) == 404
    assert (script.polls, script.times, script.resumed) == (polls, [0, 5, 12], 1)


def test_after_a_poll_without_a_pause_the_flow_goes_on():
    script = Script(make_api(), answer(None, 404))
    assert script.run(poll(count(1, None))) == 404
    assert script.polls == []


def test_an_error_of_a_later_poll_is_raised_in_the_flow():
    script = Script(make_api(), answer(), lost())
    assert "the connection broke" in script.run(poll(count(1, 5)))


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
    for reply in [None, answer(), None][:steps]:
        running.send(reply)
    running.close()
    assert inspect.getgeneratorstate(flow) == inspect.GEN_CLOSED
