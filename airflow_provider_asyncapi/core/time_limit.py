"""Limit the time of a flow."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

from airflow_provider_asyncapi.core.effects import Authorize, Effect, Flow, PollBatch, PollUntilChanged, Send
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.flow_steps import FlowSteps

R = TypeVar("R", bound=Send | PollBatch | Authorize)
T = TypeVar("T")


def limit_time(flow: Flow[T], until: float | None) -> Flow[T]:
    """
    Run a flow, and give up any of its requests that has no response by a given time.

    :param flow: the flow.
    :param until: the time, in seconds since the epoch; None for no limit.
    :return: the result of the flow.
    """
    with FlowSteps(flow) as steps:
        for effect in steps:
            try:
                steps.reply = yield effect if until is None else _limit_effect(effect, until)
            except AsyncApiError as error:
                steps.error = error
    return steps.result


def _limit_effect(effect: Effect, until: float) -> Effect:
    """Return an effect that is given up at the given time, or at its own if that is earlier."""
    if isinstance(effect, PollUntilChanged):
        return dataclasses.replace(effect, send=_limit_request(effect.send, until))
    if isinstance(effect, Send | PollBatch | Authorize):
        return _limit_request(effect, until)
    return effect


def _limit_request(effect: R, until: float) -> R:
    return dataclasses.replace(effect, until=until if effect.until is None else min(until, effect.until))
