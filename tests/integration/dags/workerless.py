"""The same wait with a worker at its beginning, its end, both or neither; `test_without_worker.py` counts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset

from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor

START: dict[str, Any] = {"start_from_trigger": True}
END: dict[str, Any] = {"end_from_trigger": True}
ASKED_FOR = {"plain": {}, "start": START, "end": END, "both": {**START, **END}}
CELIGO = {"asyncapi_conn_id": "celigo", "profile": "celigo"}
# A task that a slow machine has lost is tried again; where legs are counted, it isn't.
LOST: dict[str, Any] = {"retries": 2, "retry_delay": timedelta(seconds=1)}
# However slow a worker is to begin, the job isn't over by the first poll.
COMMON: dict[str, Any] = {"poke_interval": 1, "initial_delay": 10, "deferrable": True}

with DAG("workerless", schedule=None, default_args=CELIGO):
    submit = AsyncApiTriggerOperator(task_id="submit", variables={"flow": "orders"}, **LOST)
    for name, asked_for in ASKED_FOR.items():
        wait = AsyncApiSensor(task_id=name, job=submit.handle, **COMMON, **asked_for)
        AsyncApiFetchOperator(task_id=f"{name}_fetch", job=wait.handle)
    # What isn't carried, and says so.
    AsyncApiSensor(task_id="outlets", job=submit.handle, outlets=[Asset("orders")], **COMMON, **START, **END)
    AsyncApiSensor(task_id="template", job=submit.handle, headers={"X-Run": "{{ run_id }}"}, **COMMON, **START, **END)
    AsyncApiSensor.partial(task_id="mapped", **COMMON, **START, **END).expand(job=[submit.output, submit.output])

with DAG("workerless_by_profile", schedule=None, default_args={"asyncapi_conn_id": "standard"}):
    # Only the connection knows how to ask.
    by_profile = AsyncApiTriggerOperator(
        task_id="submit", profile="http_202", endpoint="/standard/jobs", json={}, **LOST
    )
    wait = AsyncApiSensor(task_id="wait", job=by_profile.output, **COMMON, **START, **END)
    AsyncApiFetchOperator(task_id="fetch", job=wait.output)

with DAG("workerless_no_data", schedule=None, default_args={"asyncapi_conn_id": "celigo"}):
    empty = AsyncApiTriggerOperator(task_id="submit", profile="celigo", variables={"flow": "orders"}, **LOST)
    wait = AsyncApiSensor(
        task_id="wait",
        job=empty.handle,
        endpoint="/v1/jobs/{identifier}",
        completion_key="status",
        completion_value="unheard of",
        no_data_value="completed",
        **COMMON,
        **START,
        **END,
    )
    AsyncApiFetchOperator(task_id="fetch", job=wait.handle, profile="celigo")

for name, flow, timeout in (("broken", "broken", 600), ("stuck", "stuck", 5), ("killed", "stuck", 600)):
    with DAG(f"workerless_{name}", schedule=None, default_args=CELIGO):
        submit = AsyncApiTriggerOperator(task_id="submit", variables={"flow": flow}, **LOST)
        AsyncApiSensor(task_id="wait", job=submit.handle, timeout=timeout, **COMMON, **START, **END)
