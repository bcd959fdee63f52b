"""Waiting elsewhere: a flow whose pauses end the process, for someone to begin it again later."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import NoReturn, TypeVar

from airflow_provider_asyncapi.core.effects import Effect, Flow, Sleep
from airflow_provider_asyncapi.core.errors import AsyncApiError

T = TypeVar("T")


def ended_by_pause(flow: Flow[T], end: Callable[[float], NoReturn]) -> Flow[T]:
    """
    Run a flow up to its first pause.

    :param flow: the flow.
    :param end: is given the length of the pause, in seconds, and raises.
    :return: what the flow returns, if it comes to its end without a pause.
    """
    with closing(flow):
        step: Callable[[], Effect] = partial(next, flow)
        while True:
            try:
                effect = step()
            except StopIteration as stop:
                result: T = stop.value
                return result
            if isinstance(effect, Sleep):
                end(effect.seconds)
            try:
                reply = yield effect
            except AsyncApiError as error:
                step = partial(flow.throw, error)
            else:
                step = partial(flow.send, reply)
