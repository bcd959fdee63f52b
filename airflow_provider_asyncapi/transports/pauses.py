"""Pauses outside of flows; :mod:`airflow_provider_asyncapi.testing` skips these as well."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta


def sleep(seconds: float, *, using: Callable[[float], object] | None = None) -> None:
    """
    Sleep on the worker.

    :param using: sleeps for a number of seconds; by default :func:`time.sleep`.
    """
    (using or time.sleep)(seconds)


async def sleep_in_loop(seconds: float, *, using: Callable[[float], Awaitable[object]] | None = None) -> None:
    """
    Sleep on the event loop, for a trigger.

    :param using: sleeps for a number of seconds; by default :func:`asyncio.sleep`.
    """
    await (using or asyncio.sleep)(seconds)


def compute_return(seconds: float, *, leave: Callable[[float], object] | None = None) -> datetime:
    """
    Return the time at which a task that leaves its worker now has to be back.

    :param seconds: the pause.
    :param leave: called with the pause when the task leaves its worker.
    """
    due = datetime.now(UTC) + timedelta(seconds=seconds)
    if leave is not None:
        leave(seconds)
    return due
