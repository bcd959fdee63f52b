"""The driver on the worker, made with requests."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import (
    DriverEffect,
    Flow,
    GetToken,
    PollBatch,
    RunBlocking,
    RunConcurrently,
    Send,
    Sleep,
)
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.flow_steps import FlowSteps
from airflow_provider_asyncapi.core.http.delays import Delay
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.lazy import LazyModule
from airflow_provider_asyncapi.core.wait.unchanged_polls import perform_each_poll
from airflow_provider_asyncapi.transports import Observer, log_only
from airflow_provider_asyncapi.transports.cancellation import Cancellation
from airflow_provider_asyncapi.transports.concurrency import run_on_threads
from airflow_provider_asyncapi.transports.pacing import Pacing
from airflow_provider_asyncapi.transports.requests_client import RequestsClient
from airflow_provider_asyncapi.transports.tls import prepare_tls_context

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.auth.tokens import Token
    from airflow_provider_asyncapi.core.wait import batch_flow
    from airflow_provider_asyncapi.transports import shared_tokens
else:
    # Few tasks poll many jobs with one request.
    batch_flow = LazyModule("airflow_provider_asyncapi.core.wait.batch_flow")
    # Nor have all connections a token.
    shared_tokens = LazyModule("airflow_provider_asyncapi.transports.shared_tokens")

T = TypeVar("T")


class Client(Protocol):
    """Sends the requests of one Airflow connection, as :class:`~.requests_client.RequestsClient` does."""

    def send(self, effect: Send, needed_until: float, is_cancelled: Callable[[], bool]) -> Response:
        """
        Send a request.

        :raises AsyncApiError: if there is no complete response in time.
        """

    def close(self) -> None:
        """Close all connections."""


class RequestsDriver:
    """
    Runs flows on the calling thread; several threads may call it.

    :param api: the connection.
    :param get_tls_context: returns the TLS context; by default, that of the connection.
    :param sleep: sleeps for a number of seconds; by default, until the time is over or the flow is cancelled.
    :param steady: a clock that is never put back, in seconds.
    :param client: sends the requests; by default, over the network.
    :param record_first_byte: called with the seconds from each request to the head of its response.
    :raises ConfigurationError: if a certificate can't be read.
    """

    def __init__(
        self,
        api: Api,
        *,
        get_tls_context: Callable[[], ssl.SSLContext] | None = None,
        sleep: Callable[[float], object] | None = None,
        steady: Callable[[], float] = time.monotonic,
        client: Client | None = None,
        record_first_byte: Callable[[float], object] | None = None,
    ) -> None:
        self._api = api
        self._sleep = sleep
        self._steady, self._record_first_byte = steady, record_first_byte
        self._client = client or RequestsClient(
            api.settings, get_tls_context or prepare_tls_context(api.settings), steady
        )
        self._pacing = Pacing(api, steady)
        self._tokens = shared_tokens.ThreadTokens(api) if api.settings.auth.needs_token else None

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def run(self, flow: Flow[T], *, observe: Observer = log_only, cancellation: Cancellation | None = None) -> T:
        """
        Run a flow to its end.

        :param observe: called with each notification.
        :param cancellation: stops the flow if another thread requests it.
        :raises AsyncApiError: any error of the flow.
        :raises CancelledError: if the flow was cancelled.
        """
        cancellation = cancellation or Cancellation()
        with FlowSteps(perform_each_poll(flow)) as steps:
            for effect in steps:
                cancellation.check()
                try:
                    steps.reply = self._perform(effect, observe, cancellation)
                except AsyncApiError as error:
                    steps.error = error
        return steps.result

    def _perform(self, effect: DriverEffect, observe: Observer, cancellation: Cancellation) -> Any:
        match effect:
            case Send():
                return self._send(effect, cancellation)
            case Sleep(seconds):
                return self._wait(seconds, cancellation)
            case PollBatch():
                return self.run(batch_flow.poll_alone(self._api, effect), observe=observe, cancellation=cancellation)
            case GetToken():
                return self._get_token(effect, observe, cancellation)
            case RunBlocking(work):
                return work()
            case RunConcurrently():
                run = partial(self.run, observe=observe)
                return run_on_threads(
                    lambda make, child: run(make(), cancellation=child),
                    effect.flows,
                    effect.concurrency,
                    effect.on_result,
                    cancellation,
                )
            case _:
                return observe(effect)

    def _wait(self, seconds: float, cancellation: Cancellation) -> None:
        (self._sleep or cancellation.sleep)(seconds)

    def _get_token(self, effect: GetToken, observe: Observer, cancellation: Cancellation) -> Token:
        run = partial(self.run, observe=observe)
        assert self._tokens is not None, "only flows of a connection with tokens ask for one"  # noqa: S101 - for mypy
        return self._tokens.get(effect, cancellation, lambda flow, child: run(flow, cancellation=child))

    def _send(self, effect: Send, cancellation: Cancellation) -> Response:
        pause, needed_until = self._pacing.reserve(effect)
        if pause:
            self._wait(pause, cancellation)
        began = 0.0 if self._record_first_byte is None else self._steady()
        response = self._client.send(effect, needed_until, cancellation.is_requested)
        if self._record_first_byte is not None and response.answered_at:
            self._record_first_byte(response.answered_at - began)
        response.delay = Delay.of(rate=pause)
        self._pacing.observe(effect, response)
        return response
