"""Jobs that call back, and others that are polled every 30 s."""

from __future__ import annotations

from airflow.sdk import DAG, task, task_group

from airflow_provider_asyncapi.operators.asyncapi import AsyncApiTriggerOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor

with DAG(
    "callbacks",
    schedule=None,
    params={"jobs": 1, "server": ""},
    default_args={"asyncapi_conn_id": "calling"},
    max_active_tasks=64,
):

    @task
    def numbers(params: dict[str, int] | None = None) -> list[int]:
        return list(range((params or {})["jobs"]))

    @task_group
    def called(number: int) -> None:
        submit = AsyncApiTriggerOperator(
            task_id="submit",
            endpoint="/jobs",
            json={"name": "callback-{{ ti.map_index }}", "callback": "{callback_url}"},
            callback=True,
            identifier="id",
        )
        AsyncApiSensor(
            task_id="wait",
            job=submit.job,
            callback=True,
            completion_key="state",
            completion_value="done",
            deferrable=True,
        )

    @task_group
    def polled(number: int) -> None:
        submit = AsyncApiTriggerOperator(
            task_id="submit", endpoint="/jobs", json={"name": "polling-{{ ti.map_index }}"}, identifier="id"
        )
        AsyncApiSensor(
            task_id="wait",
            job=submit.job,
            endpoint="/jobs/{identifier}",
            completion_key="state",
            completion_value="done",
            poke_interval=30,
            deferrable=True,
        )

    count = numbers()
    called.expand(number=count)
    polled.expand(number=count)
