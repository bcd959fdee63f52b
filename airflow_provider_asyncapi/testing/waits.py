"""Skip the pauses of tasks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from airflow_provider_asyncapi.transports import pauses
from airflow_provider_asyncapi.transports.aiohttp import AiohttpDriver
from airflow_provider_asyncapi.transports.pacing import Pacing
from airflow_provider_asyncapi.transports.requests import RequestsDriver

try:
    import time_machine
except ImportError as error:
    raise ImportError(
        "airflow_provider_asyncapi.testing needs time-machine; install airflow-provider-asyncapi[testing]"
    ) from error


@contextmanager
def skip_waits() -> Iterator[None]:
    """
    Skip the pauses of tasks and triggers: before and between polls, after errors, before the next job, for rate limits.

    A task pauses on its worker, in a trigger, or rescheduled. Each pause moves the clock of the process
    (``time.time()``, ``datetime.now()``) forward, so a deadline is reached as if the task had waited.
    The timers of event loops stay as they are, and so does ``time.monotonic()`` with time-machine 3.
    """
    with time_machine.travel(time.time(), tick=True) as clock:

        def skip(seconds: float) -> None:
            clock.shift(max(0.0, seconds))

        async def skip_in_loop(seconds: float) -> None:
            skip(seconds)
            await asyncio.sleep(0)

        with (
            mock.patch.dict(RequestsDriver.__init__.__kwdefaults__, sleep=skip),
            mock.patch.dict(AiohttpDriver.__init__.__kwdefaults__, sleep=skip_in_loop),
            mock.patch.dict(Pacing.__init__.__kwdefaults__, slot_clock=time.time),
            mock.patch.dict(pauses.sleep.__kwdefaults__, using=skip),
            mock.patch.dict(pauses.sleep_in_loop.__kwdefaults__, using=skip_in_loop),
            mock.patch.dict(pauses.compute_return.__kwdefaults__, leave=skip),
        ):
            yield
