"""Run the tasks of a parsed DAG one after the other, as a worker would, without a database."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from airflow.providers.common.compat.sdk import AirflowSkipException, DownstreamTasksSkipped, TaskDeferred, XCom
from airflow.sdk import DAG
from airflow.sdk.definitions._internal.contextmanager import DagContext
from airflow.sdk.definitions._internal.types import NOTSET
from airflow.sdk.definitions.mappedoperator import MappedOperator

from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from airflow_provider_asyncapi.triggers import asyncapi as triggers
from airflow_provider_asyncapi.triggers.asyncapi import AsyncApiJobTrigger

SKIPPED = "skipped"
NOW = "2026-01-31"


class Ti(SimpleNamespace):
    """As much of a task instance as the operators look at."""

    run: Run

    def xcom_push(self, key: str, value: Any) -> None:
        # Through JSON, as the metadata database would have it.
        self.run.xcoms[self.task_id, self.map_index, key] = json.loads(json.dumps(value))

    def xcom_pull(
        self, task_ids: Any = None, key: str = "return_value", default: Any = None, map_indexes: Any = NOTSET, **_: Any
    ) -> Any:
        indexes = {index for task_id, index, name in self.run.xcoms if task_id == task_ids and name == key}
        if self.map_index in indexes and self.map_index >= 0 and self.run.grouped(task_ids):
            return self.run.xcoms[task_ids, self.map_index, key]
        if indexes == {-1}:
            return self.run.xcoms[task_ids, -1, key]
        if not indexes:
            return default
        return [self.run.xcoms[task_ids, index, key] for index in sorted(indexes)]

    def get_relevant_upstream_map_indexes(self, *_: Any, **__: Any) -> Any:
        return self.map_index if self.map_index >= 0 else None


class Returned(list[Any]):
    """What all instances of a mapped task have returned, without asking a supervisor for it."""

    def __init__(self, xcom_arg: Any, ti: Ti) -> None:
        super().__init__(ti.run.result(xcom_arg.operator.task_id))


class Run:
    """
    One run of a DAG.

    :param deferred: whether sensors wait in a trigger, rebuilt from what they have stored; else in the task.
    """

    def __init__(self, dag: DAG, *, deferred: bool) -> None:
        self.dag = dag
        self.deferred = deferred
        self.xcoms: dict[tuple[str, int, str], Any] = {}
        self.states: dict[tuple[str, int], str] = {}

    def grouped(self, task_id: str) -> bool:
        """Return whether a task is in a mapped task group, or mapped itself."""
        task = self.dag.get_task(task_id)
        return isinstance(task, MappedOperator) or task.get_closest_mapped_task_group() is not None

    def all(self) -> Run:
        """Run all tasks."""
        with mock.patch.object(XCom, "set", self.set_xcom):
            for task in self.dag.topological_sort():
                if (task.task_id, -1) in self.states:
                    continue
                for index in self._map_indexes(task):
                    self._run(task, index)
        return self

    def set_xcom(self, key: str, value: Any, *, task_id: str, map_index: int, **_: Any) -> None:
        """Push an XCom of any task, without asking a supervisor for it."""
        self.xcoms[task_id, map_index, key] = json.loads(json.dumps(value))

    def result(self, task_id: str) -> Any:
        """Return the return value of a task; a list for a mapped task."""
        return Ti(run=self, task_id="", map_index=-1).xcom_pull(task_id)

    def last(self) -> Any:
        """Return the return value of the last task that has one and wasn't skipped."""
        order = [task.task_id for task in self.dag.topological_sort()]
        ran = [
            task_id
            for task_id in order
            if any(name == task_id and state == "success" for (name, _), state in self.states.items())
        ]
        returned = [each for each in ran if any((name, key) == (each, "return_value") for name, _, key in self.xcoms)]
        return self.result((returned or ran)[-1])

    def _map_indexes(self, task: Any) -> Iterator[int]:
        mapped = task if isinstance(task, MappedOperator) else task.get_closest_mapped_task_group()
        if mapped is None:
            yield -1
            return
        given: Any = (mapped.expand_input if isinstance(mapped, MappedOperator) else mapped._expand_input).value
        (value,) = given.values() if isinstance(given, dict) else (given,)
        if not isinstance(value, list):
            value = self.result(value.operator.task_id)
        yield from range(len(value))

    def _run(self, task: Any, index: int) -> None:
        ti = Ti(dag_id=self.dag.dag_id, run_id="run 1", task_id=task.task_id, map_index=index, run=self, task=task)
        ti.try_number, ti.max_tries, ti.id = 1, 0, str(uuid.uuid4())
        context: Any = {
            "ti": ti,
            "task": task,
            "dag": self.dag,
            "dag_run": SimpleNamespace(run_id=ti.run_id, conf={}, run_after=datetime.fromisoformat(NOW)),
            "run_id": ti.run_id,
            "ds": NOW,
            "params": {name: param.value for name, param in self.dag.params.items()}
            if hasattr(self.dag.params, "items")
            else {},
            "task_reschedule_count": 0,
            "outlet_events": None,
        }
        upstream = {(name, i) for name, i in self.states if name in task.upstream_task_ids}
        if upstream and any(self.states[one] == SKIPPED for one in upstream):
            self.states[task.task_id, index] = SKIPPED
            return
        if isinstance(task, MappedOperator):
            task.render_template_fields(context)
            task = ti.task
        else:
            task = task.prepare_for_execution()
            task.render_template_fields(context)
        try:
            result = self._execute(task, context)
        except DownstreamTasksSkipped as skip:
            ti.xcom_push("return_value", self.xcoms.get((ti.task_id, index, "return_value")))
            self.states[ti.task_id, index] = "success"
            for skipped in skip.tasks:
                self.states[skipped if isinstance(skipped, str) else skipped[0], -1] = SKIPPED
            return
        except AirflowSkipException:
            self.states[ti.task_id, index] = SKIPPED
            return
        self.states[ti.task_id, index] = "success"
        if result is not None:
            ti.xcom_push("return_value", result)

    def _execute(self, task: Any, context: Any) -> Any:
        if not isinstance(task, AsyncApiSensor | AsyncApiJobOperator):
            return task.execute(context)
        task.deferrable = self.deferred
        method, arguments = "execute", dict[str, Any]()
        while True:
            try:
                return getattr(task, method)(context, **arguments)
            except TaskDeferred as deferral:
                trigger: Any = deferral.trigger
                path, stored = trigger.serialize()
                if path.endswith("AsyncApiJobTrigger"):
                    trigger = AsyncApiJobTrigger(**json.loads(json.dumps(stored)))
                    trigger.task_instance = None
                # There is no scheduler here that could mix up who has ended.
                with mock.patch.object(triggers, "SHORTEST_DEFERRAL", 0.0):
                    event = asyncio.run(_first_event(trigger))
                method, arguments = deferral.method_name, {"event": event.payload}


