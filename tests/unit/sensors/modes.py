"""Run a sensor in each of its modes."""

from __future__ import annotations

import asyncio
import importlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import (
    AirflowException,
    DownstreamTasksSkipped,
    TaskDeferred,
)
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_provider_asyncapi.monitoring.xcoms import HISTORY_KEY, POLL_KEY, WAIT_KEY
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from tests.unit.fake_airflow import STATUS, TI, Store, context_of, reply

MODES = ("deferred", "poke", "reschedule", "reschedule without a store")
POLL = "GET /jobs/j-1"


@dataclass
class Outcome:
    """How a wait ended."""

    returned: Any = None
    error: BaseException | None = None
    xcoms: dict[str, Any] = field(default_factory=dict)

    @property
    def summary(self) -> tuple[Any, type | None, str, dict[str, Any]]:
        # How long it took is the machine's affair; polls that a slow start of the trigger had time for count as made.
        said = re.sub(r"after \d+ s and \d+ polls", "…", str(self.error or ""))
        said = re.sub(r"after \d+ s|\d+ s later", "… s", said)
        # What is in XCom after a failure is how far the job had come, for people to look at.
        is_good = self.error is None or isinstance(self.error, DownstreamTasksSkipped)
        # What people are shown of the polls goes by the clock, and by how each mode makes them.
        handed_on = {key: value for key, value in self.xcoms.items() if key not in (WAIT_KEY, POLL_KEY, HISTORY_KEY)}
        return self.returned, type(self.error) if self.error else None, said, handed_on if is_good else {}


def make_sensor(mode: str, **given: Any) -> AsyncApiSensor:
    given = {"job": "j-1", **STATUS, "no_data_value": "empty", **given}
    with DAG("dag", schedule=None):
        sensor = AsyncApiSensor(
            task_id="wait",
            deferrable=mode == "deferred",
            mode="reschedule" if mode.startswith("reschedule") else "poke",
            **given,
        )
        sensor >> [EmptyOperator(task_id="next"), EmptyOperator(task_id="always", trigger_rule="all_done")]
    return sensor


def wait(mode: str, ti: TI | None = None, **given: Any) -> Outcome:
    """Wait in one of the modes, as Airflow would have it done."""
    ti = ti or TI()
    outcome = Outcome(xcoms=ti.xcoms)
    try:
        outcome.returned = {"deferred": _deferred, "poke": _poke}.get(mode, _rescheduled)(mode, ti, given)
    except (AirflowException, TaskDeferred) as error:
        outcome.error = error
    return outcome


def _poke(mode: str, ti: TI, given: dict[str, Any]) -> Any:
    return make_sensor(mode, **given).execute(context_of(ti))


def _rescheduled(mode: str, ti: TI, given: dict[str, Any]) -> Any:
    store = {} if mode.endswith("without a store") else {"task_state_store": Store(stale="of an earlier try")}
    for pokes in range(100):
        ti.xcoms.clear()
        began = time.time()
        try:
            return make_sensor(mode, **given).execute(context_of(ti, task_reschedule_count=pokes, **store))
        except AirflowRescheduleException as pause:
            ti.first_poke = ti.first_poke or began
            ti.pauses.append(pause.reschedule_date.timestamp() - time.time())
            time.sleep(max(0.0, pause.reschedule_date.timestamp() - time.time()))
    raise AssertionError("no end")


def _deferred(mode: str, ti: TI, given: dict[str, Any]) -> Any:
    resume: Callable[[], Any] = partial(make_sensor(mode, **given).execute, context_of(ti))
    for _ in range(3):
        try:
            return resume()
        except TaskDeferred as deferral:
            event = asyncio.run(_run(rebuilt(deferral.trigger)))
            given_kwargs = {**(deferral.kwargs or {}), "event": event}
            sensor = make_sensor(mode, **given)
            resume = partial(sensor.resume_execution, deferral.method_name, given_kwargs, context_of(ti))
    raise AssertionError("no end")


def rebuilt(trigger: Any) -> Any:
    """Send a trigger through the metadata database, so to speak."""
    from airflow.serialization.serialized_objects import BaseSerialization

    path, kwargs = trigger.serialize()
    kwargs = BaseSerialization.deserialize(BaseSerialization.serialize(kwargs))
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)(**kwargs)


async def _run(trigger: Any) -> Any:
    events = [event.payload async for event in trigger.run()]
    assert len(events) == 1
    return events[0]


def running(**more: Any) -> Any:
    return reply({"status": "running", **more})


def in_all_modes(script: Callable[[], None], **given: Any) -> Outcome:
    """Wait in all modes, see that they agree, and give what they agree on."""
    outcomes = {}
    for mode in MODES:
        script()
        outcomes[mode] = wait(mode, **given)
    summaries = {mode: outcome.summary for mode, outcome in outcomes.items()}
    assert all(summary == summaries["poke"] for summary in summaries.values()), "\n".join(map(str, summaries.items()))
    return outcomes["poke"]


def handle(outcome: str, **more: Any) -> dict[str, Any]:
    return {"version": 1, "identifier": "j-1", "outcome": outcome, **more}
