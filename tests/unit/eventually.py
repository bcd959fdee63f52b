"""Waits for what another thread or task does, when nobody can tell that it has been done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

_PATIENCE = 10.0
_PAUSE = 0.005


def wait_until(condition: Callable[[], object]) -> None:
    """Return as soon as the condition holds; fail if it doesn't within ten seconds."""
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "the condition didn't hold in time"
        time.sleep(_PAUSE)


async def until(condition: Callable[[], object]) -> None:
    """Do the same on an event loop."""
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "the condition didn't hold in time"
        await asyncio.sleep(_PAUSE)
