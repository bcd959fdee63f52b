"""Add to the history of a job, which users see, that its wait has ended otherwise than by the job."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import redact

from airflow_provider_asyncapi.core.wait.history import Entry, EntryKind
from airflow_provider_asyncapi.exceptions import AsyncApiJobStalled, AsyncApiTimeout
from airflow_provider_asyncapi.monitoring.xcoms import HISTORY_KEY, push_for_users
from airflow_provider_asyncapi.tasks.published_wait import read_history

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_asyncapi.core.jobs.handle import JobHandle

log = logging.getLogger(__name__)


def record_cancel(context: Context, message: str, handle: JobHandle) -> None:
    """
    Add to the history of a job, which users see, that a user has cancelled it.

    :param message: who has cancelled the job, and what the API has said.
    :param handle: the job as it was seen last.
    """
    message = str(redact(message))
    _record(context, Entry.of(time.time(), EntryKind.CANCELLED, message, handle.status, handle.progress))


def record_timeout(context: Context, error: AsyncApiTimeout) -> None:
    """Add to the history of a job that its deadline or ``stall_timeout`` has ended the wait, and what was cancelled."""
    if error.ended_at is None:
        return
    is_stalled = isinstance(error, AsyncApiJobStalled)
    reason = "Status and progress unchanged for too long" if is_stalled else "The job wasn't done in time"
    result = error.cancellation or "there is no cancel request, so it may still be running"
    kind = EntryKind.STALLED if is_stalled else EntryKind.DEADLINE
    _record(context, Entry.of(error.ended_at, kind, str(redact(f"{reason}: {result}")), error.status))


def _record(context: Context, entry: Entry) -> None:
    ti: Any = context["ti"]
    try:
        published = read_history(ti)
    except Exception:
        log.warning("XCom %s can't be read, so it lacks the end: %s", HISTORY_KEY, entry.message, exc_info=True)
        return
    push_for_users(context, HISTORY_KEY, published.add(entry).dump())
