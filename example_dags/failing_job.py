"""
A job that fails, to show what an error looks like: this run is expected to fail.

The log of `report.wait` contains which job failed, its status, and the reason that the API returned (`error_message`).
The page *Async API jobs* shows the same. The fetch doesn't run: it is `upstream_failed`. Because a retry can't fix a
job that failed, Airflow doesn't retry the task, even if `retries` is set.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_asyncapi.job import async_api_job

with DAG(
    "failing_job",
    schedule=None,
    default_args={"retries": 2},
    # The demo and the tests expect this run to fail.
    tags=["asyncapi", "expected-failure"],
    doc_md=__doc__,
):
    async_api_job(
        "report",
        asyncapi_conn_id="standard",
        submit={"endpoint": "/standard/jobs", "json": {"outcome": "fail200"}},
        status={
            # 202 is running; after that the body contains the status.
            "rules": [{"selector": "status_code", "in": 202, "outcome": "running"}],
            "completion_key": "status",
            "completion_value": "succeeded",
            "failure_value": "failed",
            "error_message": "error.message",
            "deferrable": True,
        },
        fetch={},
    )
