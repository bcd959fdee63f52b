"""Decide whether a remote job may be cancelled when its task ends: whether any task still needs the job."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

from airflow_provider_asyncapi.airflow_private.supervisor import SECONDS_TO_SIGKILL, find_task_state
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.monitoring.xcoms import task_ids
from airflow_provider_asyncapi.triggers.task_xcoms import has_final_job, read_job_identifier, read_wait_summary

#: Seconds within which Airflow has to answer a task that it is killing. On a busy machine the answers take two seconds
#: and more; the last second of the task is for the poll and the cancel request.
KILL_TIMEOUT = SECONDS_TO_SIGKILL - 1.0
#: Number of checks of a running task, and seconds between them, until its next try has begun to wait. A process that
#: starts takes some seconds until it deletes the XComs of the earlier try. A task that was cleared submits its job in
#: this time, too, if a worker is free.
_CHECKS, _CHECK_INTERVAL = 15, 2.0
#: The same for further checks of a task that was cleared and hasn't submitted yet: after many tasks were cleared at
#: once, they queue for minutes.
_LATER_CHECKS, _LATER_INTERVAL = 20, 30.0
#: States of a task that has ended and waits for no job.
_ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})

#: States of a task that waits; its own XCom then says for which job.
_WAITING = frozenset({"deferred", "running"})
#: States of the task that submitted the job while it submits again, or will.
_SUBMITTING = frozenset({"none", "scheduled", "queued", "running", "restarting", "up_for_retry"})

log = logging.getLogger(__name__)


async def reason_to_cancel(ti: Any, job: JobHandle, *, is_last_try: bool = False, may_wait: bool = True) -> str | None:
    """
    Return why a job may be cancelled; None if a task still needs it, or if Airflow doesn't answer.

    In doubt the job isn't cancelled: a job that runs on does less harm than the loss of one that is needed. A task that
    has ended doesn't need the job. A task that hasn't ended may wait in another process, may have been resumed, may be
    tried again, or may have been cleared. Then it waits for this job again, unless the task that submitted the job was
    cleared too and has submitted another job. Before that, the API may still return this job, if it knows the
    idempotency key or the request. The log contains the reason why a job isn't cancelled.

    :param ti: the task instance that waited for the job.
    :param is_last_try: whether a process is being killed that runs the last try.
    :param may_wait: whether there is time to wait for the next try of a running task, and for the new job of the task
        that submits; False on the worker that runs the task.
    """
    try:
        pauses = (_CHECK_INTERVAL,) * (_CHECKS - 1) + (_LATER_INTERVAL,) * _LATER_CHECKS if may_wait else ()
        reason = await _find_reason(ti, job, is_last_try=is_last_try, pauses=pauses)
        if reason is not None and await has_final_job(task_ids(ti), job):
            # A callback or a poll in another triggerer has found the end, which this process doesn't know.
            log.info("Job %s isn't cancelled: it has ended, and the task has its result", job.printable_identifier)
            return None
    except Exception as error:  # noqa: BLE001 - Airflow kills tasks when its own API server is away, for example
        log.warning("Job %s isn't cancelled: can't find out whether it is needed: %s", job.printable_identifier, error)
        return None
    if reason is None:
        log.info("Job %s isn't cancelled: it is still needed", job.printable_identifier)
    return reason


def reason_to_cancel_on_worker(ti: Any, job: JobHandle, *, timeout: float = KILL_TIMEOUT) -> str | None:
    """
    Return why the job of a task that is being killed on a worker may be cancelled; None if it may not.

    A separate thread asks Airflow: the signal may have interrupted an exchange of this thread with Airflow.

    :param timeout: seconds within which Airflow has to answer.
    """
    answers: list[str | None] = []

    def ask() -> None:
        answers.append(asyncio.run(reason_to_cancel(ti, job, is_last_try=ti.try_number > ti.max_tries, may_wait=False)))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(timeout)
    if not answers:
        log.warning(
            "Job %s isn't cancelled: can't find out whether it is needed: Airflow didn't answer within %g s",
            job.printable_identifier,
            timeout,
        )
        return None
    return answers[0]


async def _find_reason(ti: Any, job: JobHandle, *, is_last_try: bool, pauses: tuple[float, ...]) -> str | None:
    """
    Return why a job may be cancelled; None if it may not.

    :param pauses: seconds before each of the checks that may follow.
    """
    task = task_ids(ti)
    state = await find_task_state(task)
    if state is None or state in _ENDED:
        return f"the task is {state or 'gone'}"
    if state == "running" and is_last_try:
        return "the task was killed in its last try"
    if state in _WAITING and (summary := await read_wait_summary(task)) is not None:
        if summary["task_instance"] != str(ti.id):
            is_needed = summary["identifier"] == job.identifier
            return None if is_needed else "the task was cleared, and waits for another job"
        if state == "deferred" or not pauses:
            return None
        if len(pauses) > _LATER_CHECKS:
            # The task runs: it was resumed, or its next try hasn't deleted the XComs of this one yet.
            return await _find_reason_later(ti, job, is_last_try=is_last_try, pauses=pauses)
    elif state in _WAITING and (identifier := await read_job_identifier(task)) is not None:
        return None if identifier == job.identifier else "the task was cleared, and waits for another job"
    reason, is_submitting = await _ask_submitter(job)
    if is_submitting and pauses:
        return await _find_reason_later(ti, job, is_last_try=is_last_try, pauses=pauses)
    # It isn't known whether the task that submits will get this job again.
    return reason


async def _ask_submitter(job: JobHandle) -> tuple[str | None, bool]:
    """Return the reason if the task that submitted the job has submitted another; and whether it still may."""
    submitter = dict[str, Any](job.task)
    state = await find_task_state(submitter) if submitter else None
    if state != "success":
        return None, state in _SUBMITTING
    is_another = await read_job_identifier(submitter) not in (None, job.identifier)
    return "the task was cleared, and so was the task that submitted the job" if is_another else None, False


async def _find_reason_later(ti: Any, job: JobHandle, *, is_last_try: bool, pauses: tuple[float, ...]) -> str | None:
    await asyncio.sleep(pauses[0])
    return await _find_reason(ti, job, is_last_try=is_last_try, pauses=pauses[1:])
