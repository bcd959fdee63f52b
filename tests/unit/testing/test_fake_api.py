"""The scripted job API follows its script."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_asyncapi.exceptions import AsyncApiJobFailed, AsyncApiJobStalled, AsyncApiTimeout
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
    asyncapi_fake(["running", "failed"], error={"code": "DISK", "message": "no disk"})
    with pytest.raises(AsyncApiJobFailed, match="no disk"):
        run_job()


def test_requests_fail_as_the_script_says(asyncapi_fake: Start) -> None:
    api = asyncapi_fake(["running", "done"], rows=[1], errors={2: 503, 3: 429}, retry_after=7200)
    assert run_job() == [1]
    assert api.polls == {"1": 2}
    assert len(api.requests) == 6


def wait(**status: Any) -> JobHandle:
    with AsyncApiHook() as hook:
        return hook.wait_for_job(hook.submit_job(**PROFILE["submit"]), **PROFILE["status"], **status)


def wait_in_loop(**status: Any) -> JobHandle:
    async def wait_for_job() -> JobHandle:
        async with AsyncApiHook() as hook:
            return await hook.await_for_job(await hook.asubmit_job(**PROFILE["submit"]), **PROFILE["status"], **status)

    return asyncio.run(wait_for_job())


@pytest.mark.parametrize("wait", [wait, wait_in_loop])
def test_a_deadline_is_reached_in_skipped_time(asyncapi_fake: Start, wait: Callable[..., JobHandle]) -> None:
    api = asyncapi_fake(["running"])
    with pytest.raises(AsyncApiTimeout, match="running"):
        wait(poke_interval=3600, timeout=86_400)
    # A poll an hour for a day, each a little earlier or later.
    assert 20 <= api.polls["1"] <= 30


def test_a_job_that_stalls_is_given_up_in_skipped_time(asyncapi_fake: Start) -> None:
    asyncapi_fake(["running"])
    with pytest.raises(AsyncApiJobStalled):
        wait(poke_interval=60, stall_timeout=1800, timeout=7200)


def test_a_day_of_rate_limit_passes_at_once(asyncapi_fake: Start) -> None:
    asyncapi_fake(["running", "done"], errors={2: 429}, retry_after=86_400)
    before = time.time()
    assert wait(timeout=200_000, max_interval=90_000).status == "done"
    assert time.time() - before >= 86_400


def test_triggers_wait_for_nothing_either(asyncapi_fake: Start) -> None:
    api = asyncapi_fake(["queued", "running", "done"])
    assert wait_in_loop(poke_interval=3600).status == "done"
    assert api.polls == {"1": 3}


def test_a_job_is_cancelled(asyncapi_fake: Start) -> None:
    api = asyncapi_fake(["running"])
    with AsyncApiHook() as hook:
        job = hook.submit_job(**PROFILE["submit"])
        assert hook.cancel_job(job, **PROFILE["cancel"])
        with pytest.raises(AsyncApiJobFailed, match="cancelled"):
            hook.wait_for_job(job, **PROFILE["status"])
    assert api.cancelled == ["1"]


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


def test_each_job_has_its_own_statuses_and_further_jobs_those_of_the_last_one(asyncapi_fake: Start) -> None:
    api = asyncapi_fake([["running", "failed"], ["done"]], error={"code": "QUOTA", "message": "no quota"})
    with pytest.raises(AsyncApiJobFailed, match="no quota"):
        wait()
    assert [wait().status, wait().status] == ["done", "done"]
    assert api.polls == {"1": 2, "2": 1, "3": 1}


@pytest.mark.parametrize("statuses", [[], [[]], [["done"], []], ["done", ["done"]], "done"])
def test_a_script_without_statuses_is_refused(statuses: Any) -> None:
    with pytest.raises(ValueError, match="statuses: "):
        FakeJobApi(statuses)
