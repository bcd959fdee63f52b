"""The driver on the worker, made with requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any, TypeVar

from airflow_provider_asyncapi.core.auth.login import TokenState, build_slow_login_error, get_shared_token
from airflow_provider_asyncapi.core.auth.tokens import Token
from airflow_provider_asyncapi.core.concurrent_flows import ConcurrentFlows
from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import (
    Authorize,
    DriverEffect,
    Flow,
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
from airflow_provider_asyncapi.core.wait.unchanged_polls import perform_each_poll
from airflow_provider_asyncapi.transports import Observer, log_only
from airflow_provider_asyncapi.transports.pacing import Pacing
from airflow_provider_asyncapi.transports.requests_client import RequestsClient
from airflow_provider_asyncapi.transports.tls import prepare_tls_context

T = TypeVar("T")


class RequestsDriver:
    """
    Runs flows on the calling thread; several threads may call it.

    :param api: the connection.
    :param sleep: sleeps for a number of seconds.
    :param steady: a clock that is never put back, in seconds.
    :raises ConfigurationError: if a certificate can't be read.
    """

    def __init__(
        self,
        api: Api,
        *,
        sleep: Callable[[float], object] = time.sleep,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._sleep = sleep
        self._client = RequestsClient(api.settings, prepare_tls_context(api.settings), steady)
        self._pacing = Pacing(api, steady)
        self._token_state = TokenState()
        self._token_lock = threading.Lock()

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def run(
        self, flow: Flow[T], *, observe: Observer = log_only, is_cancelled: Callable[[], bool] = lambda: False
    ) -> T:
        """
        Run a flow to its end.

        :param observe: called with each notification.
        :param is_cancelled: returns whether to stop, since a thread can't be ended from outside.
        :raises AsyncApiError: any error of the flow.
        """
        with FlowSteps(perform_each_poll(flow)) as steps:
            for effect in steps:
                try:
                    steps.reply = self._perform(effect, observe, is_cancelled)
                except AsyncApiError as error:
                    steps.error = error
        return steps.result

    def _perform(self, effect: DriverEffect, observe: Observer, is_cancelled: Callable[[], bool]) -> Any:
        if is_cancelled():
            raise CancelledError
        match effect:
            case Send():
                return self._send(effect, is_cancelled)
            case Sleep(seconds):
                return self._sleep(seconds)
            case PollBatch():
                from airflow_provider_asyncapi.core.wait.batch_flow import poll_alone

                return self.run(poll_alone(self._api, effect), observe=observe)
            case Authorize():
                return self._authorize(effect, observe)
            case RunBlocking(work):
                return work()
            case RunConcurrently():
                return self._run_concurrently(effect, observe)
            case _:
                return observe(effect)

    def _run_concurrently(self, effect: RunConcurrently, observe: Observer) -> None:
        cancelled = threading.Event()

        def run_flow(make: Callable[[], Flow[Any]]) -> Any:
            return self.run(make(), observe=observe, is_cancelled=cancelled.is_set)

        with ThreadPoolExecutor(max_workers=effect.concurrency) as pool:
            flows = ConcurrentFlows(effect, lambda make: pool.submit(run_flow, make))
            try:
                while (future := flows.next_due()) is not None:
                    flows.consume(future.result())
            except BaseException:
                # The results of the other flows aren't needed, least of all if the task was killed.
                cancelled.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _authorize(self, effect: Authorize, observe: Observer) -> Token:
        asked_at, left = self._api.clock(), self._api.seconds_until(effect.until)
        if not self._token_lock.acquire(timeout=-1 if left is None else max(0.0, left)):
            raise build_slow_login_error()
        try:
            return self.run(get_shared_token(self._api, self._token_state, effect, asked_at), observe=observe)
        finally:
            self._token_lock.release()

    def _send(self, effect: Send, is_cancelled: Callable[[], bool]) -> Response:
        pause, needed_until = self._pacing.reserve(effect)
        if pause:
            self._sleep(pause)
        response = self._client.send(effect, needed_until, is_cancelled)
        response.delay = Delay.of(rate=pause)
        self._pacing.observe(effect, response)
        return response
