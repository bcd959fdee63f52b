"""
Any API that answers 202 Accepted with a Location: nothing has to be described but the request.

Shows the profile of the HTTP standard itself (RFC 9110): the Location is polled as often as Retry-After says, and what
it answers at last, or redirects to with 303, is the result.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_asyncapi.job import async_api_job

with DAG("standard_202", schedule=None, params={"finish": "303"}, tags=["asyncapi"], doc_md=__doc__):
    async_api_job(
        "job",
        asyncapi_conn_id="standard",
        profile="http_202",
        submit={"endpoint": "/standard/jobs", "json": {"outcome": "ok", "finish": "{{ params.finish }}"}},
        status={"deferrable": True},
        fetch={},
    )
