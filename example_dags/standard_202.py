"""
Any API that returns 202 Accepted with a Location: only the request has to be described.

This DAG uses the profile of the HTTP standard (RFC 9110): the Location is polled at the interval in Retry-After, and
its last response, or the page to which it redirects with 303, is the result.
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
