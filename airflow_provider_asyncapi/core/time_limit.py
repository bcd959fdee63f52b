"""Limit the time of a flow."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

from airflow_provider_asyncapi.core.effects import Effect, Flow, GetToken, PollBatch, PollUntilChanged, Send
from airflow_provider_asyncapi.core.flow_steps import map_effects

R = TypeVar("R", bound=Send | PollBatch | GetToken)
T = TypeVar("T")


def limit_time(flow: Flow[T], until: float | None) -> Flow[T]:
    """
    Return a flow that gives up any of its requests that has no response by a given time.

    :param flow: the flow.
    :param until: the time, in seconds since the epoch; None for no limit.
    :return: the flow with the limit; its result is the same.
    """
    return flow if until is None else map_effects(flow, lambda effect: _limit_effect(effect, until))


def _limit_effect(effect: Effect, until: float) -> Effect:
    """Return an effect that is given up at the given time, or at its own if that is earlier."""
    if isinstance(effect, PollUntilChanged):
        return dataclasses.replace(effect, send=_limit_request(effect.send, until))
    if isinstance(effect, Send | PollBatch | GetToken):
        return _limit_request(effect, until)
    return effect


def _limit_request(effect: R, until: float) -> R:
    return dataclasses.replace(effect, until=until if effect.until is None else min(until, effect.until))
