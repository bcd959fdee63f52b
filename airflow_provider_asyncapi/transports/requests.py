"""The driver on the worker, made with requests."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_provider_asyncapi.core.auth.token_flow import TokenState, build_slow_token_error, get_shared_token
from airflow_provider_asyncapi.core.auth.tokens import Token
from airflow_provider_asyncapi.core.concurrent_flows import ConcurrentFlows
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
from airflow_provider_asyncapi.transports.pacing import Pacing
from airflow_provider_asyncapi.transports.requests_client import RequestsClient
from airflow_provider_asyncapi.transports.tls import prepare_tls_context

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.wait import batch_flow
else:
    # Few tasks poll many jobs with one request.
    batch_flow = LazyModule("airflow_provider_asyncapi.core.wait.batch_flow")

#: Seconds for which a killed task waits for its other threads: they may still write into files that it removes next.
#: Airflow ends the process 5 s after the kill.
_KILL_TIMEOUT = 2.0

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
    ) -> None:
        self._api = api
        self._sleep = sleep
        self._client = client or RequestsClient(
            api.settings, get_tls_context or prepare_tls_context(api.settings), steady
        )
        self._pacing = Pacing(api, steady)
        self._token_state = TokenState()
        self._token_lock = threading.Lock()

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
                return self._run_concurrently(effect, observe, cancellation)
            case _:
                return observe(effect)

    def _wait(self, seconds: float, cancellation: Cancellation) -> None:
        (self._sleep or cancellation.sleep)(seconds)

    def _run_concurrently(self, effect: RunConcurrently, observe: Observer, outer: Cancellation) -> None:
        # Not a context: that would wait for all threads at its end, even if one of them hangs.
        pool = ThreadPoolExecutor(max_workers=effect.concurrency)
        with outer.make_child() as cancellation:

            def start(make: Callable[[], Flow[Any]]) -> Future[Any]:
                return pool.submit(lambda: self.run(make(), observe=observe, cancellation=cancellation))

            flows = ConcurrentFlows(effect, start)
            try:
                while running := flows.advance():
                    wait(running, return_when=FIRST_COMPLETED)
            except BaseException as error:
                # The results of the other flows aren't needed.
                cancellation.request()
                is_killed = not isinstance(error, Exception)
                pool.shutdown(wait=not is_killed, cancel_futures=True)
                if is_killed:
                    wait([task for task in flows.tasks if not task.done()], timeout=_KILL_TIMEOUT)
                raise
            pool.shutdown()

    def _get_token(self, effect: GetToken, observe: Observer, cancellation: Cancellation) -> Token:
        asked_at, left = self._api.clock(), self._api.seconds_until(effect.until)
        if not self._token_lock.acquire(timeout=-1 if left is None else max(0.0, left)):
            raise build_slow_token_error()
        try:
            cancellation.check()
            source = self._api.settings.auth.token_source
            if source is not None and source.refresh_token is not None:
                # If the cancellation interrupted the renewal, the new refresh token would be lost.
                cancellation = Cancellation()
            flow = get_shared_token(self._api, self._token_state, effect, asked_at)
            return self.run(flow, observe=observe, cancellation=cancellation)
        finally:
            self._token_lock.release()

    def _send(self, effect: Send, cancellation: Cancellation) -> Response:
        pause, needed_until = self._pacing.reserve(effect)
        if pause:
            self._wait(pause, cancellation)
        response = self._client.send(effect, needed_until, cancellation.is_requested)
        response.delay = Delay.of(rate=pause)
        self._pacing.observe(effect, response)
        return response
