"""Run work concurrently: on threads on the worker, as tasks of the event loop in the triggerer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from airflow_provider_asyncapi.core.concurrent_tasks import ConcurrentTasks
from airflow_provider_asyncapi.transports.cancellation import Cancellation

A = TypeVar("A")
B = TypeVar("B")

#: Seconds for which a killed task waits for its other threads: they may still write into files that it removes next.
#: Airflow ends the process 5 s after the kill.
KILL_TIMEOUT = 2.0


def run_on_threads(
    work: Callable[[A, Cancellation], B],
    items: Iterable[A],
    concurrency: int,
    on_result: Callable[[B], object],
    outer: Cancellation,
) -> None:
    """
    Call a function for several items at a time.

    If a call fails, or this task is killed, the other calls are cancelled. After a kill, a thread that hangs is waited
    for only shortly.

    :param work: the function; its second argument tells it when to stop.
    :param on_result: called with the result of each item, in their order.
    :param outer: the cancellation of the caller, which cancels all calls.
    """
    # Not a context: that would wait for all threads at its end, even if one of them hangs.
    pool = ThreadPoolExecutor(max_workers=concurrency)
    with outer.make_child() as cancellation:
        tasks = ConcurrentTasks(items, concurrency, on_result, lambda item: pool.submit(work, item, cancellation))
        try:
            while running := tasks.advance():
                wait(running, return_when=FIRST_COMPLETED)
        except BaseException as error:
            # The other results aren't needed.
            cancellation.request()
            is_killed = not isinstance(error, Exception)
            pool.shutdown(wait=not is_killed, cancel_futures=True)
            if is_killed:
                wait([task for task in tasks.started if not task.done()], timeout=KILL_TIMEOUT)
            raise
        pool.shutdown()


async def run_as_tasks(
    work: Callable[[A], Coroutine[Any, Any, B]],
    items: Iterable[A],
    concurrency: int,
    on_result: Callable[[B], object],
) -> None:
    """Do the same with a coroutine function, whose tasks the event loop cancels."""
    slots = asyncio.Semaphore(concurrency)

    async def run_in_turn(item: A) -> B:
        async with slots:
            return await work(item)

    tasks = ConcurrentTasks(items, concurrency, on_result, lambda item: asyncio.create_task(run_in_turn(item)))
    try:
        while running := tasks.advance():
            # Not by awaiting a task, which would be cancelled with this one, and would let the next one start.
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks.started:
            task.cancel()
        await asyncio.gather(*tasks.started, return_exceptions=True)
