"""
Cloud Elements: make any request asynchronous, and be called back with its result.

Shows a callback: the request names `{callback_url}`, Airflow's API server takes the call and checks its signature, and
the waiting task goes on at once, without a single poll. The result came with the call, so the fetch makes no request.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_asyncapi.job import async_api_job

with DAG("cloud_elements_callback", schedule=None, tags=["asyncapi"], doc_md=__doc__):
    async_api_job(
        "contacts",
        asyncapi_conn_id="cloud_elements",
        profile="cloud_elements_async",
        submit={"method": "GET", "endpoint": "/hubs/crm/contacts"},
        status={"deferrable": True},
        fetch={},
    )
