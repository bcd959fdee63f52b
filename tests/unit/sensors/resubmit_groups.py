"""Task groups whose sensor submits further jobs."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG

from airflow_provider_asyncapi.job import AsyncApiJob, async_api_job
from tests.unit.fake_airflow import STATUS

SUBMIT: dict[str, Any] = {
    "endpoint": "/jobs",
    "identifier": "id",
    "headers": {"Idempotency-Key": "{idempotency_key}"},
}
LONG_STATUS = {**STATUS, "timeout": 4000}


def make_group(submit: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **given: Any) -> AsyncApiJob:
    with DAG("dag", schedule=None):
        return async_api_job(
            "job", submit={**SUBMIT, "retries": 3, **(submit or {})}, status={**LONG_STATUS, **(status or {})}, **given
        )
