"""Jobs that fail, take long, are polled late and call back: what metrics and traces are made of."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from airflow_provider_asyncapi.job import async_api_job
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor

STATUS: dict[str, Any] = {
    "endpoint": "/jobs/{identifier}",
    "completion_key": "state",
    "completion_value": "done",
    "failure_value": "failed",
    "running_value": "running",
    "poke_interval": 1,
    "retry_delays": {503: 1},
}

with DAG("monitored", schedule=None, default_args={"asyncapi_conn_id": "vendor", "deferrable": True}):
    AsyncApiJobOperator(
        task_id="job",
        submit={"endpoint": "/jobs", "identifier": "id", "headers": {"Idempotency-Key": "{idempotency_key}"}},
        status={**STATUS, "warn_after": 1},
        fetch={"endpoint": "/jobs/{identifier}/rows"},
        resubmit=1,
    )
    # The connection allows a request every 3.3 s.
    AsyncApiSensor(task_id="paced", asyncapi_conn_id="paced", job="slow", **STATUS)
    async_api_job(
        "called",
        submit={"endpoint": "/calls", "json": {"callback": "{callback_url}"}, "identifier": "id", "callback": True},
        status={"completion_key": "state", "completion_value": "done", "callback": True, "timeout": 120},
        fetch={"endpoint": "/jobs/{identifier}/rows"},
    )

with DAG(
    "overdue",
    schedule=None,
    deadline=DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(seconds=1),
        callback=AsyncCallback("deadline_callback.tell", kwargs={"file": os.environ.get("ASYNCAPI_TEST_ALERTS", "")}),
    ),
):
    AsyncApiSensor(task_id="wait", asyncapi_conn_id="vendor", job="forever", deferrable=True, **STATUS)
