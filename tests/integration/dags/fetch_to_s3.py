"""Fetch tasks that are killed while they upload."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator

for output_type in ("file", "zip"):
    with DAG(f"fetch_to_s3_{output_type}", schedule=None):
        AsyncApiFetchOperator(
            task_id="fetch",
            asyncapi_conn_id="s3_api",
            job="7",
            output_type=output_type,
            endpoint="/x",
            destination="{{ dag_run.conf.destination }}",
            retries=3,  # one for the kill; others for a machine so busy that Airflow gives a task up
            retry_delay=timedelta(seconds=1),
        )
