"""In the triggerer: run the rounds in which jobs are polled with common requests."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, PollBatch, Polled
from airflow_provider_asyncapi.core.errors import TransportError
from airflow_provider_asyncapi.core.wait.batch_plan import BatchResponse
from airflow_provider_asyncapi.core.wait.batch_rounds import BatchRounds
from airflow_provider_asyncapi.transports import Observer


@dataclass(frozen=True, slots=True)
class _Waiter:
    """A flow of the driver that waits for the next poll of its job."""

    poll: PollBatch
    observe: Observer
    response: asyncio.Future[BatchResponse]

    @property
    def is_gone(self) -> bool:
        return self.response.done()

    def report(self, polled: Polled) -> object:
        return self.observe(polled)

    def resume(self, response: BatchResponse) -> None:
        self.response.set_result(response)

    def fail(self, error: Exception) -> None:
        self.response.set_exception(error)


class BatchPoller:
    """
    Runs the rounds of each batch and interval as a task, as long as a flow waits for a job.

    :param run: runs a flow.
    """

    def __init__(self, api: Api, run: Callable[[Flow[Any]], Awaitable[Any]]) -> None:
        self._api, self._run = api, run
        self._running: dict[tuple[str, float], tuple[BatchRounds, asyncio.Task[None]]] = {}

    @property
    def is_idle(self) -> bool:
        """Whether no flow waits for a job."""
        return not self._running

    async def poll(self, effect: PollBatch, observe: Observer) -> BatchResponse:
        """
        Wait for the next round with a new response, and return it, or raise its error.

        :param observe: called with each poll that was skipped as unchanged.
        :raises TransportError: if there is none in time.
        """
        key = (effect.batch.key, effect.interval)
        if key not in self._running:
            rounds = BatchRounds(self._api, effect.batch, effect.interval)
            # In its own context, since its log messages don't belong to the trigger that happened to be the first.
            task = asyncio.create_task(self._run_rounds(key, rounds), context=contextvars.Context())
            self._running[key] = rounds, task
        waiter = _Waiter(effect, observe, asyncio.get_running_loop().create_future())
        self._running[key][0].join(waiter)
        try:
            async with asyncio.timeout(self._api.seconds_until(effect.until)):
                return await waiter.response
        except TimeoutError:
            raise TransportError("batch of jobs: no response in time") from None

    def close(self) -> None:
        """Stop polling."""
        for _, task in self._running.values():
            task.cancel()

    async def _run_rounds(self, key: tuple[str, float], rounds: BatchRounds) -> None:
        try:
            await self._run(rounds.poll_in_rounds())
        except Exception as error:  # noqa: BLE001 - any error is raised in the waiting flows
            rounds.fail(error)
        finally:
            del self._running[key]
