"""Waiting elsewhere: a flow whose pauses end the process, for someone to begin it again later."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeVar

from airflow_provider_asyncapi.core.effects import Flow, Sleep
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.steps import Steps

T = TypeVar("T")


def ended_by_pause(flow: Flow[T], end: Callable[[float], NoReturn]) -> Flow[T]:
    """
    Run a flow up to its first pause that another process can wait for.

    :param flow: the flow.
    :param end: is given the length of the pause, in seconds, and raises.
    :return: what the flow returns, if it comes to its end without a pause.
    """
    with Steps(flow) as steps:
        for effect in steps:
            if isinstance(effect, Sleep) and not effect.stays_here:
                end(effect.seconds)
            try:
                steps.reply = yield effect
            except AsyncApiError as error:
                steps.error = error
    return steps.result


def stay_here(flow: Flow[T]) -> Flow[T]:
    """Run a flow none of whose pauses can be handed on to another process."""
    with Steps(flow) as steps:
        for effect in steps:
            try:
                steps.reply = yield Sleep(effect.seconds, stays_here=True) if isinstance(effect, Sleep) else effect
            except AsyncApiError as error:
                steps.error = error
    return steps.result
