"""Publish the status, progress and errors of a waiting task as XComs, from the triggerer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from airflow_provider_asyncapi.airflow_private.supervisor import read_xcom, write_xcom
from airflow_provider_asyncapi.airflow_private.versions import HAS_TRIGGER_XCOMS
from airflow_provider_asyncapi.core.errors import UnstorableValueError
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.wait.history import JobHistory
from airflow_provider_asyncapi.monitoring.xcoms import (
    HISTORY_KEY,
    JOB_KEY,
    RETURN_KEY,
    WAIT_KEY,
    choose_part,
    keep_parts,
    task_ids,
)
from airflow_provider_asyncapi.triggers.events import check_pushed
from airflow_provider_asyncapi.triggers.task_xcoms import finish_despite_cancel, read_wait_summary

#: Minimum seconds between two updates of the same task.
_UPDATE_INTERVAL = 2.0
#: Seconds between the updates of two tasks. The supervisor takes some milliseconds for each XCom, during which it
#: starts no triggers, and after a restart all tasks have updates at once.
_TASK_GAP = 0.05
#: Seconds by which the first updates of a process are delayed. A triggerer that starts still receives its triggers, and
#: the first XCom blocks the supervisor that sends them for some seconds.
_STARTUP_DELAY = 8.0
#: The longest pause between attempts to push XComs, in seconds.
_LONGEST_PAUSE = 60.0

log = logging.getLogger(__name__)
_queues: WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue] = WeakKeyDictionary()


class _Queue:
    """
    The state that all publishers of an event loop share.

    :ivar started_at: time of the first update, on the clock of the loop.
    :ivar turn: lock held by the publisher that is pushing XComs.
    """

    def __init__(self) -> None:
        self.started_at = asyncio.get_running_loop().time()
        self.turn = asyncio.Lock()


class XComPublisher:
    """
    Publishes status, progress and errors while a task waits, as XComs, which a trigger can write from Airflow 3.2 on.

    XComs that can't be pushed, because Airflow's API server is away, are pushed later, or newer values in their place.

    :param ti: the task instance; None outside of Airflow's triggerer, where no one reads XComs.
    :param is_first: whether no other trigger has published anything about the wait.
    """

    def __init__(self, ti: Any, *, is_first: bool = False) -> None:
        self._ti, self._is_first = ti, is_first
        self._pending: dict[str, Any] = {}
        self._next_push = 0.0
        self._pushing: asyncio.Task[None] | None = None
        self._is_closed = False
        #: What another process has published about the job; None until this process publishes something about it.
        self._earlier: JobHistory | None = None

    def publish(self, updates: Mapping[str, Any]) -> None:
        """Push XComs in the background; do nothing once the publisher is closed."""
        if not updates or self._ti is None or self._is_closed:
            return
        for key, value in updates.items():
            try:
                self._pending[key] = check_pushed(value, f"XCom {key}")
            except UnstorableValueError as error:
                log.warning("An update of the job can't be published: %s", error)
        if self._pending and self._pushing is None:
            self._pushing = asyncio.get_running_loop().create_task(self._push())

    async def close(self) -> None:
        """Stop pushing, so that nothing overwrites XComs that are pushed from now on."""
        self._is_closed = True
        if self._pushing is not None:
            self._pushing.cancel()
            await asyncio.wait({self._pushing})

    async def _push(self) -> None:
        loop = asyncio.get_running_loop()
        queue = _queues.setdefault(loop, _Queue())
        pause = _UPDATE_INTERVAL
        while self._pending and HAS_TRIGGER_XCOMS:
            earliest = max(self._next_push, queue.started_at + _STARTUP_DELAY)
            await asyncio.sleep(max(0.0, earliest - loop.time()))
            async with queue.turn:
                updates, self._pending = self._pending, {}
                try:
                    has_job = isinstance(updates.get(JOB_KEY), dict)
                    summary = await self._read_summary() if has_job else None
                    if has_job and self._is_outdated(updates[JOB_KEY], summary):
                        self._is_closed = True
                        break
                    if WAIT_KEY in updates:
                        # It is published together with the handle.
                        updates[WAIT_KEY] = keep_parts(updates[WAIT_KEY], summary)
                    for key, value in (await self._continue_history(updates, summary)).items():
                        await finish_despite_cancel(write_xcom(key, value, task_ids(self._ti)))
                        del updates[key]
                    pause = _UPDATE_INTERVAL
                except Exception as error:  # noqa: BLE001 - a wait doesn't depend on what is published about it
                    log.debug("Updates of the job can't be published yet: %s", error)
                    self._pending = {**updates, **self._pending}
                    pause = min(2 * pause, _LONGEST_PAUSE)
                self._next_push = loop.time() + pause
                await asyncio.sleep(_TASK_GAP)
        # Release the task object: thousands of triggers may have ended.
        self._pushing = None

    async def _continue_history(self, updates: Mapping[str, Any], summary: Mapping[str, Any] | None) -> dict[str, Any]:
        """
        Return the updates, with a history that continues the one of the worker, or of an earlier triggerer.

        :param summary: the published summary of the wait; None if it wasn't read.
        """
        if HISTORY_KEY not in updates:
            return dict(updates)
        if self._earlier is None:
            part = choose_part(HISTORY_KEY, None, summary or await self._read_summary())
            # Airflow 3.3 logs an error if an XCom is missing.
            is_complete = part is not None and self._is_first
            stored = None if is_complete else await finish_despite_cancel(read_xcom(HISTORY_KEY, task_ids(self._ti)))
            self._earlier = JobHistory.parse(part if stored is None else stored)
        return {**updates, HISTORY_KEY: JobHistory.parse(updates[HISTORY_KEY]).after(self._earlier).dump()}

    async def _read_summary(self) -> Mapping[str, Any] | None:
        return await finish_despite_cancel(read_wait_summary(task_ids(self._ti)))

    def _is_outdated(self, handle: Mapping[str, Any], summary: Mapping[str, Any] | None) -> bool:
        """
        Return whether the task waits for another job than the one that these XComs describe.

        A cleared task may wait for its new job, or have its result, before Airflow ends the trigger of the earlier try.

        :param handle: the job handle among these XComs.
        :param summary: the published summary of the wait.
        """
        if summary is None or summary["task_instance"] == str(self._ti.id):
            return False
        return bool(summary["identifier"] != handle.get("identifier"))


async def push_result(ti: Any, handle: JobHandle, value: JsonValue) -> bool:
    """
    Push the XComs that a worker would push, so that the task can end without one.

    :param value: the return value of the task.
    :return: whether they were pushed; if not, a worker has to end the task.
    """
    task = task_ids(ti)
    try:
        job, result = check_pushed(handle.dump(), JOB_KEY), check_pushed(value, RETURN_KEY)
        await write_xcom(JOB_KEY, job, task)
        if result is not None:
            await write_xcom(RETURN_KEY, result, task)
    except Exception as error:  # noqa: BLE001 - a worker may succeed, whatever the error is
        log.warning("The result can't be pushed from the triggerer, so a worker ends the task: %s", error)
        return False
    return True
