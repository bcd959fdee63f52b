"""The process of a task makes no checks, imports and requests to Airflow that only other processes need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import CommsDecoder

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.exceptions import AsyncApiUnauthorized
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiTriggerOperator
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from airflow_provider_asyncapi.triggers.events import WaitEvent
from tests.unit.fake_airflow import TI, ApiServer, Store, Supervisor, context_of, reply

STAGES: dict[str, Any] = {
    "submit": {"endpoint": "/jobs", "identifier": "id"},
    "status": {"endpoint": "/jobs/{identifier}", "completion_key": "status", "completion_value": "done"},
    "fetch": {"endpoint": "/jobs/{identifier}/rows"},
}
#: What neither process uses: checks at parse time, asynchronous HTTP, profiles, and parsers that few APIs need.
UNUSED = {
    "aiohttp",
    "airflow_provider_asyncapi.core.profiles.merging",
    "airflow_provider_asyncapi.tasks.validation",
    "airflow_provider_asyncapi.transports.aiohttp",
    "jsonpath_ng",
    "lxml",
    "wtforms",
}
UNUSED_BY_SUBMIT = UNUSED | {
    f"airflow_provider_asyncapi.{name}"
    for name in ("results.destination", "results.fetching", "tasks.callbacks", "tasks.fetch_result")
}
UNUSED_BY_FETCH = UNUSED | {
    f"airflow_provider_asyncapi.{name}"
    for name in (
        "core.submit.flow",
        "core.submit.plan",
        "core.wait.batch_flow",
        "core.wait.flow",
        "core.wait.plan",
        "hooks.clients",
        "tasks.submit_job",
        "tasks.wait_state",
        "triggers.asyncapi",
    )
}
#: Runs one of the two processes of a task, and prints the modules that it has imported.
PROCESS = """
import json, sys
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import CommsDecoder
from airflow.sdk.execution_time.task_runner import _airflow_parsing_context_manager
from airflow.providers.common.compat.sdk import BaseHook, TaskDeferred
# Airflow 3.1 itself imports aiohttp.
before = set(sys.modules)
task_runner.SUPERVISOR_COMMS = CommsDecoder.__new__(CommsDecoder)
with _airflow_parsing_context_manager(dag_id="dag", task_id="job"):
    from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
    task = AsyncApiJobOperator(task_id="job", asyncapi_conn_id="vendor", deferrable=True, **json.loads(sys.argv[1]))
# The connection is in the environment.
del task_runner.SUPERVISOR_COMMS
event = json.loads(sys.argv[2])
class TI:
    dag_id, run_id, task_id, map_index, try_number, max_tries, id = "dag", "run", "job", -1, 1, 0, "id"
    def xcom_push(self, key, value):
        pass
class Store(dict):
    set = dict.__setitem__
context = {"ti": TI(), "task": task, "task_state_store": Store()}
try:
    task.execute(context) if event is None else task.execute_complete(context, event)
except TaskDeferred:
    pass
print(json.dumps(sorted(set(sys.modules) - before)))
"""


class CountingStore(Store):
    """Counts the requests to the task state store."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[str] = []

    def get(self, key: str, default: Any = None) -> Any:
        self.requests.append(f"get {key}")
        return super().get(key, default)

    def set(self, key: str, value: Any) -> None:
        self.requests.append(f"set {key}")
        super().set(key, value)


class CountingTI(TI):
    """Counts the XComs that are pushed."""

    def __init__(self) -> None:
        super().__init__()
        self.pushed: list[str] = []

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed.append(key)
        super().xcom_push(key, value)


def success() -> dict[str, Any]:
    """Return the event of a trigger that has seen the job succeed."""
    return WaitEvent.of_success(JobHandle("j-1", status="done", outcome=Outcome.SUCCESS)).dump()


