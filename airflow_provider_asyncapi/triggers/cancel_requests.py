"""Cancel the job of a wait in the triggerer after a user has ended its task."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_asyncapi.core.effects import Notification
from airflow_provider_asyncapi.core.errors import SlowResponseError
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.wait.cancel_flow import cancel_if_running, cancel_job
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from airflow_provider_asyncapi.hooks.clients import SharedClient
from airflow_provider_asyncapi.triggers.cancel_reasons import reason_to_cancel
from airflow_provider_asyncapi.triggers.kill_history import record_kill

#: Seconds in which Airflow has to return the connection.
_LOOK_UP_TIMEOUT = 60.0
#: Requests that outlive their trigger; the event loop only holds weak references to its tasks.
pending: set[asyncio.Task[None]] = set()


async def cancel_in_background(
    asyncapi_conn_id: str, spec: Mapping[str, Any], job: JobHandle, ti: Any, observe: Callable[[Notification], None]
) -> None:
    """
    Send the cancel request of a wait, if it has one, unless a task still needs the job.

    Airflow allows a trigger about a second for this. So a separate task first checks whether the job is still needed,
    and then sends the request.

    :param spec: the parameters of the wait.
    :param ti: the task instance that waited.
    :param observe: called with the log messages.
    """
    plan = WaitPlan.parse(spec)
    if plan.cancel is None:
        return
    task = asyncio.create_task(_cancel_unless_needed(asyncapi_conn_id, plan, job, ti, observe))
    pending.add(task)
    task.add_done_callback(pending.discard)
    await asyncio.shield(task)


async def _cancel_unless_needed(
    asyncapi_conn_id: str, plan: WaitPlan, job: JobHandle, ti: Any, observe: Callable[[Notification], None]
) -> None:
    reason = await reason_to_cancel(ti, job)
    if reason is not None:
        async with SharedClient(asyncapi_conn_id, look_up_timeout=_LOOK_UP_TIMEOUT) as (api, driver):
            # This poll isn't published: the XComs may be those of the next try by now.
            try:
                cancellation = await driver.run(cancel_if_running(api, plan, job, reason), observe=observe)
            except SlowResponseError:
                cancelling = cancel_job(api, plan, job, reason, may_poll=False)
                cancellation = await driver.run(cancelling, observe=observe)
        await record_kill(ti, reason, cancellation, time.time())
