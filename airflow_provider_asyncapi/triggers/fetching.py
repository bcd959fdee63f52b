"""Fetch a small result in the triggerer, so that the task of a whole job can end without another worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from airflow_provider_asyncapi.core.effects import Notification
from airflow_provider_asyncapi.core.http.messages import MAX_BODY
from airflow_provider_asyncapi.triggers import lazy

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.jobs.handle import JobHandle
    from airflow_provider_asyncapi.core.json_values import JsonValue
    from airflow_provider_asyncapi.hooks.running import FlowRunner
    from airflow_provider_asyncapi.transports.cancellation import Cancellation

#: Maximum number of results that the triggerer fetches at the same time; each has a thread.
_CONCURRENCY = 8
#: Seconds within which a result has to be fetched; a worker may take longer.
_TIMEOUT = 60.0
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


async def fetch_value(
    conn_id: str, params: Mapping[str, Any], handle: JobHandle, log: Callable[[Notification], object]
) -> JsonValue:
    """
    Fetch a value for XCom, with the limits of a poll: a response of at most 1 MiB.

    :param params: the parameters of the fetch, and ``max_xcom_bytes`` if it is set.
    :param handle: the job handle of a job that has succeeded.
    :param log: writes the log lines.
    :raises Exception: if the value can't be fetched, whatever the reason.
    """

    def fetch_on_thread(runner: FlowRunner, _cancellation: Cancellation) -> JsonValue:
        # The imports of the fetch would block the event loop for too long.
        given = dict(params)
        limits = {name: given.pop(name) for name in ("max_xcom_bytes",) if name in given}
        return lazy.fetch(
            runner,
            lazy.FetchTask(lazy.FetchPlan.parse(given), handle, limits=lazy.ResultLimits(**limits), max_body=MAX_BODY),
        )

    turn = _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(_CONCURRENCY))
    async with turn, asyncio.timeout(_TIMEOUT):
        return await lazy.run_on_thread(conn_id, fetch_on_thread, log)
