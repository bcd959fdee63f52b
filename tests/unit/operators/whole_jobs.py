"""The task for the whole job, and one try of it as Airflow runs it."""

from __future__ import annotations

import asyncio
import importlib
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    TaskDeferred,
)
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_provider_asyncapi.airflow_private.versions import HAS_TRIGGER_ON_KILL
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from tests.unit.fake_airflow import STATUS, TI, ApiServer, Store, context_of, reply

POST, POLL, GET, CANCEL = "POST /jobs", "GET /jobs/j-1", "GET /jobs/j-1/rows", "POST /jobs/j-1/cancel"
STAGES: dict[str, Any] = {
    "submit": {"endpoint": "/jobs", "identifier": "id"},
    "status": {**STATUS, "no_data_value": "empty"},
    "fetch": {"endpoint": "/jobs/{identifier}/rows"},
}
RUNNING, DONE, ROWS = reply({"status": "running"}), reply({"status": "done"}), reply([{"id": 1}])
MODES = ("deferred", "poke")
needs_trigger_end = pytest.mark.skipif(not HAS_TRIGGER_ON_KILL, reason="needs Airflow 3.3")


def make(mode: str = "poke", **given: Any) -> AsyncApiJobOperator:
    """Make the task; a mapping is added to that of its stage, None leaves the stage out."""
    stages: dict[str, Any] = {
        name: None if name in given and given[name] is None else {**usual, **(given.pop(name, None) or {})}
        for name, usual in STAGES.items()
    }
    given = {name: value for name, value in given.items() if name not in STAGES}
    with DAG("dag", schedule=None):
        task = AsyncApiJobOperator(task_id="wait", deferrable=mode == "deferred", **stages, **given)
        task >> [EmptyOperator(task_id="next"), EmptyOperator(task_id="always", trigger_rule="all_done")]
    return task


def run(mode: str, ti: TI | None = None, store: Store | None = None, **given: Any) -> Any:
    """Run one try of the task as Airflow does; deferred, the trigger goes through the database."""
    ti = TI() if ti is None else ti
    more = {} if store is None else {"task_state_store": store}
    try:
        return make(mode, **given).execute(context_of(ti, **more))
    except TaskDeferred as deferral:
        event = asyncio.run(event_of(deferral.trigger)).payload
        arguments = {**(deferral.kwargs or {}), "event": event}
        return make(mode, **given).resume_execution(deferral.method_name, arguments, context_of(ti, **more))


async def event_of(trigger: Any, task_instance: Any = None) -> Any:
    from airflow.serialization.serialized_objects import BaseSerialization

    path, kwargs = trigger.serialize()
    module, _, name = path.rpartition(".")
    stored = BaseSerialization.deserialize(BaseSerialization.serialize(kwargs))
    rebuilt = getattr(importlib.import_module(module), name)(**stored)
    rebuilt.task_instance = task_instance
    (event,) = [event async for event in rebuilt.run()]
    return event


class Events:
    """Return the event of any outlet; assets have no hash in Airflow 3.1."""

    def __init__(self) -> None:
        self.event = SimpleNamespace(extra={})

    def __getitem__(self, _: Any) -> Any:
        return self.event


def try_number(number: int, retries: int = 2) -> TI:
    ti = TI()
    ti.try_number, ti.max_tries = number, retries
    return ti


def says(api: ApiServer, *, poll: Any = (RUNNING, DONE), fetch: Any = (ROWS,)) -> None:
    api.respond_to(POST, reply({"id": "j-1"}))
    api.respond_to(POLL, *poll)
    api.respond_to(GET, *fetch)
