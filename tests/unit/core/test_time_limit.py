from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_asyncapi.core.effects import Flow, GetToken, PollBatch, PollUntilChanged, Send, Sleep
from airflow_provider_asyncapi.core.errors import TransportError
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.time_limit import limit_time
from airflow_provider_asyncapi.core.wait.batch_plan import Batch

REQUEST = Request("GET", "https://api.example.com/x")
BATCH = Batch.parse(
    {"endpoint": "/jobs", "query_params": {"i": "{identifiers}"}, "items": "jobs", "id": "id"}, singly=True
)
assert BATCH is not None


@pytest.mark.parametrize("effect", [Send(REQUEST), GetToken(), PollBatch(BATCH, 7, 1.0, lambda _: None)])
def test_each_request_of_a_flow_is_bounded(effect):
    def flow() -> Flow[Any]:
        return (yield effect)

    running = limit_time(flow(), 100.0)
    bounded = next(running)
    assert isinstance(bounded, (Send, GetToken, PollBatch))
    assert bounded.until == 100.0
    with pytest.raises(StopIteration) as end:
        running.send("answer")
    assert end.value.value == "answer"


def test_each_request_of_a_repeated_poll_is_bounded():
    def flow() -> Flow[None]:
        yield PollUntilChanged(Send(REQUEST), lambda _: None)

    bounded = next(limit_time(flow(), 100.0))
    assert isinstance(bounded, PollUntilChanged)
    assert bounded.send.until == 100.0


@pytest.mark.parametrize(("outer", "until"), [(200.0, 100.0), (50.0, 50.0), (None, 100.0)])
def test_the_nearer_of_two_bounds_holds(outer, until):
    def flow() -> Flow[None]:
        yield Send(REQUEST)

    bounded = next(limit_time(limit_time(flow(), 100.0), outer))
    assert isinstance(bounded, Send)
    assert bounded.until == until


def test_what_is_no_request_stays_as_it_is_and_errors_reach_the_flow():
    def flow() -> Flow[str]:
        yield Sleep(1.0)
        try:
            yield Send(REQUEST)
        except TransportError as error:
            return str(error)
        return ""

    running = limit_time(flow(), 100.0)
    assert next(running) == Sleep(1.0)
    next(running)
    with pytest.raises(StopIteration) as end:
        running.throw(TransportError("broken"))
    assert end.value.value == "broken"
