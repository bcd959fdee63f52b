"""
A job that fails, so that you see what an error looks like: this run ends as failed, and it should.

Look at the log of `report.wait`: it says which job failed, with which status, and what the API says about the reason
(`error_message`). The page *Async API jobs* shows the same. The fetch isn't tried: it is `upstream_failed`. Since a
retry can't mend what the job itself has refused, Airflow makes none, whatever `retries` says.
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
            # 202 is running; after that the body says how the job has ended.
            "rules": [{"selector": "status_code", "in": 202, "outcome": "running"}],
            "completion_key": "status",
            "completion_value": "succeeded",
            "failure_value": "failed",
            "error_message": "error.message",
            "deferrable": True,
        },
        fetch={},
    )
