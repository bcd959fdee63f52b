"""A job that makes no progress (``stall_timeout``), or takes longer than expected (``warn_after``)."""

from __future__ import annotations

import dataclasses
import logging

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, Log, Polled
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.job_descriptions import describe_job
from airflow_provider_asyncapi.core.wait.plan import WaitPlan


def next_check(plan: WaitPlan, state: WaitCheckpoint) -> float | None:
    """Return when a poll is needed even if its response is unchanged, in seconds since the epoch; None if never."""
    times = []
    if plan.stall_timeout is not None:
        times.append(state.unchanged_since + plan.stall_timeout)
    if plan.warn_after is not None and state.warned_at is None:
        times.append(state.started_at + plan.warn_after)
    return min(times, default=None)


def is_stalled(plan: WaitPlan, state: WaitCheckpoint, now: float) -> bool:
    """Return whether neither the status nor the progress of the job has changed for too long."""
    return plan.stall_timeout is not None and now >= state.unchanged_since + plan.stall_timeout


def warn_if_late(api: Api, plan: WaitPlan, state: WaitCheckpoint, polled: Polled) -> Flow[Polled]:
    """Log a warning if the wait takes longer than expected, and none was logged before; return the poll with it."""
    if plan.warn_after is None or state.warned_at is not None or polled.at < state.started_at + plan.warn_after:
        return polled
    waited = polled.at - state.started_at
    yield Log(
        logging.WARNING,
        f"{describe_job(api, polled.handle)}, after a wait of {waited:.0f} s, longer than warn_after"
        f" ({plan.warn_after:g} s)",
    )
    return dataclasses.replace(polled, warned=True)
