"""In the triggerer: read large responses on a thread, so that the event loop isn't blocked."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from airflow_provider_asyncapi.core.effects import DriverEffect, PollBatch, Send
from airflow_provider_asyncapi.core.errors import SlowResponseError
from airflow_provider_asyncapi.core.flow_steps import FlowSteps
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.wait.batch_plan import BatchResponse

#: Largest response that is read on the event loop, in bytes; that takes some hundredths of a second at most.
#: Nearly all status documents are smaller, and handing one to a thread takes 0.1 ms.
_LARGE = 4096
#: Seconds after which a step no longer blocks the next one, and the maximum number of threads of a connection. Usual
#: responses of 1 MiB take some hundredths of a second.
_PATIENCE = 1.0
_MAX_THREADS = 4


def is_expensive(effect: DriverEffect, reply: Any) -> bool:
    """Return whether a flow may take long to read a reply, because it is a large response."""
    if isinstance(effect, PollBatch) and isinstance(reply, BatchResponse):
        reply = reply.response_for(effect.identifier)
        # The job's part of a batch; a part that is nested too deeply has no fingerprint.
        return reply is not None and (reply.fingerprint is None or len(reply.fingerprint) > _LARGE)
    return isinstance(reply, Response) and len(reply.body) > _LARGE


class StepThreads:
    """
    Runs steps of flows on threads, in turn.

    Each connection runs one step at a time: an API whose responses take long to read blocks only the waits for that API
    that have a large response. More threads would share the interpreter with the event loop, so another one starts only
    while a step takes very long; Python can't stop that step.

    :param patience: seconds after which the next step begins beside one that is still running.
    """

    def __init__(self, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._executor: ThreadPoolExecutor | None = None
        self._turn = asyncio.Semaphore()
        #: The running steps that have taken longer than that.
        self._slow: set[asyncio.Future[DriverEffect | None]] = set()

    async def step(
        self, steps: FlowSteps[DriverEffect, Any], answered: Send | PollBatch, left: float | None
    ) -> DriverEffect | None:
        """
        Run the next step of a flow; return its next effect, or None at its end.

        :param answered: the effect whose reply the step reads.
        :param left: time limit in seconds; None for no limit.
        :raises SlowResponseError: if the step takes longer; the flow is closed once the step is over.
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
            raise SlowResponseError(
                f"{asked}: the response could not be searched in time; use selectors that name the way to the value"
            ) from None
        return running.result()

    def _begin(self, steps: FlowSteps[DriverEffect, Any]) -> asyncio.Future[DriverEffect | None]:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(_MAX_THREADS, thread_name_prefix="asyncapi-answers")
        running: asyncio.Future[DriverEffect | None] = asyncio.wrap_future(self._executor.submit(next, steps, None))
        timer = asyncio.get_running_loop().call_later(self._patience, self._release_turn, running)

        def end(_: object) -> None:
            timer.cancel()
            self._end(running)

        running.add_done_callback(end)
        return running

    def _release_turn(self, running: asyncio.Future[DriverEffect | None]) -> None:
        """Start the next step beside one that takes very long, if there is a thread for it."""
        self._slow.add(running)
        if len(self._slow) < _MAX_THREADS:
            self._turn.release()

    def _end(self, running: asyncio.Future[DriverEffect | None]) -> None:
        """Start the next step, unless it has been allowed to start before."""
        is_full = len(self._slow) == _MAX_THREADS
        if running not in self._slow or is_full:
            self._turn.release()
        self._slow.discard(running)
        if not running.cancelled():
            # Retrieve the error, because there may be no other code that does.
            running.exception()

    def close(self) -> None:
        """Start no further step."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