def run_process(api: ApiServer, event: dict[str, Any] | None) -> set[str]:
    """Run one process of the task, and return the modules that it has imported."""
    connection = json.dumps({"conn_type": "asyncapi", "host": api.url})
    env = os.environ | {"AIRFLOW_CONN_VENDOR": connection}
    arguments = [sys.executable, "-c", PROCESS, json.dumps(STAGES), json.dumps(event)]
    done = subprocess.run(arguments, env=env, stdout=subprocess.PIPE, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@contextmanager
def parse_in_task_process(monkeypatch: pytest.MonkeyPatch, task_id: str | None = "job") -> Iterator[None]:
    """Parse as the process of a task does."""
    with monkeypatch.context() as patch:
        # Airflow sets these variables, and doesn't remove them.
        for name, value in (("DAG", "dag"), ("TASK", task_id)):
            if value is not None:
                patch.setenv(f"_AIRFLOW_PARSING_CONTEXT_{name}_ID", value)
        patch.setattr(task_runner, "SUPERVISOR_COMMS", CommsDecoder.__new__(CommsDecoder), raising=False)
        yield


WRONG: dict[str, Any] = {"task_id": "job", "endpoint": "/jobs/{nothing}", "identifier": "id"}


def test_a_task_process_leaves_the_checks_of_parameters_to_the_dag_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    with parse_in_task_process(monkeypatch):
        AsyncApiTriggerOperator(**WRONG)
    # No task is set in the DAG processor.
    with parse_in_task_process(monkeypatch, None), pytest.raises(ConfigurationError, match="nothing sets the variable"):
        AsyncApiTriggerOperator(**WRONG)
    with pytest.raises(ConfigurationError, match="nothing sets the variable"):
        AsyncApiTriggerOperator(**WRONG)


def test_a_program_that_a_task_starts_checks_the_dags_that_it_parses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", "job")
    with pytest.raises(ConfigurationError, match="nothing sets the variable"):
        AsyncApiTriggerOperator(**WRONG)


def test_a_task_process_checks_values_that_are_mapped_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with parse_in_task_process(monkeypatch), pytest.raises(ConfigurationError, match="nothing sets the variable"):
        AsyncApiTriggerOperator(**WRONG, _airflow_from_mapped=True)


@pytest.mark.usefixtures("connection", "run_outside_of_airflow")
@pytest.mark.parametrize("stage", ["status", "fetch"])
def test_a_wrong_parameter_still_fails_a_task_process_before_the_submit(
    api: ApiServer, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.respond_to("POST /jobs", reply({"id": "j-1"}))
    wrong = {**STAGES, stage: {**STAGES[stage], "rules": [{"selector": "a", "equal": 1}]}}
    with parse_in_task_process(monkeypatch):
        task = AsyncApiJobOperator(task_id="job", deferrable=True, **wrong)
    with pytest.raises(AirflowFailException, match="rules"):
        task.execute(context_of(TI(), task_state_store=Store()))
    assert api.requests == []


def test_the_process_that_submits_imports_only_what_it_uses(api: ApiServer) -> None:
    api.respond_to("POST /jobs", reply({"id": "j-1"}))
    api.respond_to("GET /jobs/j-1", reply({"status": "running"}))
    modules = run_process(api, None)
    assert "airflow_provider_asyncapi.triggers.asyncapi" in modules
    assert UNUSED_BY_SUBMIT & modules == set()


def test_the_process_that_fetches_imports_only_what_it_uses(api: ApiServer) -> None:
    api.respond_to("GET /jobs/j-1/rows", reply([{"id": 1}]))
    modules = run_process(api, success())
    assert "airflow_provider_asyncapi.results.fetching" in modules
    assert UNUSED_BY_FETCH & modules == set()


@pytest.mark.usefixtures("connection", "run_outside_of_airflow")
def test_a_job_costs_only_the_requests_to_airflow_that_somebody_needs(api: ApiServer) -> None:
    api.respond_to("POST /jobs", reply({"id": "j-1"}))
    api.respond_to("GET /jobs/j-1", reply({"status": "running"}))
    api.respond_to("GET /jobs/j-1/rows", reply([{"id": 1}]))
    store, begin, end = CountingStore(), CountingTI(), CountingTI()
    first, second = (AsyncApiJobOperator(task_id="job", deferrable=True, **STAGES) for _ in range(2))
    with pytest.raises(TaskDeferred):
        first.execute(context_of(begin, task_state_store=store))
    # Once before the request and once after it, so that a killed task knows whether there may be a job.
    assert store.requests.count("set asyncapi_submission") == 2
    assert len(store.requests) == 3
    # Each once, after the first poll; what that has found is part of the summary of the wait.
    assert begin.pushed == ["job", "job_wait"]
    assert begin.xcoms["job_wait"].keys() >= {"poll", "history"}
    second.execute_complete(context_of(end, task_state_store=store), success())
    assert len(store.requests) == 3
    assert end.pushed == ["job"]


@pytest.mark.usefixtures("connection", "run_outside_of_airflow")
@pytest.mark.parametrize("job_url", [None, "https://vendor.example/{identifier}"])
def test_a_wait_that_resumes_does_not_look_up_the_connection_again(
    api: ApiServer, job_url: str | None, supervisor: Supervisor
) -> None:
    api.respond_to("GET /jobs/j-1", reply({"status": "running"}))
    begin, end = CountingTI(), CountingTI()
    first, second = (
        AsyncApiSensor(task_id="wait", job="j-1", deferrable=True, job_url=job_url, **STAGES["status"])
        for _ in range(2)
    )
    with pytest.raises(TaskDeferred) as deferral:
        first.execute(context_of(begin, task_state_store=Store()))
    supervisor.connections.clear()
    arguments = {**(deferral.value.kwargs or {}), "event": success()}
    assert second.resume_execution("execute_complete", arguments, context_of(end)) == "j-1"
    assert end.pushed == (["job"] if job_url is None else ["job", "job_url"])


@pytest.mark.usefixtures("connection", "run_outside_of_airflow")
def test_a_job_without_a_fetch_that_resumes_does_not_look_up_the_connection_again(
    api: ApiServer, supervisor: Supervisor
) -> None:
    api.respond_to("POST /jobs", reply({"id": "j-1"}))
    api.respond_to("GET /jobs/j-1", reply({"status": "running"}))
    stages = {name: STAGES[name] for name in ("submit", "status")}
    first, second = (AsyncApiJobOperator(task_id="job", deferrable=True, **stages) for _ in range(2))
    with pytest.raises(TaskDeferred) as deferral:
        first.execute(context_of(CountingTI(), task_state_store=Store()))
    supervisor.connections.clear()
    arguments = {**(deferral.value.kwargs or {}), "event": success()}
    assert second.resume_execution("execute_complete", arguments, context_of(CountingTI())) == "j-1"


@pytest.mark.usefixtures("connection", "run_outside_of_airflow")
@pytest.mark.parametrize(("failing", "pushed"), [(True, {"job", "job_wait", "job_poll"}), (False, {"job", "job_wait"})])
def test_a_wait_pushes_its_job_even_if_its_first_poll_fails_or_comes_later(
    api: ApiServer, *, failing: bool, pushed: set[str]
) -> None:
    api.respond_to("GET /jobs/j-1", reply(status=401))
    delay = None if failing else 600
    task = AsyncApiSensor(task_id="wait", job="j-1", deferrable=True, initial_delay=delay, **STAGES["status"])
    ti = CountingTI()
    with pytest.raises(AsyncApiUnauthorized if failing else TaskDeferred):
        task.execute(context_of(ti, task_state_store=Store()))
    assert set(ti.pushed) == pushed
    assert ti.xcoms["job"]["identifier"] == "j-1"


@pytest.mark.usefixtures("connection", "run_outside_of_airflow")
@pytest.mark.parametrize(("job_url", "links"), [(None, 0), ("https://vendor.example/{identifier}", 1)])
def test_airflow_pushes_a_link_only_if_the_job_has_a_page(api: ApiServer, job_url: str | None, links: int) -> None:
    api.respond_to("GET /jobs/j-1/rows", reply([{"id": 1}]))
    task = AsyncApiJobOperator(task_id="job", deferrable=True, job_url=job_url, **STAGES)
    task.execute_complete(context_of(TI()), success())
    assert len(task.operator_extra_links) == links
