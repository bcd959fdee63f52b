"""In the triggerer: those who wait for jobs that can be asked for together, and ask alike, are asked for together."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from dataclasses import dataclass

from airflow_provider_asyncapi.core.effects import PollBatch
from airflow_provider_asyncapi.core.wait.batch_plan import BatchResponse
from airflow_provider_asyncapi.transports import Observer

#: How long the first who asks waits for others: a fraction of the interval, and at most so many seconds.
_GATHER, _LONGEST_GATHER = 0.05, 0.5


@dataclass(frozen=True, slots=True)
class _Asking:
    """Somebody who asks."""

    ask: PollBatch
    observe: Observer
    answers: asyncio.Future[BatchResponse]


class Rounds:
    """
    Asks for many jobs again and again, as long as somebody waits for them.

    A round begins an interval after the answers of the one before, when those who were told then ask again; whoever
    comes between two rounds is in the next one. So each job is asked for at most once in an interval. Who is not to be
    woken for what was answered is in the next round too.

    :param ask: asks for so many jobs as fit into one request; is given by how many seconds it is late, too.
    :param size: how many that are.
    :param interval: seconds from one round to the next.
    :param sleep: waits so many seconds; returns by how many it took longer.
    :param ended: called when nobody has waited for a whole interval.
    """

    def __init__(
        self,
        ask: Callable[[Sequence[str | int], float], Awaitable[BatchResponse]],
        *,
        size: int,
        interval: float,
        sleep: Callable[[float], Awaitable[float]],
        ended: Callable[[], object],
    ) -> None:
        self._ask, self._size, self._interval, self._sleep, self._ended = ask, size, interval, sleep, ended
        self._gather = min(_GATHER * interval, _LONGEST_GATHER)
        self._waiting: list[_Asking] = []
        # In a context of its own, for its log lines aren't those of the trigger that happened to be first.
        self._task = asyncio.create_task(self._run(), context=contextvars.Context())

    async def answers(self, ask: PollBatch, observe: Observer) -> BatchResponse:
        """
        Wait for the next round that has something new; give what it was answered, or raise what went wrong.

        :param observe: told of each poll that was passed.
        """
        answers: asyncio.Future[BatchResponse] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Asking(ask, observe, answers))
        return await answers

    def close(self) -> None:
        """Ask no more."""
        self._task.cancel()

    async def _run(self) -> None:
        try:
            late = await self._sleep(self._gather)
            while self._waiting:
                # Who has been cancelled meanwhile needs no answer.
                asking = [each for each in self._waiting if not each.answers.done()]
                self._waiting = []
                parts = [asking[start : start + self._size] for start in range(0, len(asking), self._size)]
                await asyncio.gather(
                    *(self._round(part, n * self._gather / len(parts), late) for n, part in enumerate(parts))
                )
                # Those who were answered go to sleep first, so that they are awake when the next round begins.
                await asyncio.sleep(0)
                late = await self._sleep(self._interval + self._gather)
        finally:
            self._ended()

    async def _round(self, asking: Sequence[_Asking], after: float, late: float) -> None:
        # Reading the answers of thousands of jobs in one go would hold up the loop.
        late += await self._sleep(after)
        try:
            # A job that two wait for is asked for once.
            answers = await self._ask(list(dict.fromkeys(each.ask.identifier for each in asking)), late)
            for each in asking:
                self._tell(each, answers)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is for those who wait
            for each in asking:
                if not each.answers.done():
                    # A copy for each, for tracebacks are added to it.
                    each.answers.set_exception(copy(error))

    def _tell(self, each: _Asking, answers: BatchResponse) -> None:
        if each.answers.done():
            return
        if (polled := each.ask.skip_if_unchanged(answers)) is None:
            each.answers.set_result(answers)
        else:
            each.observe(polled)
            self._waiting.append(each)
