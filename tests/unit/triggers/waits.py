"""Triggers for tests, and what they yield."""

from __future__ import annotations

import asyncio
import importlib
import time
from types import SimpleNamespace
from typing import Any

from airflow_provider_asyncapi.airflow_private.versions import HAS_TRIGGER_XCOMS
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.triggers.asyncapi import AsyncApiJobTrigger
from tests.unit.eventually import until

POLL = "GET /jobs/j-1"
SPEC: dict[str, Any] = {
    "endpoint": "/jobs/{identifier}",
    "completion_key": "status",
    "completion_value": "done",
    "failure_value": "failed",
    "running_value": "running",
    "poke_interval": 0.02,
    "progress": "percent",
}
#: Airflow 3.2 and newer let a trigger write XComs.
SHOWS_PROGRESS = HAS_TRIGGER_XCOMS


def trigger(
    *, started_at: float | None = None, deadline: float | None = None, job: JobHandle | None = None, **spec: Any
) -> AsyncApiJobTrigger:
    """Make a trigger as the triggerer does: of its class path and arguments."""
    started_at = started_at or time.time()
    state = WaitCheckpoint(job or JobHandle("j-1"), started_at, deadline or started_at + 20).dump()
    made = AsyncApiJobTrigger(asyncapi_conn_id="asyncapi_default", spec={**SPEC, **spec}, wait=state)
    path, kwargs = made.serialize()
    module, _, name = path.rpartition(".")
    rebuilt: AsyncApiJobTrigger = getattr(importlib.import_module(module), name)(**kwargs)
    assert rebuilt.serialize() == (path, kwargs)
    keys = {"dag_id": "dag", "run_id": "run", "task_id": "wait", "map_index": -1}
    task: Any = SimpleNamespace(id="first", **keys, try_number=1)
    rebuilt.task_instance = task
    return rebuilt


def wait_of(waiting: AsyncApiJobTrigger) -> WaitCheckpoint:
    assert waiting.wait is not None
    return waiting.wait


async def event_of(waiting: AsyncApiJobTrigger) -> dict[str, Any]:
    events = [event.payload async for event in waiting.run()]
    assert len(events) == 1
    return dict(events[0])


async def until_alone() -> None:
    """Wait until no other task runs on the loop."""
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})


SUBMITTER = {"dag_id": "dag", "run_id": "run", "task_id": "submit", "map_index": -1}
