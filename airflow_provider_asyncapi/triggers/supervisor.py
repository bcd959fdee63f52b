"""What a wait asks of Airflow and tells it, over the line to its supervisor; each message costs that a moment."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from airflow_provider_asyncapi.airflow_private.supervisor import MISTAKES, find_state, read_xcom, write_xcom
from airflow_provider_asyncapi.airflow_private.versions import HAS_TRIGGER_XCOMS
from airflow_provider_asyncapi.core.callbacks.calls import Call
from airflow_provider_asyncapi.core.errors import UnstorableValueError
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.monitoring.xcoms import CALLS_KEY, JOB_KEY, RETURN_KEY, WAIT_KEY, reference
from airflow_provider_asyncapi.triggers.events import check_pushed

T = TypeVar("T")
#: News of a task go to XCom at most this often, in seconds.
_NEWS_EVERY = 2.0
#: Seconds from the news of one task to those of another. The supervisor takes some milliseconds for each XCom, in which
#: it starts no triggers; after a restart there are news of all tasks at once.
_NEXT_TASK = 0.05
#: The first news of a process wait so many seconds. A triggerer that starts is still being handed triggers, by a
#: supervisor that the first XCom holds up for some seconds.
_STARTING = 8.0
#: Seconds between attempts to ask Airflow something, or to tell it, at most.
_LONGEST_PAUSE = 60.0
#: Seconds in which Airflow has to answer a task that it is killing: it has five in all.
_SOON = 2.0
#: How often, and every how many seconds, a task that runs is looked at until its next try has begun to wait. A process
#: that starts takes some seconds until it deletes what the earlier try has pushed.
_LOOKS, _LOOK_AGAIN = 15, 2.0
#: States of a task that waits for nothing any more.
_OVER = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})

#: States of a task that waits; its own XCom then tells for which job.
_WAITING = frozenset({"deferred", "running"})
#: States of a task right after a Clear, before what it depends on has run again.
_JUST_CLEARED = frozenset({"none", "restarting"})
#: States of the task that submitted the job, once it has been cleared too.
_BEGINS_ANEW = frozenset({"none", "scheduled", "queued", "running", "restarting"})

log = logging.getLogger(__name__)
_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, _Shared] = WeakKeyDictionary()


class _Shared:
    """
    What all boards of a process share.

    :ivar began: when the first of them had something to show, on the monotonic clock.
    :ivar turn: held by the one that is telling its news.
    """

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.turn = asyncio.Lock()


class Board:
    """
    Shows people status, progress and errors while a task waits: in XCom, which a trigger can write from Airflow 3.2 on.

    What couldn't be written, because Airflow's API server was away, is written later, or something newer in its place.

    :param ti: the task instance; None outside of Airflow's triggerer, where nobody looks.
    """

    def __init__(self, ti: Any) -> None:
        self._ti = ti
        self._unpushed: dict[str, Any] = {}
        self._next_push = 0.0
        self._pushing: asyncio.Task[None] | None = None
        self._is_closed = False

    def show(self, news: Mapping[str, Any]) -> None:
        """Push XComs, soon; none once the board is closed."""
        if not news or self._ti is None or self._is_closed:
            return
        for key, value in news.items():
            try:
                self._unpushed[key] = check_pushed(value, f"XCom {key}")
            except UnstorableValueError as error:
                log.warning("News of the job can't be shown: %s", error)
        if self._unpushed and self._pushing is None:
            self._pushing = asyncio.get_running_loop().create_task(self._push())

    async def close(self) -> None:
        """Push nothing any more; what has been pushed afterwards stands."""
        self._is_closed = True
        if self._pushing is not None:
            self._pushing.cancel()
            await asyncio.wait({self._pushing})

    async def _push(self) -> None:
        shared = _shared.setdefault(asyncio.get_running_loop(), _Shared())
        pause = _NEWS_EVERY
        while self._unpushed and HAS_TRIGGER_XCOMS:
            soonest = max(self._next_push, shared.began + _STARTING)
            await asyncio.sleep(max(0.0, soonest - time.monotonic()))
            async with shared.turn:
                news, self._unpushed = self._unpushed, {}
                try:
                    if await self._is_outdated(news):
                        self._is_closed = True
                        break
                    for key, value in list(news.items()):
                        await _uninterrupted(write_xcom(key, value, reference(self._ti)))
                        del news[key]
                    pause = _NEWS_EVERY
                except Exception as error:  # noqa: BLE001 - news are shown where possible; that is no reason to stop
                    log.debug("News of the job could not be shown yet: %s", error)
                    self._unpushed = {**news, **self._unpushed}
                    pause = min(2 * pause, _LONGEST_PAUSE)
                self._next_push = time.monotonic() + pause
                await asyncio.sleep(_NEXT_TASK)
        # Of thousands of tasks that are over nothing should be left.
        self._pushing = None

    async def _is_outdated(self, news: Mapping[str, Any]) -> bool:
        """
        Return whether the task waits for another job than the one that these XComs are about.

        A cleared task may wait for its new job, or have its result, before Airflow ends the trigger of the earlier try.
        """
        handle = news.get(JOB_KEY)
        if not isinstance(handle, dict):
            return False
        begin = await _uninterrupted(_read_begin(reference(self._ti)))
        if begin is None or begin["task_instance"] == str(self._ti.id):
            return False
        return bool(begin["identifier"] != handle.get("identifier"))


async def push_result(ti: Any, handle: JobHandle) -> bool:
    """Push what the sensor would, so that its task can end without a worker; tell whether that has been done."""
    where = reference(ti)
    try:
        job, result = check_pushed(handle.dump(), JOB_KEY), check_pushed(handle.result_identifier, RETURN_KEY)
        await write_xcom(JOB_KEY, job, where)
        if result is not None:
            await write_xcom(RETURN_KEY, result, where)
    except Exception as error:  # noqa: BLE001 - whatever it is, a worker may yet do it
        log.warning("The result can't be pushed from here, so a worker ends the task: %s", error)
        return False
    return True


async def has_called(job: JobHandle, heard: int) -> bool:
    """
    Tell whether a job has called back since a worker has looked; tried until Airflow can tell.

    :param heard: how many calls there were then.
    """
    pause, task = 1.0, dict[str, Any](job.task)
    while HAS_TRIGGER_XCOMS:
        try:
            kept: Any = await _uninterrupted(read_xcom(CALLS_KEY, task))
        except MISTAKES:
            raise
        except Exception as error:  # noqa: BLE001 - an XCom backend has exceptions of its own for what is away
            log.warning(
                "Can't tell yet whether job %s has called back: %s: %s",
                job.shown_identifier,
                type(error).__name__,
                error,
            )
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        else:
            return len(Call.parse_all(kept)) > heard
    return False


async def why_unwanted(
    ti: Any, job: JobHandle, *, is_last_try: bool = False, calls: bool = False, looks: int = _LOOKS
) -> str | None:
    """
    Say why nobody wants a job any more; None where somebody does, or Airflow can't tell: a lost cancel does less harm.

    A task that is over has no use for it. One that is not may wait elsewhere, may have been resumed, may be tried
    again, or may have been cleared: then it waits for this job again, unless the task that submitted it was cleared
    too, which only a job of its own or its beginning anew shows. Why a job is left alone is logged.

    :param ti: the task instance that waited for it.
    :param is_last_try: whether a process is being ended after which there is no other try.
    :param calls: whether the job calls back; then it may be over, and nobody here has heard of it.
    :param looks: how often to look for the next try of a task that runs; 0 on the worker that runs it.
    """
    try:
        reason = await _why_unwanted(ti, job, is_last_try=is_last_try, looks=looks)
        if reason is not None and calls and await _has_ended(ti):
            log.info("Job %s is over, as its callback said, so it isn't cancelled", job.shown_identifier)
            return None
    except Exception as error:  # noqa: BLE001 - its API server may be away: a reason to kill tasks
        log.warning("Can't tell whether job %s is still wanted, so it isn't cancelled: %s", job.shown_identifier, error)
        return None
    if reason is None:
        log.info("Job %s is still wanted, so it isn't cancelled", job.shown_identifier)
    return reason


def why_unwanted_here(ti: Any, job: JobHandle) -> str | None:
    """
    Say the same of a task that is being killed on a worker.

    Airflow is asked on another thread: the signal may have come while this one was talking to it.
    """
    found: list[str | None] = []

    def ask() -> None:
        found.append(asyncio.run(why_unwanted(ti, job, is_last_try=ti.try_number > ti.max_tries, looks=0)))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_SOON)
    if not found:
        log.warning("Can't tell whether job %s is still wanted, so it isn't cancelled: no answer", job.shown_identifier)
        return None
    return found[0]


async def _why_unwanted(ti: Any, job: JobHandle, *, is_last_try: bool, looks: int) -> str | None:
    task = reference(ti)
    state = await find_state(task)
    if state is None or state in _OVER:
        return f"the task is {state or 'gone'}"
    if state == "running" and is_last_try:
        return "the task was killed in its last try"
    if state in _WAITING and (begin := await _read_begin(task)) is not None:
        if begin["task_instance"] != str(ti.id):
            return None if begin["identifier"] == job.identifier else "the task was cleared, and waits for another job"
        if state == "deferred" or looks == 0:
            return None
        if looks > 1:
            # It runs: it was resumed, or its next try has not come to delete the XComs of this one yet.
            await asyncio.sleep(_LOOK_AGAIN)
            return await _why_unwanted(ti, job, is_last_try=is_last_try, looks=looks - 1)
    elif state in _WAITING and (waits_for := await _job_of(task)) is not None:
        return None if waits_for == job.identifier else "the task was cleared, and waits for another job"
    submitter = dict[str, Any](job.task)
    if not submitter:
        return None
    submitter_state = await find_state(submitter)
    if submitter_state == "success":
        is_another = await _job_of(submitter) not in (None, job.identifier)
    else:
        # A task that submits begins anew only if it was cleared. Any other state tells nothing of the job.
        is_another = state in _JUST_CLEARED and submitter_state in _BEGINS_ANEW
    return "the task was cleared, and so was the one that submitted the job" if is_another else None


async def _read_begin(task: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """
    Return which try of a task began to wait last, and for which job; None if that isn't known.

    The job handle doesn't tell it: the trigger of an earlier try polls until Airflow ends it, some seconds after a
    Clear, and may push its own meanwhile.
    """
    begin: Any = await read_xcom(WAIT_KEY, task)
    return begin if isinstance(begin, dict) and {"task_instance", "identifier"} <= begin.keys() else None


async def _job_of(task: Mapping[str, Any]) -> Any:
    """Return the identifier of the job that a task has pushed; None if there is none."""
    handle: Any = await read_xcom(JOB_KEY, task)
    return handle.get("identifier") if isinstance(handle, dict) else None


async def _has_ended(ti: Any) -> bool:
    """Tell whether the task has gone on without its trigger, and has written down the job's end."""
    handle: Any = await read_xcom(JOB_KEY, reference(ti))
    return isinstance(handle, dict) and JobHandle.parse(handle).outcome.is_final


async def _uninterrupted(talk: Coroutine[Any, Any, T]) -> T:
    """
    Talk to Airflow to the end, even when cancelled meanwhile.

    Up to Airflow 3.2 all triggers share one line to their supervisor, and an answer that is left unread breaks it.
    """
    task = asyncio.create_task(talk)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
