"""
Panoply: an API as its Flex Connector describes it, from an XML submit to a GraphQL result and a download.

This DAG uses other bodies than JSON, a POST request for the status, retry delays by status code, a result identifier
that differs from the identifier of the job, and three fetches of the same job: rows by GraphQL, pages, and a file. The
response with the status contains the link to the file. The link is signed and leads to another host, so no credentials
are sent to it.
"""

from __future__ import annotations

import os

from airflow.sdk import DAG

from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor

RESULTS = os.environ.get("ASYNCAPI_DEMO_RESULTS", "file:///tmp/asyncapi")

with DAG(
    "panoply_report",
    schedule=None,
    params={"report": "sales"},
    default_args={"asyncapi_conn_id": "panoply", "profile": "panoply"},
    tags=["asyncapi"],
    doc_md=__doc__,
):
    submit = AsyncApiTriggerOperator(
        task_id="submit",
        endpoint="/flex/reports",
        xml="<request><report>{{ params.report }}</report></request>",
    )
    wait = AsyncApiSensor(
        task_id="wait",
        job=submit.handle,
        endpoint="/flex/reports/status",
        json={"id": "{process.identifier}"},
        completion_value="DONE",
        failure_value="FAILED",
        running_value=["PENDING", "RUNNING"],
        progress="process.progress",
        capture={"pages": "result.pages"},
        poke_interval=2,
        retry_delays={503: 1},
        deferrable=True,
    )
    rows = AsyncApiFetchOperator(
        task_id="rows",
        job=wait.handle,
        output_type="result",
        endpoint="/flex/graphql",
        json={
            "query": "query($id: ID!) { result(id: $id) { rows { id name } } }",
            "variables": {"id": "{result.identifier}"},
        },
        rules=[{"selector": "errors", "exists": True, "outcome": "failure"}],
        result_path="data.result.rows",
    )
    pages = AsyncApiFetchOperator(
        task_id="pages",
        job=wait.handle,
        endpoint="/flex/results/{result.identifier}/rows",
        query_params={"page": "{page}"},
        pages="{pages}",
        result_path="rows",
    )
    download = AsyncApiFetchOperator(
        task_id="download",
        job=wait.handle,
        output_type="file",
        locate={"endpoint": "/flex/reports/{identifier}/status", "capture": {"link": "result.link"}},
        endpoint="{link}",
        destination=RESULTS + "/panoply/{{ run_id }}.csv",
    )
    submit >> wait >> [rows, pages, download]
