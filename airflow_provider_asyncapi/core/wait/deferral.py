"""Flows whose sleeps end the process, because the task is deferred or rescheduled for that time."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeVar

from airflow_provider_asyncapi.core.effects import DriverEffect, DriverFlow, Flow, Sleep
from airflow_provider_asyncapi.core.flow_steps import map_effects
from airflow_provider_asyncapi.core.wait.unchanged_polls import perform_each_poll

T = TypeVar("T")


def run_until_sleep(flow: Flow[T], defer: Callable[[float], NoReturn]) -> DriverFlow[T]:
    """
    Return a flow that runs until its first deferrable sleep.

    :param flow: the flow.
    :param defer: called with the length of the sleep, in seconds; it raises what ends the process.
    :return: the flow; its result is the same if it ends without that.
    """

    def defer_at_sleep(effect: DriverEffect) -> DriverEffect:
        if isinstance(effect, Sleep) and effect.is_deferrable:
            defer(effect.seconds)
        return effect

    return map_effects(perform_each_poll(flow), defer_at_sleep)


def disallow_deferral(flow: Flow[T]) -> DriverFlow[T]:
    """Return a flow none of whose sleeps is deferrable."""
    return map_effects(
        perform_each_poll(flow),
        lambda effect: Sleep(effect.seconds, is_deferrable=False) if isinstance(effect, Sleep) else effect,
    )
