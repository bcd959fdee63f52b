"""A task that waits until a user cancels its job, and whose worker dies then."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_asyncapi.operators.asyncapi import AsyncApiTriggerOperator
from tests.integration.dying_sensor import DyingSensor

ARGUMENTS = {"asyncapi_conn_id": "vendor", "retries": 2, "retry_delay": timedelta(seconds=1)}

with DAG("acted_on", schedule=None, default_args=ARGUMENTS):
    submit = AsyncApiTriggerOperator(task_id="submit", endpoint="/acted_on", json={}, identifier="id")
    submit >> DyingSensor(
        task_id="wait",
        job=submit.handle,
        endpoint="/jobs/{identifier}",
        completion_key="state",
        completion_value="done",
        cancel={"method": "DELETE", "endpoint": "/jobs/{identifier}"},
        # Only what a user does ends this wait in time.
        poke_interval=3600,
        deferrable=True,
    )
