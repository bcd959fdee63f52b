"""Give a job up: stop it, unless it is over already."""

from __future__ import annotations

import dataclasses
import logging
from typing import NoReturn

from airflow_provider_asyncapi.core.effects import Flow, Log
from airflow_provider_asyncapi.core.errors import AsyncApiError, JobFailedError
from airflow_provider_asyncapi.core.flows.cancel import LONGEST_CANCEL, cancel
from airflow_provider_asyncapi.core.flows.limits import within
from airflow_provider_asyncapi.core.flows.pausing import ended_by_pause
from airflow_provider_asyncapi.core.flows.wait import wait
from airflow_provider_asyncapi.core.handle import JobHandle
from airflow_provider_asyncapi.core.plans.wait import Wait, WaitPlan
from airflow_provider_asyncapi.core.settings import Api


class _RunningError(Exception):
    """The wait would go on."""


def abandon(api: Api, plan: WaitPlan, handle: JobHandle, reason: str) -> Flow[bool]:
    """
    Cancel a job that nobody waits for any more, where the plan says how.

    It is polled once more before: the request that stops a running job may delete the result of one that is over.

    :param reason: why, for the log.
    :return: whether the API agreed to a cancel.
    """
    if plan.cancel is None:
        return False
    if not plan.polls:
        return (yield from cancel(api, plan.cancel, handle, reason))
    poll = wait(api, dataclasses.replace(plan, cancel=None), Wait(handle, started_at=0.0))
    try:
        yield from within(ended_by_pause(poll, _run_on), api.clock() + LONGEST_CANCEL)
    except JobFailedError:
        pass
    except (_RunningError, AsyncApiError):
        return (yield from cancel(api, plan.cancel, handle, reason))
    yield Log(logging.INFO, f"Job {api.redact(str(handle.identifier))} is over, so it isn't cancelled ({reason})")
    return False


def _run_on(_seconds: float) -> NoReturn:
    raise _RunningError
