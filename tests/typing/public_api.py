"""
What type checkers make of the public API: ``make lint`` checks this file with mypy, nothing runs it.

A line that must not type-check has an ``ignore`` with the code of its error: without the error, mypy reports the ignore
as unused.
"""

from __future__ import annotations

from typing import Any, assert_type

from airflow.providers.common.compat.sdk import XComArg

from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.exceptions import AsyncApiJobFailed
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.hooks.responses import AsyncApiResponse
from airflow_provider_asyncapi.job import AsyncApiJob, async_api_job
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor


def three_tasks() -> None:
    submit = AsyncApiTriggerOperator(
        task_id="submit",
        endpoint="/jobs",
        method="POST",
        json={"rows": 3},
        headers={"Idempotency-Key": "{idempotency_key}"},
        identifier="id",
        retries=3,
    )
    assert_type(submit.handle, XComArg)
    wait = AsyncApiSensor(
        task_id="wait",
        job=submit.handle,
        endpoint="/jobs/{identifier}",
        completion_key="state",
        completion_value=["done", "ended"],
        poke_interval=30,
        timeout=3600,
        cancel={"method": "DELETE", "endpoint": "/jobs/{identifier}"},
        deferrable=True,
    )
    assert_type(wait.handle, XComArg)
    fetch = AsyncApiFetchOperator(
        task_id="fetch",
        job=wait.handle,
        endpoint="/jobs/{identifier}/result",
        output_type="file",
        destination="s3://bucket/{{ ds }}/rows.json",
    )
    submit >> wait >> fetch
    AsyncApiFetchOperator(task_id="by_identifier", job="j-1", endpoint="/jobs/{identifier}/result")
    AsyncApiTriggerOperator("submit")  # type: ignore[call-arg]  # refused
    AsyncApiTriggerOperator(task_id="submit", endpoint=5)  # type: ignore[arg-type]  # refused
    AsyncApiFetchOperator(task_id="fetch", job="j-1", concurrency="two")  # type: ignore[arg-type]  # refused


def task_group() -> None:
    group = async_api_job(
        "job",
        profile="http_202",
        submit={"endpoint": "/jobs"},
        status={"poke_interval": 30},
        fetch={},
        tooltip="one job",
    )
    assert_type(group, AsyncApiJob)
    assert_type(group.submit, AsyncApiTriggerOperator)
    assert_type(group.wait, AsyncApiSensor)
    assert_type(group.fetch, AsyncApiFetchOperator | None)
    assert_type(group.handle, XComArg)
    assert_type(group.output, XComArg)
    async_api_job("job", submit="/jobs")  # type: ignore[arg-type]  # refused


def one_task() -> None:
    export = AsyncApiJobOperator(
        task_id="export",
        profile="http_202",
        variables={"table": "orders"},
        submit={"endpoint": "/jobs"},
        fetch={},
        fetch_in_trigger=True,
        retries=2,
    )
    assert_type(export.handle, XComArg)
    AsyncApiJobOperator(task_id="export", submit="/jobs")  # type: ignore[arg-type]  # refused


def hook() -> Any:
    with AsyncApiHook("vendor", profile="http_202") as api:
        assert_type(api, AsyncApiHook)
        assert_type(api.request("GET", "/ping"), AsyncApiResponse)
        job = api.submit_job(endpoint="/jobs", json={"rows": 3}, identifier="id", idempotency_key="k-1")
        assert_type(job, JobHandle)
        assert_type(api.get_job(job, endpoint="/jobs/{identifier}", completion_key="state"), JobHandle)
        try:
            job = api.wait_for_job(job, timeout=60, poke_interval=1, completion_value="done")
        except AsyncApiJobFailed:
            assert_type(api.cancel_job(job, method="DELETE", endpoint="/jobs/{identifier}"), bool)
        api.submit_job(endpoints="/jobs")  # type: ignore[call-arg]  # refused
        api.wait_for_job(job, poke_interval="soon")  # type: ignore[arg-type]  # refused
        return api.fetch_result(job, endpoint="/jobs/{identifier}/result")


async def hook_on_an_event_loop() -> Any:
    async with AsyncApiHook("vendor") as api:
        assert_type(await api.arequest("GET", "/ping"), AsyncApiResponse)
        job = await api.asubmit_job(endpoint="/jobs", identifier="id")
        assert_type(job, JobHandle)
        assert_type(await api.aget_job("j-1", endpoint="/jobs/{identifier}"), JobHandle)
        assert_type(await api.await_for_job(job, timeout=60), JobHandle)
        assert_type(await api.acancel_job(job, endpoint="/jobs/{identifier}"), bool)
        return await api.afetch_result(job)
