"""The same job with its connection in different places, for each way of running a DAG."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.job import async_api_job
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from tests.integration.own_trigger import JobOperator

REQUEST: dict[str, Any] = {"endpoint": "/standard/jobs", "json": {"outcome": "ok"}}
# A trigger that starts late spreads its first poll over this.
STATUS: dict[str, Any] = {"deferrable": True, "poke_interval": 1}

for place in ("database", "environment", "backend"):
    with DAG(f"connection_in_{place}", schedule=None, default_args={"asyncapi_conn_id": f"in_{place}"}):
        async_api_job("job", profile="http_202", submit=REQUEST, status=STATUS, fetch={})

# Nobody calls back: that the API could is no reason to wait for ever.
with DAG("callback_without_a_caller", schedule=None, default_args={"asyncapi_conn_id": "in_database"}):
    async_api_job(
        "job",
        profile="http_202",
        submit={**REQUEST, "headers": {"X-Callback": "{callback_url}"}, "callback": True},
        status={**STATUS, "callback": True},
        fetch={},
    )

# The hook does the same by hand, on a worker and on an event loop.
with DAG("by_hand", schedule=None):

    @task
    def export() -> dict[str, Any]:
        with AsyncApiHook("in_database", profile="http_202") as hook:
            job = hook.submit_job(**REQUEST)
            return hook.wait_for_job(job, poke_interval=1, timeout=60).dump()

    @task
    def fetch(job: dict[str, Any]) -> Any:
        async def rows() -> Any:
            async with AsyncApiHook("in_database", profile="http_202") as hook:
                assert (await hook.aget_job(job)).outcome == "success"
                return await hook.afetch_result(job)

        return asyncio.run(rows())

    fetch(export())  # type: ignore[arg-type]  # Airflow resolves the XCom

with DAG("in_a_trigger_of_ones_own", schedule=None):
    JobOperator(task_id="job")

# A single task can be tested alone, if nothing comes from another one.
with DAG("single_wait", schedule=None, default_args={"asyncapi_conn_id": "in_environment"}):
    AsyncApiSensor(
        task_id="wait",
        job=os.environ.get("ASYNCAPI_TEST_JOB", "/standard/jobs/none"),
        profile="http_202",
        **STATUS,
    )
