from __future__ import annotations

import inspect
from typing import Any, NoReturn

import pytest

from airflow_provider_asyncapi.core.effects import Flow, Polled, PollUntilChanged, Send, Sleep
from airflow_provider_asyncapi.core.errors import TransportError
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.wait.deferral import disallow_deferral, run_until_sleep
from tests.unit.core.flow_runner import BASE, FlowRunner, make_api, make_lost_error, make_response

REQUEST = Request("GET", BASE)


class PausedError(Exception):
    pass


def end(seconds: float) -> NoReturn:
    raise PausedError(seconds)


def test_a_flow_without_a_pause_runs_to_its_end() -> None:
    def flow() -> Flow[Any]:
        first = yield Send(REQUEST)
        second = yield Send(REQUEST)
        return [first.status, second.status]

    assert FlowRunner(make_api(), make_response(), make_response(status=404)).run(run_until_sleep(flow(), end)) == [
        200,
        404,
    ]


def test_the_first_pause_ends_it_and_the_flow_is_closed() -> None:
    def flow() -> Flow[None]:
        yield Send(REQUEST)
        yield Sleep(7)
        yield Send(REQUEST)

    inner = flow()
    runner = FlowRunner(make_api(), make_response())
    with pytest.raises(PausedError) as caught:
        runner.run(run_until_sleep(inner, end))
    assert caught.value.args == (7,)
    assert len(runner.requests) == 1
    assert not runner.sleeps
    assert inspect.getgeneratorstate(inner) == inspect.GEN_CLOSED


def test_what_goes_wrong_outside_is_for_the_flow_to_handle() -> None:
    def flow() -> Flow[str]:
        try:
            yield Send(REQUEST)
        except TransportError as error:
            return f"survived: {error}"
        return "nothing happened"

    assert FlowRunner(make_api(), make_lost_error()).run(run_until_sleep(flow(), end)).startswith("survived: GET")


def test_what_the_flow_raises_is_raised() -> None:
    def flow() -> Flow[None]:
        yield Send(REQUEST)
        raise ValueError

    with pytest.raises(ValueError):
        FlowRunner(make_api(), make_response()).run(run_until_sleep(flow(), end))


def test_a_pause_that_cannot_be_handed_on_ends_nothing() -> None:
    def flow() -> Flow[int]:
        yield Send(REQUEST)
        yield Sleep(7)
        try:
            yield Send(REQUEST)
        except TransportError:
            yield Sleep(8)
        return 9

    runner = FlowRunner(make_api(), make_response(), make_lost_error())
    assert runner.run(run_until_sleep(disallow_deferral(flow()), end)) == 9
    assert runner.sleeps == [7, 8]


def polling() -> Flow[Any]:
    unchanged = iter([Polled(JobHandle(1), 1, 0, changed=False, at=0.0, pause=7), None])
    response: Response = yield PollUntilChanged(Send(REQUEST), lambda _: next(unchanged))
    return response.status


def test_the_pause_after_an_unchanged_response_is_a_pause_of_the_flow() -> None:
    runner = FlowRunner(make_api(), make_response())
    with pytest.raises(PausedError) as caught:
        runner.run(run_until_sleep(polling(), end))
    assert caught.value.args == (7,)
    assert len(runner.polls) == 1
    runner = FlowRunner(make_api(), make_response(), make_response(status=404))
    assert runner.run(run_until_sleep(disallow_deferral(polling()), end)) == 404
    assert runner.sleeps == [7]
