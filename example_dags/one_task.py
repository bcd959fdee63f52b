"""
Submit, wait and fetch in one task, which is mapped over the variables of its requests.

Airflow's retries apply to the job as a whole: a retry resumes the job, or submits another one if the job has failed.
The result is small, so the triggerer fetches it, and each task needs a worker only for its submit.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator

with DAG("one_task", schedule=None, tags=["asyncapi"], doc_md=__doc__):
    AsyncApiJobOperator.partial(
        task_id="job",
        asyncapi_conn_id="standard",
        profile="http_202",
        submit={"endpoint": "/standard/jobs", "json": {"outcome": "{outcome}", "finish": "303"}},
        fetch={},
        fetch_in_trigger=True,
        deferrable=True,
        retries=2,
        retry_delay=timedelta(seconds=5),
    ).expand(variables=[{"outcome": "ok"}, {"outcome": "empty"}])
