"""The triggers that this package is compared with, in addition to the http provider's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import aiohttp
from airflow.triggers.base import BaseTrigger, TriggerEvent


class SleepingTrigger(BaseTrigger):
    """Does nothing, which shows the cost of Airflow itself."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments."""
        return "benchmarks.polling_triggers.SleepingTrigger", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Sleep for longer than is measured."""
        await asyncio.sleep(3600)
        yield TriggerEvent(None)


@cache
def _session() -> aiohttp.ClientSession:
    # As many connections as needed, as in this package.
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))


class BareTrigger(BaseTrigger):
    """Polls with aiohttp over one session for all, and does nothing else."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments."""
        return "benchmarks.polling_triggers.BareTrigger", {"url": self.url}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll."""
        while True:
            async with _session().get(self.url) as response:
                answer = await response.json()
                if answer["data"]["task"]["status"] == "done":
                    yield TriggerEvent(answer)
                    return
            await asyncio.sleep(1)
