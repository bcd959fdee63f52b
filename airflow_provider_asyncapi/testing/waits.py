"""Let tasks wait for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from airflow_provider_asyncapi.transports.aiohttp import AiohttpDriver
from airflow_provider_asyncapi.transports.requests import RequestsDriver


@contextmanager
def skip_waits() -> Iterator[None]:
    """
    Skip the pauses between polls, and those after errors, in poke mode and in triggers.

    The clock stays: a deadline isn't reached by pauses that are skipped, and the servers of this package answer
    ``Retry-After: 0`` in place of a longer pause.
    """

    async def skip(_seconds: float) -> None:
        await asyncio.sleep(0)

    defaults = (
        (RequestsDriver.__init__.__kwdefaults__, lambda _seconds: None),
        (AiohttpDriver.__init__.__kwdefaults__, skip),
    )
    with mock.patch.dict(defaults[0][0], sleep=defaults[0][1]), mock.patch.dict(defaults[1][0], sleep=defaults[1][1]):
        yield
