"""Read the XComs that say what a task waits for, from the triggerer; each read costs a message to the supervisor."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from airflow_provider_asyncapi.airflow_private.supervisor import read_xcom
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.wait.published_state import PublishedState
from airflow_provider_asyncapi.monitoring.xcoms import JOB_KEY, POLL_KEY, WAIT_KEY, choose_part

T = TypeVar("T")

_FINAL = frozenset(outcome for outcome in Outcome if outcome.is_final)


async def read_wait_summary(task: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """
    Return which try of a task began to wait last, and for which job; None if that isn't known.

    The job handle doesn't say it: the trigger of an earlier try polls until Airflow ends it, some seconds after a
    Clear, and may push its own handle meanwhile.
    """
    summary: Any = await read_xcom(WAIT_KEY, task)
    return summary if isinstance(summary, dict) and {"task_instance", "identifier"} <= summary.keys() else None


async def read_published_state(task: Mapping[str, Any], *, with_polls: bool) -> PublishedState:
    """
    Return what an earlier trigger has published about the wait of a task.

    :param with_polls: whether to read the summary of the polls and the job handle, too.
    """
    summary = await read_wait_summary(task)
    if summary is None or not with_polls:
        return PublishedState(summary)
    # In this order: a change that is published in between is found by the next poll again.
    job: Any = await read_xcom(JOB_KEY, task)
    poll: Any = await read_xcom(POLL_KEY, task)
    return PublishedState(summary, choose_part(POLL_KEY, poll, summary), job)


async def read_job_identifier(task: Mapping[str, Any]) -> Any:
    """Return the identifier of the job that a task has pushed; None if there is none."""
    handle: Any = await read_xcom(JOB_KEY, task)
    return handle.get("identifier") if isinstance(handle, dict) else None


async def has_final_job(task: Mapping[str, Any], job: JobHandle) -> bool:
    """Return whether a task has pushed the handle of a job whose outcome is final."""
    pushed: Any = await read_xcom(JOB_KEY, task)
    is_same_job = isinstance(pushed, dict) and pushed.get("identifier") == job.identifier
    return is_same_job and pushed.get("outcome") in _FINAL


async def finish_despite_cancel(exchange: Coroutine[Any, Any, T]) -> T:
    """
    Finish an exchange with Airflow before a cancellation takes effect.

    Up to Airflow 3.2 all triggers share one connection to their supervisor, and an answer that is left unread breaks
    it.
    """
    task = asyncio.create_task(exchange)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
