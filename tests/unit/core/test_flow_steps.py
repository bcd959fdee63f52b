from __future__ import annotations

import inspect
from typing import Any

import pytest

from airflow_provider_asyncapi.core.effects import Flow, Sleep
from airflow_provider_asyncapi.core.errors import TransportError
from airflow_provider_asyncapi.core.flow_steps import FlowSteps


def asking() -> Flow[list[Any]]:
    replies = []
    for seconds in (1, 2, 3):
        try:
            replies.append((yield Sleep(seconds)))
        except TransportError as error:
            replies.append(str(error))
    return replies


def reply_to(flow: Flow[list[Any]]) -> list[Any]:
    """Run a flow that sleeps, with ten times the seconds as the reply; the second sleep fails."""
    with FlowSteps(flow) as steps:
        for effect in steps:
            if effect == Sleep(2):
                steps.error = TransportError("lost")
            else:
                assert isinstance(effect, Sleep)
                steps.reply = effect.seconds * 10
    return steps.result


def test_each_effect_is_given_in_turn_and_each_reply_or_error_reaches_the_flow():
    assert reply_to(asking()) == [10, "lost", 30]


def test_a_flow_that_wraps_another_passes_on_its_effects_with_their_replies_and_errors():
    def wrapping() -> Flow[list[Any]]:
        with FlowSteps(asking()) as steps:
            for effect in steps:
                yield from steps.forward(effect)
        return steps.result

    assert reply_to(wrapping()) == [10, "lost", 30]


def test_an_error_that_the_flow_does_not_handle_comes_out():
    def flow() -> Flow[None]:
        yield Sleep(1)

    steps = FlowSteps(flow())
    next(steps)
    steps.error = TransportError("lost")
    with pytest.raises(TransportError, match="lost"):
        next(steps)


def test_a_flow_that_is_left_in_the_middle_is_closed():
    flow = asking()
    with FlowSteps(flow) as steps:
        next(steps)
    assert inspect.getgeneratorstate(flow) == inspect.GEN_CLOSED


def test_a_flow_that_is_left_while_a_step_of_it_runs_is_closed_by_whoever_waits_for_that_step():
    def flow() -> Flow[None]:
        # As if another thread left it now.
        steps.__exit__(None, None, None)
        yield Sleep(1)

    running = flow()
    steps = FlowSteps(running)
    next(steps)
    assert inspect.getgeneratorstate(running) == inspect.GEN_SUSPENDED
    steps.close()
    assert inspect.getgeneratorstate(running) == inspect.GEN_CLOSED
