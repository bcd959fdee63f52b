"""
Run a job again after it has failed: the first job of each run fails here, and the second one succeeds.

The log of the task has a line about the failed job, and the XCom `job_attempts` contains its identifier, its status and
the reason of the failure. Each job has its own idempotency key, and a killed worker never submits a job twice.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator

with DAG("job_run_again", schedule=None, tags=["asyncapi"], doc_md=__doc__):
    AsyncApiJobOperator(
        task_id="job",
        asyncapi_conn_id="standard",
        submit={
            "endpoint": "/standard/jobs",
            "json": {"outcome": "fail_first", "series": "{{ run_id }}"},
            "headers": {"Idempotency-Key": "{idempotency_key}"},
            "identifier": "header:Location",
        },
        status={
            "endpoint": "{identifier}",
            # 202 is running; after that the body contains the status.
            "rules": [{"selector": "status_code", "in": 202, "outcome": "running"}],
            "completion_key": "status",
            "completion_value": "succeeded",
            "failure_value": "failed",
            "error_message": "error.message",
            "poke_interval": 1,
        },
        resubmit=2,
        # Then the next job is submitted after 1 s, and after 60 s if that fails too.
        resubmit_delay=[1, 60],
        deferrable=True,
    )
