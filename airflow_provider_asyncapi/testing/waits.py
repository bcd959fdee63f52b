"""Skip the pauses of tasks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from airflow_provider_asyncapi.transports.aiohttp import AiohttpDriver
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
    Skip the pauses between polls and after errors, in poke mode and in triggers.

    Each pause moves the clock of the process (``time.time()``, ``datetime.now()``) forward, so a deadline is reached
    as if the task had waited. ``time.monotonic()`` and the timers of event loops stay as they are.
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
        ):
            yield
