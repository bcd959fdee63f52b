"""
Add to the history of a job, which users see, that it was cancelled because its task was ended.

Airflow has ended the task already: nothing depends on the entry, so a process that is being killed takes only the time
that is left for it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import redact

from airflow_provider_asyncapi.airflow_private.supervisor import read_xcom, write_xcom
from airflow_provider_asyncapi.core.wait.history import Entry, EntryKind, JobHistory
from airflow_provider_asyncapi.monitoring.xcoms import HISTORY_KEY, choose_part, task_ids
from airflow_provider_asyncapi.triggers.task_xcoms import read_wait_summary

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.jobs.cancel import Cancellation

#: Seconds in which a worker that is being killed writes the entry.
_TIMEOUT = 1.0

log = logging.getLogger(__name__)


async def record_kill(ti: Any, reason: str, cancellation: Cancellation, at: float) -> None:
    """
    Add the entry, unless the XComs are those of another try of the task by now.

    :param ti: the task instance that waited for the job.
    :param reason: why the job was cancelled.
    :param cancellation: the result of the cancel request.
    :param at: its time, in seconds since the epoch.
    """
    handle, task = cancellation.handle, task_ids(ti)
    message = str(redact(f"{reason[:1].upper()}{reason[1:]}: {cancellation.summary}"))
    try:
        summary = await read_wait_summary(task)
        if summary is None or summary["task_instance"] != str(ti.id):
            return
        stored = await read_xcom(HISTORY_KEY, task)
        published = JobHistory.parse(choose_part(HISTORY_KEY, stored, summary))
        history = published.add(Entry.of(at, EntryKind.CANCELLED, message, handle.status, handle.progress))
        await write_xcom(HISTORY_KEY, history.dump(), task)
    except Exception as error:  # noqa: BLE001 - Airflow kills tasks when its own API server is away, for example
        log.info("XCom %s lacks the cancel of the job: %s", HISTORY_KEY, error)


def record_kill_on_worker(ti: Any, reason: str, cancellation: Cancellation) -> None:
    """
    Add the entry from a process that is being killed.

    A separate thread asks Airflow: the signal may have interrupted an exchange of this thread with Airflow.
    """
    recording = record_kill(ti, reason, cancellation, time.time())
    thread = threading.Thread(target=asyncio.run, args=(recording,), daemon=True)
    thread.start()
    thread.join(_TIMEOUT)
