"""Begin a wait in the triggerer: find its job, and the start of its time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from airflow_provider_asyncapi.airflow_private.supervisor import read_xcom
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.monitoring.xcoms import task_ids


class WorkerNeededError(Exception):
    """A worker has to begin the wait; the message contains the reason."""


async def begin_wait(begin: Mapping[str, Any], ti: Any, timeout_after: datetime | None) -> WaitCheckpoint:
    """
    Return the state of a wait that begins in the triggerer.

    :param begin: the argument of the trigger.
    :param ti: the task instance.
    :param timeout_after: the time after which Airflow ends the wait.
    :raises WorkerNeededError: if the triggerer can't begin it.
    """
    if ti.try_number > 1:
        # Airflow deletes the XComs of earlier tries, and corrects the task's times, on workers only.
        raise WorkerNeededError(f"this is try {ti.try_number}")
    job: Any = begin.get("job")
    try:
        if "task_id" in begin:
            upstream = {**task_ids(ti), "task_id": begin["task_id"], "map_index": -1}
            job = await read_xcom(begin["key"], upstream)
        handle = JobHandle.parse(job)
    except Exception as error:  # noqa: BLE001 - from Airflow, an XCom backend, or a task that has pushed nothing
        raise WorkerNeededError(f"the triggerer can't read the job: {error}") from None
    # The trigger may have been started earlier, in a triggerer that has stopped since.
    started_at = time.time() if timeout_after is None else _to_epoch(timeout_after) - begin["airflow_timeout"]
    is_default = bool(begin.get("is_default_timeout"))
    wait = WaitCheckpoint(handle, started_at, started_at + begin["timeout"], has_default_deadline=is_default)
    next_poll = begin.get("next_poll")
    return wait if next_poll is None else wait.to_poll_now(next_poll)


def _to_epoch(moment: datetime) -> float:
    """Return a time in seconds since the epoch; Airflow's times are UTC even if they have no time zone."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
