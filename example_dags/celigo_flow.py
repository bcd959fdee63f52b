"""
Celigo: run a flow, and fail if it completes with errors.

This DAG uses a profile: `profile="celigo"` has the requests, the meaning of the responses, and the request that cancels
a job. The DAG only sets the flow. If a job is "completed" and has errors, the wait fails. If Celigo returns 429, its
Retry-After is obeyed.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_asyncapi.job import async_api_job

with DAG("celigo_flow", schedule=None, params={"flow": "orders"}, tags=["asyncapi"], doc_md=__doc__):
    async_api_job(
        "orders",
        asyncapi_conn_id="celigo",
        profile="celigo",
        submit={"variables": {"flow": "{{ params.flow }}"}},
        status={"poke_interval": 2, "timeout": 3600, "deferrable": True},
        fetch={"result_path": "$"},
    )
