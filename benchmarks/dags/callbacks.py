"""Jobs that call back, and others that are polled every 30 s."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task, task_group

from airflow_provider_asyncapi.job import async_api_job

POLLING = {"completion_key": "state", "completion_value": "done", "deferrable": True}
CALLING = {"name": "callback-{{ ti.map_index }}", "callback": "{callback_url}"}
POLLED = {"name": "polling-{{ ti.map_index }}"}

with DAG(
    "callbacks",
    schedule=None,
    params={"jobs": 1},
    default_args={"asyncapi_conn_id": "calling"},
    max_active_tasks=64,
):

    @task
    def numbers(params: dict[str, Any] | None = None) -> list[int]:
        """Give each job of a kind a number."""
        return list(range((params or {})["jobs"]))

    @task_group
    def jobs(number: int) -> None:  # noqa: ARG001 - the map index says it too
        """Submit a job of each kind, and wait for them."""
        submit = {"endpoint": "/jobs", "identifier": "id"}
        async_api_job(
            "called", submit={**submit, "json": CALLING, "callback": True}, status={**POLLING, "callback": True}
        )
        status = {**POLLING, "endpoint": "/jobs/{identifier}", "poke_interval": 30}
        async_api_job("polled", submit={**submit, "json": POLLED}, status=status)

    jobs.expand(number=numbers())
