"""Bound the time of a flow."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

from airflow_provider_asyncapi.core.effects import Authorize, Flow, PollBatch, Send
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.steps import Steps

T = TypeVar("T")


def within(flow: Flow[T], until: float | None) -> Flow[T]:
    """
    Run a flow, and abort any of its requests that has no answer by a given moment.

    :param flow: the flow.
    :param until: the moment, in seconds since the epoch; None for no bound.
    :return: what the flow returns.
    """
    with Steps(flow) as steps:
        for effect in steps:
            bounded = effect
            if until is not None and isinstance(effect, Send | PollBatch | Authorize):
                bounded = dataclasses.replace(effect, until=until if effect.until is None else min(until, effect.until))
            try:
                steps.reply = yield bounded
            except AsyncApiError as error:
                steps.error = error
    return steps.result
