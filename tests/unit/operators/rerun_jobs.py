"""Jobs that are run again after a failure."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from airflow_provider_asyncapi.tasks import next_job as resubmit_module
from tests.unit.fake_airflow import STATUS, TI, ApiServer, OwnTI, Store, context_of, reply
from tests.unit.task_tries import run_try

POST = "POST /jobs"
RUNNING, DONE = reply({"status": "running"}), reply({"status": "done"})
FAILED = reply({"status": "failed", "error": {"message": "out of memory"}})


def make(mode: str = "poke", *, status: dict[str, Any] | None = None, **given: Any) -> AsyncApiJobOperator:
    submit = {
        "endpoint": "/jobs",
        "identifier": "id",
        "headers": {"Idempotency-Key": "{idempotency_key}"},
        **given.pop("submit", {}),
    }
    with DAG("dag", schedule=None):
        return AsyncApiJobOperator(
            task_id="wait", deferrable=mode == "deferred", submit=submit, status={**STATUS, **(status or {})}, **given
        )


def run(mode: str, ti: TI, store: Store | None, **given: Any) -> Any:
    """Run one try of the task, with as many deferrals as it needs; each process has a task of its own."""
    more: dict[str, Any] = {} if store is None else {"task_state_store": store}
    return run_try(lambda: make(mode, **given), lambda: context_of(ti, **more))


def jobs(api: ApiServer, *polls: Any) -> None:
    """Answer each submit with a new job, its first poll with "running", and its second with the end of the job."""
    numbers = range(1, len(polls) + 1)
    api.respond_to(POST, *(reply({"id": f"j-{number}"}) for number in numbers))
    for number, poll in zip(numbers, polls, strict=True):
        api.respond_to(f"GET /jobs/j-{number}", RUNNING, poll)


def kill_at(monkeypatch: pytest.MonkeyPatch, function: str, store: Store, **given: Any) -> None:
    """Run a task whose process ends when it calls a function."""

    def kill(*_: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(resubmit_module, function, kill)
        with pytest.raises(SystemExit):
            run("poke", OwnTI(), store, **{"resubmit": 1, **given})


def keys(api: ApiServer) -> list[str]:
    return [each.headers["Idempotency-Key"] for each in api.requests if each.method == "POST"]
