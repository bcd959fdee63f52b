"""The scripted job API follows its script."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_asyncapi.exceptions import AsyncApiJobFailed
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook, JobHandle
from airflow_provider_asyncapi.testing.fake_api import PROFILE, FakeJobApi

Start = Callable[..., FakeJobApi]


def run_job(**fetch: Any) -> Any:
    with AsyncApiHook() as hook:
        job = hook.submit_job(**PROFILE["submit"])
        # Hours pass at once.
        job = hook.wait_for_job(job, poke_interval=3600, **PROFILE["status"])
        return hook.fetch_result(job, **{**PROFILE["fetch"], **fetch})


def test_a_job_has_one_status_after_the_other(asyncapi_fake: Start) -> None:
    api = asyncapi_fake(["queued", "running", "running", "done"], rows=[{"a": 1}, {"a": 2}])
    assert run_job() == [{"a": 1}, {"a": 2}]
    assert [str(request) for request in api.requests] == [
        "POST /jobs",
        *["GET /jobs/1"] * 4,
        "GET /jobs/1/result",
    ]
    assert api.polls == {"1": 4}


def test_a_result_has_pages(asyncapi_fake: Start) -> None:
    api = asyncapi_fake(["done"], rows=[1, 2, 3, 4, 5], page_size=2)
    assert run_job(output_type="pages", next_page="header:Link") == [1, 2, 3, 4, 5]
    assert len(api.requests) == 5


def test_a_job_fails_with_its_message(asyncapi_fake: Start) -> None:
    asyncapi_fake(["running", "failed"], message="no disk")
    with pytest.raises(AsyncApiJobFailed, match="no disk"):
        run_job()


def test_requests_fail_as_the_script_says(asyncapi_fake: Start) -> None:
    api = asyncapi_fake(["running", "done"], rows=[1], errors={2: 503, 3: 429}, retry_after=True)
    assert run_job() == [1]
    assert api.polls == {"1": 2}
    assert len(api.requests) == 6


def test_a_job_is_cancelled(asyncapi_fake: Start) -> None:
    api = asyncapi_fake(["running"])
    with AsyncApiHook() as hook:
        job = hook.submit_job(**PROFILE["submit"])
        assert hook.cancel_job(job, **PROFILE["cancel"])
        with pytest.raises(AsyncApiJobFailed, match="cancelled"):
            hook.wait_for_job(job, **PROFILE["status"])
    assert api.cancelled == ["1"]


def test_triggers_wait_for_nothing_either(asyncapi_fake: Start) -> None:
    api = asyncapi_fake(["queued", "running", "done"], conn_id="fake")

    async def wait() -> JobHandle:
        async with AsyncApiHook("fake") as hook:
            job = await hook.asubmit_job(**PROFILE["submit"])
            return await hook.await_for_job(job, poke_interval=3600, **PROFILE["status"])

    assert asyncio.run(wait()).status == "done"
    assert api.polls == {"1": 3}


def test_anything_else_is_not_there(asyncapi_fake: Start) -> None:
    api = asyncapi_fake()
    with AsyncApiHook() as hook:
        responses = [
            hook.request(method, path, rules=[{"selector": "status_code", "in": [404], "outcome": "no_data"}])
            for method, path in (
                ("GET", "/jobs/9"),
                ("GET", "/other"),
                ("DELETE", "/jobs/9"),
                ("GET", "/jobs/9/result"),
            )
        ]
    assert [response.status_code for response in responses] == [404] * 4
    assert len(api.requests) == 4


def test_a_script_without_a_status_is_refused() -> None:
    with pytest.raises(ValueError, match="statuses"):
        FakeJobApi([])
