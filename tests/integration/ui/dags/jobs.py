"""The DAGs that the browser looks at; what their API says is up to the test."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider_asyncapi.job import async_api_job
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiTriggerOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor

STATUS: dict[str, Any] = {
    "endpoint": "/jobs/{identifier}",
    "completion_key": "state",
    "completion_value": "FINISHED",
    "failure_value": "FAILED",
    "running_value": ["QUEUED", "RUNNING"],
    "error_message": "reason",
    "progress": "percent",
    "poke_interval": 1,
    "timeout": 3600,
    "job_url": "{{ params.page }}/{identifier}",
    "deferrable": True,
}
# Who starts a run says which job it is about.
PARAMS = {"name": "", "page": "", "connection": "vendor"}
SUBMIT: dict[str, Any] = {"endpoint": "/submit/{{ params.name }}", "identifier": "id", "job_url": STATUS["job_url"]}
ARGUMENTS: dict[str, Any] = {
    "asyncapi_conn_id": "{{ params.connection }}",
    # A task that a slow machine has lost is tried again; what has failed isn't.
    "retries": 2,
    "retry_delay": timedelta(seconds=1),
}

for name in ("open_exports", "open_reports", "closed_salaries"):
    with DAG(name, schedule=None, params=PARAMS, default_args=ARGUMENTS):
        async_api_job(
            "export",
            submit=SUBMIT,
            status=STATUS,
            fetch={"endpoint": "/jobs/{identifier}/rows", "job_url": STATUS["job_url"], "retry_delays": {503: 5}},
        )

with DAG("open_again", schedule=None, params=PARAMS, default_args=ARGUMENTS):
    async_api_job("export", submit=SUBMIT, status=STATUS, resubmit=1)

with DAG("open_acted_on", schedule=None, params=PARAMS, default_args=ARGUMENTS):
    async_api_job(
        "export", submit=SUBMIT, status={**STATUS, "cancel": {"method": "DELETE", "endpoint": "/jobs/{identifier}"}}
    )

with DAG("open_late", schedule=None, params=PARAMS, default_args=ARGUMENTS):
    async_api_job("export", submit=SUBMIT, status={**STATUS, "warn_after": 3})

with DAG("open_modes", schedule=None, params=PARAMS, default_args=ARGUMENTS):
    submit = AsyncApiTriggerOperator(task_id="submit", **SUBMIT)
    # Airflow may take the end of a poke for the end of the next one, if that comes at once.
    for mode, interval in (("poke", 1), ("reschedule", 8)):
        submit >> AsyncApiSensor(
            task_id=mode,
            job=submit.handle,
            mode=mode,
            **{**STATUS, "deferrable": False, "poke_interval": interval},
        )

with DAG("open_mapped", schedule=None, params=PARAMS, default_args=ARGUMENTS):
    wait = AsyncApiSensor.partial(task_id="wait", **STATUS).expand(job=["part-0", "part-1", "part-2"])
