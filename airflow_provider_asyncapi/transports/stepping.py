"""In the triggerer: flows look at large answers on a thread, since the event loop has others to serve."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from airflow_provider_asyncapi.core.effects import Effect, PollBatch, Send
from airflow_provider_asyncapi.core.errors import SlowAnswerError
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.steps import Steps
from airflow_provider_asyncapi.core.wait.batch_plan import BatchResponse

#: Bytes of an answer that are looked at on the event loop: whatever they are, and whatever looks at them, it takes some
#: hundredths of a second at most. Nearly all status documents are smaller, and handing one to a thread takes 0.1 ms.
_LARGE = 4096
#: Seconds after which a step no longer makes the others wait, and the threads of a connection at most. Usual answers of
#: 1 MiB take some hundredths of a second.
_PATIENCE = 1.0
_MOST_THREADS = 4


def costs_much(effect: Effect, reply: Any) -> bool:
    """Tell whether a flow may need long to look at what it is answered: an answer that is large."""
    if isinstance(effect, PollBatch) and isinstance(reply, BatchResponse):
        reply = reply.response_for(effect.identifier)
        # A job's part of an answer; one that is nested too deeply has no fingerprint.
        return reply is not None and (reply.fingerprint is None or len(reply.fingerprint) > _LARGE)
    return isinstance(reply, Response) and len(reply.body) > _LARGE


class SteppingThreads:
    """
    Runs steps of flows on threads, in turn.

    There is one turn for each connection: an API whose answers take long to look at holds up the waits for that API
    only, and only those that have a large answer to look at. More threads would share one interpreter with the event
    loop, so another one begins only while a step takes very long; Python can't stop that step.

    :param patience: seconds after which the next step begins beside one that isn't over.
    """

    def __init__(self, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._executor: ThreadPoolExecutor | None = None
        self._turn = asyncio.Semaphore()
        #: The steps that have taken longer than that.
        self._slow: set[asyncio.Future[Effect | None]] = set()

    async def step(self, steps: Steps[Any], answered: Send | PollBatch, left: float | None) -> Effect | None:
        """
        Run the next step of a flow; return what it asks for, or None at its end.

        :param answered: what the flow has asked for, and looks at the answer of.
        :param left: seconds until nobody needs it any more; None for no bound.
        :raises SlowAnswerError: if it isn't over by then; the flow is closed once it is.
        """
        try:
            async with asyncio.timeout(left):
                await self._turn.acquire()
                running = self._begin(steps)
                try:
                    await asyncio.wait([running])
                except asyncio.CancelledError:
                    running.add_done_callback(lambda _: steps.close())
                    raise
        except TimeoutError:
            asked = answered.request if isinstance(answered, Send) else f"job {answered.identifier}"
            raise SlowAnswerError(
                f"{asked}: the answer could not be searched in time; use selectors that name the way to the value"
            ) from None
        return running.result()

    def _begin(self, steps: Steps[Any]) -> asyncio.Future[Effect | None]:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="asyncapi-answers")
        running: asyncio.Future[Effect | None] = asyncio.wrap_future(self._executor.submit(next, steps, None))
        timer = asyncio.get_running_loop().call_later(self._patience, self._give_way, running)

        def end(_: object) -> None:
            timer.cancel()
            self._end(running)

        running.add_done_callback(end)
        return running

    def _give_way(self, running: asyncio.Future[Effect | None]) -> None:
        """Let the next step begin beside one that takes very long, if there is a thread for it."""
        self._slow.add(running)
        if len(self._slow) < _MOST_THREADS:
            self._turn.release()

    def _end(self, running: asyncio.Future[Effect | None]) -> None:
        """Let the next step begin, unless it could before."""
        is_full = len(self._slow) == _MOST_THREADS
        if running not in self._slow or is_full:
            self._turn.release()
        self._slow.discard(running)
        if not running.cancelled():
            # Nobody may be left to be told of it.
            running.exception()

    def close(self) -> None:
        """Begin no further step."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
