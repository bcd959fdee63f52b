"""
A job by hand: a task submits it with the hook, a sensor waits without a worker, and another task reads the result.

Use the hook if parameters of operators aren't enough, such as for a request that depends on the response to another
one.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor

API: dict[str, Any] = {"asyncapi_conn_id": "standard", "profile": "http_202"}

with DAG("job_by_hand", schedule=None, tags=["asyncapi"], doc_md=__doc__):

    @task
    def submit() -> dict[str, Any]:
        with AsyncApiHook(**API) as hook:
            return hook.submit_job(endpoint="/standard/jobs", json={"outcome": "ok"}).dump()

    wait = AsyncApiSensor(task_id="wait", job=submit(), deferrable=True, **API)

    @task
    def fetch(job: dict[str, Any]) -> int:
        with AsyncApiHook(**API) as hook:
            return len(hook.fetch_result(job))

    fetch(wait.handle)  # type: ignore[arg-type]  # Airflow resolves the XCom
