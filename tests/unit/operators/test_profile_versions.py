"""A job handle keeps the version of its profile, and whoever reads the job under another version says so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.sdk import DAG

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core.effects import Log
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from tests.unit.fake_airflow import TI, ApiServer, context_of, reply

pytestmark = pytest.mark.usefixtures("connection", "run_outside_of_airflow")

PROFILE = """
[submit]
endpoint = "/jobs"
identifier = "id"

[status]
endpoint = "/jobs/{identifier}"
completion_key = "status"
completion_value = "%s"
running_value = "running"

[fetch]
endpoint = "/jobs/{identifier}/rows"
"""
CHANGED = "The profile 'vendor' has changed since the job was submitted"


@pytest.fixture
def write_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Install a profile with a status that means success; each is another version."""

    def write(status: str) -> None:
        folder = tmp_path / status
        folder.mkdir(exist_ok=True)
        (folder / "vendor.toml").write_text(PROFILE % status)
        monkeypatch.setenv("AIRFLOW__ASYNCAPI__PROFILES_FOLDER", str(folder))

    return write


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []

    def log(_hook: AsyncApiHook, event: Any) -> None:
        if isinstance(event, Log):
            lines.append(event.message)

    monkeypatch.setattr(AsyncApiHook, "log_events", log)
    return lines


@pytest.fixture
def job(api: ApiServer, write_profile: Callable[[str], None]) -> dict[str, Any]:
    """Submit a job under the first version of the profile."""
    write_profile("done")
    api.respond_to("POST /jobs", reply({"id": "j-1"}))
    api.respond_to("GET /jobs/j-1", reply({"status": "done"}))
    api.respond_to("GET /jobs/j-1/rows", reply(status=410))
    ti = TI()
    with DAG("dag", schedule=None):
        AsyncApiTriggerOperator(task_id="submit", profile="vendor").execute(context_of(ti))
    handle: dict[str, Any] = json.loads(json.dumps(ti.xcoms["job"]))
    return handle


def wait(job: dict[str, Any], *, deferrable: bool = False) -> Any:
    with DAG("dag", schedule=None):
        sensor = AsyncApiSensor(task_id="wait", profile="vendor", job=job, deferrable=deferrable)
    return sensor.execute(context_of(TI()))


def fetch(job: dict[str, Any]) -> Any:
    with DAG("dag", schedule=None):
        return AsyncApiFetchOperator(task_id="fetch", profile="vendor", job=job).execute(context_of(TI()))


def test_the_handle_has_name_and_version(job: dict[str, Any]) -> None:
    assert job["profile"].keys() == {"name", "version"}
    assert job["profile"]["name"] == "vendor"


def test_an_unchanged_profile_is_not_worth_a_word(job: dict[str, Any], logged: list[str]) -> None:
    assert wait(job) == "j-1"
    with pytest.raises(exceptions.AsyncApiException) as caught:
        fetch(job)
    assert "has changed" not in f"{logged}{caught.value}"


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_wait_under_a_changed_profile_says_so(
    job: dict[str, Any],
    deferrable: bool,
    write_profile: Callable[[str], None],
    logged: list[str],
    api: ApiServer,
) -> None:
    write_profile("finished")
    with pytest.raises(exceptions.AsyncApiException, match="the profile 'vendor' has changed"):
        wait(job, deferrable=deferrable)
    assert any(line.startswith(CHANGED) for line in logged)
    api.respond_to("GET /jobs/j-1", reply({"status": "running"}))
    if deferrable:
        with pytest.raises(TaskDeferred) as deferral:
            wait(job, deferrable=True)
        assert deferral.value.trigger.serialize()[1]["wait"]["handle"]["profile"] == job["profile"]


def test_a_fetch_under_a_changed_profile_says_so(
    job: dict[str, Any], write_profile: Callable[[str], None], logged: list[str]
) -> None:
    write_profile("finished")
    with pytest.raises(exceptions.AsyncApiException, match=r"410.*; the profile 'vendor' has changed"):
        fetch(job)
    assert any(line.startswith(CHANGED) for line in logged)


@pytest.mark.parametrize("is_async", [False, True])
def test_the_hook_says_so_too(
    is_async: bool, api: ApiServer, write_profile: Callable[[str], None], logged: list[str]
) -> None:
    def call(name: str, *given: Any) -> Any:
        hook = AsyncApiHook(profile="vendor")
        return asyncio.run(getattr(hook, f"a{name}")(*given)) if is_async else getattr(hook, name)(*given)

    write_profile("done")
    api.respond_to("POST /jobs", reply({"id": "j-1"}))
    api.respond_to("GET /jobs/j-1", reply({"status": "done"}))
    job = call("submit_job")
    assert job.profile["name"] == "vendor"
    assert call("get_job", job).outcome == "success"
    write_profile("finished")
    assert call("get_job", job).outcome == "failure"
    assert any(line.startswith(CHANGED) for line in logged)
    for name in ("wait_for_job", "fetch_result"):
        logged.clear()
        with pytest.raises(exceptions.AsyncApiException, match="the profile 'vendor' has changed"):
            call(name, job)
        assert any(line.startswith(CHANGED) for line in logged)
