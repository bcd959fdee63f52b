"""One submit that makes several jobs, which are waited for and fetched each on its own; see `test_several_jobs.py`."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task, task_group

from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor

with DAG("several_jobs", schedule=None, default_args={"asyncapi_conn_id": "several"}):
    submit = AsyncApiTriggerOperator(
        task_id="submit",
        prepare={"endpoint": "/files", "data": "{{ dag.dag_id }}", "capture": {"file": "id"}},
        endpoint="/jobs",
        json={"file": "{file}"},
        identifiers="jobs[*].id",
    )

    @task_group
    def one(job: Any) -> Any:
        """Wait for one of the jobs, and fetch its result."""
        wait = AsyncApiSensor(
            task_id="wait",
            job=job,
            endpoint="/jobs/{identifier}",
            completion_key="status",
            completion_value="done",
            failure_value="failed",
            poke_interval=1,
            deferrable=True,
        )
        fetch = AsyncApiFetchOperator(task_id="fetch", job=wait.handle, endpoint="/jobs/{identifier}/rows")
        wait >> fetch
        return fetch.output

    results = one.expand(job=submit.handles)

    @task
    def all_results(rows: Any) -> list[Any]:
        """Run once all jobs have succeeded."""
        return list(rows)

    @task(trigger_rule="one_success")
    def any_result() -> str:
        """Run once one of the jobs has succeeded."""
        return "one of them"

    all_results(results)
    results >> any_result()
