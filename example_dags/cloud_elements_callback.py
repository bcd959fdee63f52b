"""
Cloud Elements: make any request asynchronous, and receive its result in a callback.

The request contains `{callback_url}`. Airflow's API server receives the callback and checks its signature, and the task
resumes immediately, without a single poll. The callback contains the result, so the fetch sends no request.
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
