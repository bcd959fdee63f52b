"""
Cloud Elements: run a bulk query, poll it, and read its CSV as rows.

This DAG uses variables: hub, object and query are set once, and used in the requests of all three tasks. If the query
finds nothing, the wait succeeds, and the fetch is skipped.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_asyncapi.job import async_api_job

with DAG("cloud_elements_bulk", schedule=None, params={"object": "contacts"}, tags=["asyncapi"], doc_md=__doc__):
    async_api_job(
        "contacts",
        asyncapi_conn_id="cloud_elements",
        profile="cloud_elements",
        submit={
            "variables": {
                "hub": "crm",
                "object": "{{ params.object }}",
                "query": "select * from {{ params.object }}",
            }
        },
        status={"poke_interval": 2, "deferrable": True},
        fetch={},
    )
