"""Send the trace context with requests (W3C Trace Context, https://www.w3.org/TR/trace-context/)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Effect, Flow, PollUntilChanged, RunConcurrently, Send
from airflow_provider_asyncapi.core.flow_steps import map_effects
from airflow_provider_asyncapi.core.http.messages import Request

T = TypeVar("T")

#: The name of the header.
TRACEPARENT = "traceparent"


def add_traceparent(api: Api, flow: Flow[T], traceparent: str) -> Flow[T]:
    """
    Run a flow with the trace context in its requests, if the connection sends it.

    Like the credentials, only the API and trusted hosts receive it. Requests for tokens, and requests that poll several
    jobs, don't belong to one job, and don't have it.

    :param flow: the flow.
    :param traceparent: the value of the header.
    """
    return map_effects(flow, _HeaderAdder(api, traceparent)) if api.settings.sends_trace_context else flow


def _make_with_header(api: Api, traceparent: str, make: Callable[[], Flow[T]]) -> Flow[T]:
    return add_traceparent(api, make(), traceparent)


class _HeaderAdder:
    """
    Adds the header to the requests of effects.

    :param api: the API.
    :param traceparent: the value of the header.
    """

    def __init__(self, api: Api, traceparent: str) -> None:
        self._api, self._traceparent = api, traceparent
        # A wait sends the same request again and again, and drivers prepare it once.
        self._request: Request | None = None
        self._changed: Request | None = None

    def __call__(self, effect: Effect) -> Effect:
        match effect:
            case Send():
                return self._change_send(effect)
            case PollUntilChanged():
                return dataclasses.replace(effect, send=self._change_send(effect.send))
            case RunConcurrently():
                add = partial(_make_with_header, self._api, self._traceparent)
                return dataclasses.replace(effect, flows=(partial(add, make) for make in effect.flows))
        return effect

    def _change_send(self, effect: Send) -> Send:
        if self._changed is None or self._request is not effect.request:
            self._request, self._changed = effect.request, self._add_header(effect.request)
        return dataclasses.replace(effect, request=self._changed)

    def _add_header(self, request: Request) -> Request:
        has_own = any(name.lower() == TRACEPARENT for name, _ in request.headers)
        if has_own or not self._api.settings.trusts(request.url):
            return request
        return dataclasses.replace(request, headers=(*request.headers, (TRACEPARENT, self._traceparent)))
