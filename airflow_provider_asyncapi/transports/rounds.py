"""In the triggerer: those who wait for jobs that can be asked for together, and ask alike, are asked for together."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from copy import copy

from airflow_provider_asyncapi.core.batch import Answers

#: How long the first who asks waits for others: a fraction of the interval, and at most so many seconds.
_GATHER, _LONGEST_GATHER = 0.05, 0.5

Identifier = str | int


class Rounds:
    """
    Asks for many jobs again and again, as long as somebody waits for them.

    A round begins an interval after the answers of the one before, when those who were told then ask again; whoever
    comes between two rounds is in the next one. So each job is asked for at most once in an interval.

    :param ask: asks for so many jobs as fit into one request.
    :param size: how many that are.
    :param interval: seconds from one round to the next.
    :param sleep: waits so many seconds.
    :param ended: called when nobody has waited for a whole interval.
    """

    def __init__(
        self,
        ask: Callable[[Sequence[Identifier]], Awaitable[Answers]],
        *,
        size: int,
        interval: float,
        sleep: Callable[[float], Awaitable[object]],
        ended: Callable[[], object],
    ) -> None:
        self._ask, self._size, self._interval, self._sleep, self._ended = ask, size, interval, sleep, ended
        self._gather = min(_GATHER * interval, _LONGEST_GATHER)
        self._waiting: list[tuple[Identifier, asyncio.Future[Answers]]] = []
        # In a context of its own, for its log lines aren't those of the trigger that happened to be first.
        self._task = asyncio.create_task(self._run(), context=contextvars.Context())

    async def answers(self, identifier: Identifier) -> Answers:
        """Wait for the next round; give what it was answered, or raise what went wrong."""
        future: asyncio.Future[Answers] = asyncio.get_running_loop().create_future()
        self._waiting.append((identifier, future))
        return await future

    def close(self) -> None:
        """Ask no more."""
        self._task.cancel()

    async def _run(self) -> None:
        try:
            await self._sleep(self._gather)
            while self._waiting:
                asking, self._waiting = self._waiting, []
                # Who has been cancelled meanwhile needs no answer.
                asking = [(identifier, future) for identifier, future in asking if not future.done()]
                parts = [asking[start : start + self._size] for start in range(0, len(asking), self._size)]
                await asyncio.gather(*map(self._round, parts))
                # Those who were answered go to sleep first, so that they are awake when the next round begins.
                await asyncio.sleep(0)
                await self._sleep(self._interval + self._gather)
        finally:
            self._ended()

    async def _round(self, asking: Sequence[tuple[Identifier, asyncio.Future[Answers]]]) -> None:
        try:
            # A job that two wait for is asked for once.
            answers = await self._ask(list(dict.fromkeys(identifier for identifier, _ in asking)))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is for those who wait
            for _, future in asking:
                if not future.done():
                    # A copy for each, for tracebacks are added to it.
                    future.set_exception(copy(error))
            return
        for _, future in asking:
            if not future.done():
                future.set_result(answers)
