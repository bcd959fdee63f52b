"""The driver in the triggerer, made with aiohttp."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from copy import copy
from functools import partial
from typing import Any, TypeVar

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.effects import (
    Flow,
    GetToken,
    Notification,
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
from airflow_provider_asyncapi.transports.aiohttp_client import HttpClient, open_client
from airflow_provider_asyncapi.transports.batch_poller import BatchPoller
from airflow_provider_asyncapi.transports.concurrency import run_as_tasks
from airflow_provider_asyncapi.transports.pacing import Pacing
from airflow_provider_asyncapi.transports.shared_tokens import LoopTokens
from airflow_provider_asyncapi.transports.step_threads import StepThreads, is_expensive

T = TypeVar("T")


class AiohttpDriver:
    """
    Runs flows on the running event loop, any number at the same time, over one pool of connections.

    :param api: the connection.
    :param tls: the TLS context of the connection.
    :param sleep: sleeps for a number of seconds.
    :param steady: a clock that is never put back, in seconds.
    :param open_client: returns the client that sends the requests.
    :param record_first_byte: called with the seconds from each request to the head of its response.
    """

    def __init__(
        self,
        api: Api,
        tls: ssl.SSLContext,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        steady: Callable[[], float] = time.monotonic,
        open_client: Callable[[ConnectionSettings, ssl.SSLContext, Callable[[], float]], HttpClient] = open_client,
        record_first_byte: Callable[[float], object] | None = None,
    ) -> None:
        self._api = api
        self._loop = asyncio.get_running_loop()
        self._client = open_client(api.settings, tls, steady)
        self._sleep = sleep
        self._steady, self._record_first_byte = steady, record_first_byte
        self._pacing = Pacing(api, steady)
        self._retired: Exception | None = None
        self._batch_poller = BatchPoller(api, self.run)
        self._tokens = LoopTokens(api)
        self._threads = StepThreads()

    def retire(self, why: Exception) -> None:
        """
        Send no further requests; running ones are completed.

        :param why: the error that is raised for every further request.
        """
        self._retired = why

    async def close(self) -> None:
        """Close all connections, after the requests for tokens that may not be interrupted."""
        await self._tokens.close()
        self._batch_poller.close()
        self._threads.close()
        await self._client.close()

    async def run(self, flow: Flow[T], *, observe: Observer = log_only, overslept: float = 0.0) -> T:
        """
        Run a flow to its end.

        :param observe: called with each notification.
        :param overslept: seconds by which the flow starts late.
        :raises SlowResponseError: if the flow takes longer than its time limit to read a response.
        :raises AsyncApiError: any error of the flow.
        """
        # The effect whose large response the flow reads next.
        expensive: Send | PollBatch | None = None
        # The last request, as it is sent: a poll sends the same request again and again.
        request = prepared = None
        with FlowSteps(perform_each_poll(flow)) as steps:
            while (
                effect := next(steps, None)
                if expensive is None
                else await self._threads.step(steps, expensive, self._api.seconds_until(expensive.until))
            ) is not None:
                try:
                    if isinstance(effect, Notification):
                        # The flow may still read its last response.
                        steps.reply = observe(effect)
                        continue
                    expensive = None
                    if isinstance(effect, Sleep):
                        overslept += await self._sleep_and_measure(effect.seconds)
                        steps.reply = None
                    elif isinstance(effect, GetToken):
                        # The request that needs the token is late, too.
                        steps.reply = await self._tokens.get(effect, partial(self.run, observe=observe))
                    elif isinstance(effect, Send):
                        if effect.request is not request:
                            request = effect.request
                            prepared = self._client.prepare(request)
                        late, overslept = overslept, 0.0
                        steps.reply = await self._send(effect, prepared, late)
                    else:
                        late, overslept = overslept, 0.0
                        steps.reply = await self._perform(effect, observe, late)
                    if isinstance(effect, Send | PollBatch) and is_expensive(effect, steps.reply):
                        expensive = effect
                except AsyncApiError as error:
                    steps.error = error
        return steps.result

    async def _sleep_and_measure(self, seconds: float) -> float:
        """Sleep; return the seconds by which it took longer because the event loop was busy."""
        due = self._loop.time() + seconds
        await self._sleep(seconds)
        return max(0.0, self._loop.time() - due)

    def _perform(
        self, effect: PollBatch | RunBlocking | RunConcurrently, observe: Observer, overslept: float
    ) -> Awaitable[Any]:
        match effect:
            case PollBatch():
                return self._batch_poller.poll(effect, observe)
            case RunBlocking(work):
                return asyncio.to_thread(work)
            case RunConcurrently():
                run = partial(self.run, observe=observe, overslept=overslept)
                return run_as_tasks(lambda make: run(make()), effect.flows, effect.concurrency, effect.on_result)

    async def _send(self, effect: Send, prepared: Any, overslept: float) -> Response:
        if self._retired is not None:
            raise copy(self._retired)
        pause, needed_until = self._pacing.reserve(effect)
        if pause:
            await self._sleep(pause)
        began = 0.0 if self._record_first_byte is None else self._steady()
        response, waited = await self._client.send(effect, prepared, needed_until)
        if self._record_first_byte is not None and response.answered_at:
            self._record_first_byte(response.answered_at - began - waited)
        response.delay = Delay.of(connections=waited, rate=pause, event_loop=overslept)
        self._pacing.observe(effect, response)
        return response
