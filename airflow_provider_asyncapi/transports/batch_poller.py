"""In the triggerer: poll jobs with the same batch and interval in common requests."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from dataclasses import dataclass

from airflow_provider_asyncapi.core.effects import PollBatch
from airflow_provider_asyncapi.core.wait.batch_plan import BatchResponse
from airflow_provider_asyncapi.transports import Observer

#: Time that the first job waits for other jobs: a fraction of the interval, and the longest time in seconds.
_GATHER_SHARE, _MAX_GATHER_SECONDS = 0.05, 0.5


@dataclass(frozen=True, slots=True)
class _Waiter:
    """A flow that waits for the next poll of its job."""

    ask: PollBatch
    observe: Observer
    answers: asyncio.Future[BatchResponse]


class BatchPoller:
    """
    Polls many jobs in rounds, as long as a flow waits for one of them.

    A round begins an interval after the responses of the previous one, when the resumed flows have asked again; a flow
    that comes between two rounds joins the next one. So each job is polled at most once in an interval. A flow that
    skips an unchanged response joins the next round, too.

    :param ask: polls the jobs of one request; it gets their identifiers, and the delay in seconds.
    :param size: largest number of jobs in one request.
    :param interval: seconds from one round to the next.
    :param sleep: sleeps for a number of seconds; returns the seconds by which it took longer.
    :param on_idle: called if no flow has waited for a whole interval.
    """

    def __init__(
        self,
        ask: Callable[[Sequence[str | int], float], Awaitable[BatchResponse]],
        *,
        size: int,
        interval: float,
        sleep: Callable[[float], Awaitable[float]],
        on_idle: Callable[[], object],
    ) -> None:
        self._ask, self._size, self._interval, self._sleep, self._on_idle = ask, size, interval, sleep, on_idle
        self._gather = min(_GATHER_SHARE * interval, _MAX_GATHER_SECONDS)
        self._waiting: list[_Waiter] = []
        # In its own context, since its log messages don't belong to the trigger that happened to be the first.
        self._task = asyncio.create_task(self._run(), context=contextvars.Context())

    async def answers(self, ask: PollBatch, observe: Observer) -> BatchResponse:
        """
        Wait for the next round with a new response, and return it, or raise its error.

        :param observe: called with each poll that was skipped as unchanged.
        """
        answers: asyncio.Future[BatchResponse] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiter(ask, observe, answers))
        return await answers

    def close(self) -> None:
        """Stop polling."""
        self._task.cancel()

    async def _run(self) -> None:
        try:
            late = await self._sleep(self._gather)
            while self._waiting:
                # A flow that has been cancelled meanwhile needs no response.
                asking = [each for each in self._waiting if not each.answers.done()]
                self._waiting = []
                parts = [asking[start : start + self._size] for start in range(0, len(asking), self._size)]
                await asyncio.gather(
                    *(self._poll_part(part, n * self._gather / len(parts), late) for n, part in enumerate(parts))
                )
                # The resumed flows go to sleep first, so that they are awake when the next round begins.
                await asyncio.sleep(0)
                late = await self._sleep(self._interval + self._gather)
        finally:
            self._on_idle()

    async def _poll_part(self, asking: Sequence[_Waiter], after: float, late: float) -> None:
        # Reading the responses for thousands of jobs at once would block the event loop.
        late += await self._sleep(after)
        try:
            # A job that two flows wait for is polled once.
            answers = await self._ask(list(dict.fromkeys(each.ask.identifier for each in asking)), late)
            for each in asking:
                self._deliver(each, answers)
        except Exception as error:  # noqa: BLE001 - any error is raised in the waiting flows
            for each in asking:
                if not each.answers.done():
                    # Each flow gets a copy, since a traceback is added to it.
                    each.answers.set_exception(copy(error))

    def _deliver(self, each: _Waiter, answers: BatchResponse) -> None:
        if each.answers.done():
            return
        if (polled := each.ask.skip_if_unchanged(answers)) is None:
            each.answers.set_result(answers)
        else:
            each.observe(polled)
            self._waiting.append(each)
