"""
Run a job again after it has failed, with one task and with three: the first job of each fails here, and the second one
succeeds.

The log of the task that waits has a line about the failed job, and its XCom `job_attempts` contains the identifier, the
status and the reason of the failure. Each job has its own idempotency key, and a killed worker never submits a job
twice.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG

from airflow_provider_asyncapi.job import async_api_job
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator

STATUS: dict[str, Any] = {
    "endpoint": "{identifier}",
    # 202 is running; after that the body contains the status.
    "rules": [{"selector": "status_code", "in": 202, "outcome": "running"}],
    "completion_key": "status",
    "completion_value": "succeeded",
    "failure_value": "failed",
    "error_message": "error.message",
    "poke_interval": 1,
}


def make_submit(series: str) -> dict[str, Any]:
    return {
        "endpoint": "/standard/jobs",
        "json": {"outcome": "fail_first", "series": series},
        "headers": {"Idempotency-Key": "{idempotency_key}"},
        "identifier": "header:Location",
    }


with DAG("job_run_again", schedule=None, tags=["asyncapi"], doc_md=__doc__):
    AsyncApiJobOperator(
        task_id="job",
        asyncapi_conn_id="standard",
        submit=make_submit("{{ run_id }}, one task"),
        status=STATUS,
        resubmit=2,
        # Then the next job is submitted after 1 s, and after 60 s if that fails too.
        resubmit_delay=[1, 60],
        deferrable=True,
    )
    async_api_job(
        "steps",
        asyncapi_conn_id="standard",
        submit=make_submit("{{ run_id }}, three tasks"),
        status={**STATUS, "deferrable": True},
        resubmit=2,
        # Not after a mistake in the request, for example.
        resubmit_on=[{"selector": "status", "in": "failed"}],
    )