async def _first_event(trigger: Any) -> Any:
    async for event in trigger.run():
        return event
    raise AssertionError("the trigger has ended without an event")


def load(source: str, folder: Path) -> list[DAG]:
    """Parse a DAG file, and give its DAGs."""
    file = folder / "snippet.py"
    file.write_text(source, encoding="utf-8")
    name = f"snippet_{folder.name}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    DagContext.autoregistered_dags.clear()
    DagContext.current_autoregister_module_name = name
    try:
        spec.loader.exec_module(module)
        # As Airflow does: the DAGs of `with` blocks and decorators, and those in variables of the module.
        found = [dag for dag, _ in DagContext.autoregistered_dags]
        return [*found, *(dag for dag in vars(module).values() if isinstance(dag, DAG) and dag not in found)]
    finally:
        DagContext.current_autoregister_module_name = None
        DagContext.autoregistered_dags.clear()
        del sys.modules[name]


def serialized(dag: DAG) -> dict[str, Any]:
    """Return the DAG as the DAG processor stores it."""
    from airflow.serialization import serialized_objects

    # Named so since Airflow 3.2.
    serializer: Any = getattr(serialized_objects, "DagSerialization", serialized_objects.SerializedDAG)
    stored: dict[str, Any] = serializer.to_dict(dag)
    return stored
