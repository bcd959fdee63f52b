"""In the triggerer: flows look at large answers on a thread, since the event loop has others to serve."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from airflow_provider_asyncapi.core.batch import Answers
from airflow_provider_asyncapi.core.effects import Ask, Effect
from airflow_provider_asyncapi.core.flows.stepping import Steps
from airflow_provider_asyncapi.core.messages import Response

#: Bytes of an answer that are looked at on the event loop: whatever they are, and whatever looks at them, it takes some
#: hundredths of a second at most. Nearly all status documents are smaller, and handing one to a thread takes 0.1 ms.
_LARGE = 4096


def costs_much(effect: Effect, reply: Any) -> bool:
    """Tell whether a flow may need long to look at what it is answered: an answer that is large."""
    if isinstance(effect, Ask) and isinstance(reply, Answers):
        reply = reply.about(effect.identifier)
        # A job's part of an answer; one that is nested too deeply has no fingerprint.
        return reply is not None and (reply.fingerprint is None or len(reply.fingerprint) > _LARGE)
    return isinstance(reply, Response) and len(reply.body) > _LARGE


class SteppingThread:
    """
    Runs steps of flows, one after another.

    There is one for each connection: an API whose answers take long to look at holds up the waits for that API only,
    and only those that have a large answer to look at. More threads would share one interpreter with the event loop.
    """

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None

    async def step(self, steps: Steps[Any]) -> Effect | None:
        """Run the next step of a flow; return what it asks for, or None at its end."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="asyncapi-answers")
        future: Future[Effect | None] = self._executor.submit(next, steps, None)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            # Python can't stop a thread. A flow is closed once its step is over; nobody waits for that.
            if not future.cancelled():
                future.add_done_callback(lambda _: steps.close())
            raise

    def close(self) -> None:
        """Begin no further step."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
