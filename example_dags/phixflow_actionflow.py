"""
PhixFlow: call an actionflow that returns its result immediately or later, and check each of its records.

The response to the submit may be the result already: a fast flow ends without a single poll, and its records come from
the response itself (`inline`). Records that failed don't fail the task here (`on_partial="warn"`), but are counted.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor

with DAG(
    "phixflow_actionflow",
    schedule=None,
    params={"flow": "Partial Report"},
    default_args={"asyncapi_conn_id": "phixflow", "profile": "phixflow"},
    tags=["asyncapi"],
    doc_md=__doc__,
):
    submit = AsyncApiTriggerOperator(
        task_id="submit",
        variables={"app": "Demo App", "flow": "{{ params.flow }}"},
        json={},
        capture={"records": "records"},
    )
    wait = AsyncApiSensor(task_id="wait", job=submit.handle, poke_interval=2, deferrable=True)
    fetch = AsyncApiFetchOperator(
        task_id="fetch",
        job=wait.handle,
        inline="records",
        result_path="output.records",
        failed_records={"selector": ["output.records[*].status", "$[*].status"], "in": "failed"},
        on_partial="warn",
    )
    submit >> wait >> fetch
