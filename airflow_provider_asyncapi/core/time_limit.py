"""Limit the time of a flow."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

from airflow_provider_asyncapi.core.effects import Authorize, Flow, PollBatch, Send
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.steps import Steps

T = TypeVar("T")


def limit_time(flow: Flow[T], until: float | None) -> Flow[T]:
    """
    Run a flow, and give up any of its requests that has no response by a given time.

    :param flow: the flow.
    :param until: the time, in seconds since the epoch; None for no limit.
    :return: the result of the flow.
    """
    with Steps(flow) as steps:
        for effect in steps:
            limited = effect
            if until is not None and isinstance(effect, Send | PollBatch | Authorize):
                limited = dataclasses.replace(effect, until=until if effect.until is None else min(until, effect.until))
            try:
                steps.reply = yield limited
            except AsyncApiError as error:
                steps.error = error
    return steps.result
