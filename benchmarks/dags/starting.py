"""A wait that lasts."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor

with DAG("starting", schedule=None):
    AsyncApiSensor(
        task_id="wait",
        asyncapi_conn_id="asyncapi",
        job="j-0",
        endpoint="/v1/jobs/{identifier}",
        completion_key="data.task.status",
        completion_value="done",
        deferrable=True,
    )
