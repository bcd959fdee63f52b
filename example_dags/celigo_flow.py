"""
Celigo: run a flow, and fail if it completes with errors.

Shows a profile: `profile="celigo"` knows the requests, what their answers mean, and how to cancel a job; the DAG says
which flow. A job that ends as "completed" with errors in it fails the wait. When Celigo answers 429, its Retry-After is
obeyed.
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
