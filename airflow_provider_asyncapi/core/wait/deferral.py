"""Flows whose sleeps end the process, because the task is deferred or rescheduled for that time."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeVar

from airflow_provider_asyncapi.core.effects import Flow, Sleep
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.flow_steps import FlowSteps
from airflow_provider_asyncapi.core.wait.unchanged_polls import perform_each_poll

T = TypeVar("T")


def run_until_sleep(flow: Flow[T], defer: Callable[[float], NoReturn]) -> Flow[T]:
    """
    Run a flow until its first sleep that is deferrable.

    :param flow: the flow.
    :param defer: called with the length of the sleep, in seconds; it raises what ends the process.
    :return: the result of the flow if it ends without that.
    """
    with FlowSteps(perform_each_poll(flow)) as steps:
        for effect in steps:
            if isinstance(effect, Sleep) and effect.is_deferrable:
                defer(effect.seconds)
            try:
                steps.reply = yield effect
            except AsyncApiError as error:
                steps.error = error
    return steps.result


def disallow_deferral(flow: Flow[T]) -> Flow[T]:
    """Run a flow none of whose sleeps is deferrable."""
    with FlowSteps(perform_each_poll(flow)) as steps:
        for effect in steps:
            try:
                steps.reply = yield Sleep(effect.seconds, is_deferrable=False) if isinstance(effect, Sleep) else effect
            except AsyncApiError as error:
                steps.error = error
    return steps.result
