"""Whole jobs in one task; `test_one_task.py` counts their requests and worker processes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator

# However slow a worker is to begin, the job isn't over by the first poll.
STATUS: dict[str, Any] = {"poke_interval": 1, "initial_delay": 10}
JOB: dict[str, Any] = {
    "asyncapi_conn_id": "celigo",
    "profile": "celigo",
    "variables": {"flow": "orders"},
    "status": STATUS,
    "fetch": {},
    "deferrable": True,
}
# A task that a slow machine has lost is tried again; if worker processes are counted, it isn't.
LOST: dict[str, Any] = {"retries": 2, "retry_delay": timedelta(seconds=1)}

with DAG("one_task_legs", schedule=None):
    plain = AsyncApiJobOperator(task_id="plain", **JOB)
    AsyncApiJobOperator(task_id="in_trigger", fetch_in_trigger=True, **JOB)
    AsyncApiJobOperator(task_id="poke", **{**JOB, **LOST, "deferrable": False})
    AsyncApiFetchOperator(task_id="next", asyncapi_conn_id="celigo", profile="celigo", job=plain.handle, **LOST)
    AsyncApiJobOperator.partial(
        task_id="mapped", fetch_in_trigger=True, **{name: value for name, value in JOB.items() if name != "variables"}
    ).expand(variables=[{"flow": "orders"}, {"flow": "orders"}])

with DAG("one_task_failed", schedule=None):
    AsyncApiJobOperator(
        task_id="job", retries=1, retry_delay=timedelta(seconds=1), **{**JOB, "variables": {"flow": "broken"}}
    )

for name in ("killed", "cleared"):
    with DAG(f"one_task_{name}", schedule=None):
        # The first poll is made by the triggerer: until its trigger has begun, a kill doesn't reach it.
        AsyncApiJobOperator(task_id="job", **{**JOB, "variables": {"flow": "stuck"}})
