"""Poll until the response has changed: the loop that both drivers run, and flows that wrap a wait."""

from __future__ import annotations

from typing import TypeVar

from airflow_provider_asyncapi.core.effects import DriverFlow, Flow, PollUntilChanged, Sleep
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.flow_steps import FlowSteps
from airflow_provider_asyncapi.core.http.messages import Response

T = TypeVar("T")


def perform_each_poll(flow: Flow[T]) -> DriverFlow[T]:
    """
    Run a flow, with each of its polls as an effect of its own, followed by its notification and its pause.

    A poll whose response is unchanged doesn't resume the flow: that would take longer than the poll itself.

    :return: the result of the flow.
    """
    with FlowSteps(flow) as steps:
        for effect in steps:
            # Each effect of each wait comes through here: FlowSteps.forward would be one more generator for each.
            try:
                if isinstance(effect, PollUntilChanged):
                    steps.reply = yield from _poll_until_changed(effect)
                else:
                    steps.reply = yield effect
            except AsyncApiError as error:
                steps.error = error
    return steps.result


def _poll_until_changed(effect: PollUntilChanged) -> DriverFlow[Response]:
    """Poll until a response has to be processed by the flow, and return that response."""
    while True:
        response: Response = yield effect.send
        polled = effect.skip_if_unchanged(response)
        if polled is None or polled.pause is None:
            return response
        # Thousands of waits may sleep at the same time, so none holds on to its last response.
        del response
        yield polled
        yield Sleep(polled.pause)
