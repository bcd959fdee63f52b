"""The driver in the triggerer, made with aiohttp."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from copy import copy
from typing import Any, TypeVar

from airflow_provider_asyncapi.core.auth.token_flow import TokenState, build_slow_token_error, get_shared_token
from airflow_provider_asyncapi.core.auth.tokens import Token
from airflow_provider_asyncapi.core.concurrent_flows import ConcurrentFlows
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
from airflow_provider_asyncapi.transports.pacing import Pacing
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
    """

    def __init__(
        self,
        api: Api,
        tls: ssl.SSLContext,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        steady: Callable[[], float] = time.monotonic,
        open_client: Callable[[ConnectionSettings, ssl.SSLContext, Callable[[], float]], HttpClient] = open_client,
    ) -> None:
        self._api = api
        self._loop = asyncio.get_running_loop()
        self._client = open_client(api.settings, tls, steady)
        self._sleep = sleep
        self._pacing = Pacing(api, steady)
        self._token_state = TokenState()
        self._retired: Exception | None = None
        self._batch_poller = BatchPoller(api, self.run)
        self._token_lock = asyncio.Lock()
        self._threads = StepThreads()
        self._renewals: set[asyncio.Task[Token]] = set()

    def retire(self, why: Exception) -> None:
        """
        Send no further requests; running ones are completed.

        :param why: the error that is raised for every further request.
        """
        self._retired = why

    async def close(self) -> None:
        """Close all connections, after the requests for tokens that may not be interrupted."""
        if self._renewals:
            await asyncio.wait(self._renewals)
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
                        steps.reply = await self._get_token(effect, observe)
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
                return self._run_concurrently(effect, observe, overslept)

    async def _run_concurrently(self, effect: RunConcurrently, observe: Observer, overslept: float) -> None:
        slots = asyncio.Semaphore(effect.concurrency)

        async def run_flow(make: Callable[[], Flow[Any]]) -> Any:
            async with slots:
                return await self.run(make(), observe=observe, overslept=overslept)

        flows = ConcurrentFlows(effect, lambda make: asyncio.create_task(run_flow(make)))
        try:
            while running := flows.advance():
                # Not by awaiting a task, which would be cancelled with this one, and would let the next flow start.
                await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in flows.tasks:
                task.cancel()
            await asyncio.gather(*flows.tasks, return_exceptions=True)

    async def _get_token(self, effect: GetToken, observe: Observer) -> Token:
        source = self._api.settings.auth.token_source
        if source is None or source.refresh_token is None:
            return await self._get_token_in_turn(effect, observe)
        # If a wait that is cancelled interrupted it, the new refresh token would be lost.
        renewal = asyncio.create_task(self._get_token_in_turn(effect, observe))
        self._renewals.add(renewal)
        renewal.add_done_callback(self._renewals.discard)
        return await asyncio.shield(renewal)

    async def _get_token_in_turn(self, effect: GetToken, observe: Observer) -> Token:
        asked_at = self._api.clock()
        try:
            async with asyncio.timeout(self._api.seconds_until(effect.until)):
                await self._token_lock.acquire()
        except TimeoutError:
            raise build_slow_token_error() from None
        try:
            return await self.run(get_shared_token(self._api, self._token_state, effect, asked_at), observe=observe)
        finally:
            self._token_lock.release()

    async def _send(self, effect: Send, prepared: Any, overslept: float) -> Response:
        if self._retired is not None:
            raise copy(self._retired)
        pause, needed_until = self._pacing.reserve(effect)
        if pause:
            await self._sleep(pause)
        response, waited = await self._client.send(effect, prepared, needed_until)
        response.delay = Delay.of(connections=waited, rate=pause, event_loop=overslept)
        self._pacing.observe(effect, response)
        return response
