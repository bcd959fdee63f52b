"""Check in the triggerer whether a job has sent callbacks that the task hasn't processed."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from airflow_provider_asyncapi.airflow_private.supervisor import PROGRAMMING_ERRORS, read_xcom
from airflow_provider_asyncapi.airflow_private.versions import HAS_TRIGGER_XCOMS
from airflow_provider_asyncapi.core.callbacks.calls import ReceivedCallback
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.monitoring.xcoms import CALLS_KEY
from airflow_provider_asyncapi.triggers.task_xcoms import finish_despite_cancel

#: The longest pause between attempts to read the callbacks, in seconds.
_LONGEST_PAUSE = 60.0

log = logging.getLogger(__name__)


async def has_called_back(job: JobHandle, callbacks_seen: int) -> bool:
    """
    Return whether a job has called back since a worker read its callbacks; repeat the question until Airflow answers.

    :param callbacks_seen: number of callbacks that the worker read.
    """
    pause, task = 1.0, dict[str, Any](job.task)
    while HAS_TRIGGER_XCOMS:
        try:
            kept: Any = await finish_despite_cancel(read_xcom(CALLS_KEY, task))
        except PROGRAMMING_ERRORS:
            raise
        except Exception as error:  # noqa: BLE001 - an XCom backend raises its own exceptions when its storage is away
            log.warning(
                "Can't read yet whether job %s has called back: %s: %s",
                job.printable_identifier,
                type(error).__name__,
                error,
            )
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        else:
            return len(ReceivedCallback.parse_callbacks(kept)) > callbacks_seen
    return False
