"""
Vayana: submit a long-running task, wait for it, and unpack the zip archive with its result.

This DAG sets all parameters of the three tasks. The connection logs in, renews its token when the API returns 403, and
sends the header of the organisation.
"""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor

RESULTS = os.environ.get("ASYNCAPI_DEMO_RESULTS", "file:///tmp/asyncapi")

with DAG("vayana_einvoices", schedule=None, params={"gstin": "29AAACV1234A1Z5"}, tags=["asyncapi"], doc_md=__doc__):
    submit = AsyncApiTriggerOperator(
        task_id="submit",
        asyncapi_conn_id="vayana",
        endpoint="/enriched/gstn/v1.0/einvoice/download",
        json={"gstin": "{{ params.gstin }}"},
        identifier='data."task-id"',
        # A response with 200 may report an error.
        rules=[{"selector": "status", "in": "0", "outcome": "failure"}],
    )
    wait = AsyncApiSensor(
        task_id="wait",
        asyncapi_conn_id="vayana",
        job=submit.handle,
        endpoint="/enriched/tasks/v1.0/status/{identifier}",
        headers={"Accept": "application/json"},
        completion_key=["data.task.status", "data.status"],
        completion_value="completed",
        failure_value="failed",
        running_value="processing",
        capture={"pages": ["data.task.pages", "data.pages"]},
        progress={"pending": "data.jobs.pending", "total": "data.jobs.total"},
        poke_interval=2,
        max_iterations=240,
        timeout=timedelta(hours=2),
        deferrable=True,
    )
    fetch = AsyncApiFetchOperator(
        task_id="fetch",
        asyncapi_conn_id="vayana",
        job=wait.handle,
        output_type="zip",
        endpoint="/enriched/tasks/v1.0/download/{identifier}",
        headers={"Accept": "application/zip"},
        failed_records={"member": "result.json", "selector": "data[*].status", "not_in": "1"},
        destination=RESULTS + "/vayana/{{ run_id }}/",
    )
    submit >> wait >> fetch
