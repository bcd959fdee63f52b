"""
Many jobs: one submit, wait and fetch for each item of a list, by dynamic task mapping.

This DAG uses a mapped task group: a task returns the list while the DAG runs, and each of its jobs waits without a
worker.
"""

from __future__ import annotations

from airflow.sdk import DAG, task, task_group

from airflow_provider_asyncapi.job import async_api_job

with DAG("many_jobs", schedule=None, tags=["asyncapi"], doc_md=__doc__):

    @task
    def requests() -> list[dict[str, str]]:
        return [{"outcome": "ok", "note": f"job {number}"} for number in range(5)]

    @task_group
    def one(request: dict[str, str]) -> None:
        async_api_job(
            "job",
            asyncapi_conn_id="standard",
            submit={"endpoint": "/standard/jobs", "json": request},
            status={"deferrable": True},
            fetch={"result_path": "result.rows"},
        )

    one.expand(request=requests())
