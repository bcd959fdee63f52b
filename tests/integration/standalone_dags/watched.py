"""One job, to watch while its wait is deferred."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_asyncapi.job import async_api_job

with DAG("watched", schedule=None, default_args={"asyncapi_conn_id": "vendor"}):
    async_api_job(
        "job",
        submit={"endpoint": "/jobs", "json": {"table": "orders"}, "identifier": "id"},
        status={
            "endpoint": "/jobs/{identifier}",
            "completion_key": "state",
            "completion_value": "done",
            "running_value": "running",
            "progress": "percent",
            "poke_interval": 1,
            "retry_delays": {503: 1},
            "deferrable": True,
        },
        fetch={"endpoint": "/jobs/{identifier}/rows"},
    )
