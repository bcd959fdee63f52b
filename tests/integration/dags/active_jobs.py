"""Jobs of a connection that allows two at a time, in one task and in three; `test_active_jobs.py` counts them."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG

from airflow_provider_asyncapi.job import async_api_job
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator

COMMON: dict[str, Any] = {"asyncapi_conn_id": "limited", "profile": "celigo"}
STATUS: dict[str, Any] = {"poke_interval": 1}

with DAG("active_jobs", schedule=None):
    AsyncApiJobOperator.partial(task_id="one", status=STATUS, deferrable=True, **COMMON).expand(
        variables=[{"flow": "orders"}] * 3
    )
    for number in range(2):
        async_api_job(
            f"three_{number}",
            submit={"variables": {"flow": "orders"}},
            status={**STATUS, "deferrable": True},
            **COMMON,
        )
