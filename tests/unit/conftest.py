"""What tests of the operators, the sensor, the trigger and the hook have in common."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.fake_airflow import ApiServer, Supervisor


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name binary parameters by their argument: gzip and zip hold the time, and parallel workers need the same ids."""
    return argname if isinstance(val, bytes) and not val.isascii() else None


@pytest.fixture(autouse=True)
def _forget_masked_values() -> Iterator[None]:
    """Forget the secrets of earlier tests: Airflow compiles one regular expression of all secrets for each new one."""
    yield
    if masker := sys.modules.get("airflow.sdk._shared.secrets_masker"):
        masker.reset_secrets_masker()


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with ApiServer() as server:
        yield server


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    from airflow.sdk.execution_time import task_runner

    supervisor = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    return supervisor


@pytest.fixture
def connect(
    api: ApiServer, supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Store an Airflow connection to the server; called again, another one."""
    from airflow_provider_asyncapi.core.requests import schedule
    from airflow_provider_asyncapi.core.wait import poll_times
    from airflow_provider_asyncapi.tasks import job_wait
    from airflow_provider_asyncapi.triggers import asyncapi as triggers
    from airflow_provider_asyncapi.triggers import job_slots, xcom_publisher

    # There is no scheduler here that could mix up who has ended.
    for module in (job_slots, triggers):
        monkeypatch.setattr(module, "SHORTEST_DEFERRAL", 0.0)
    monkeypatch.setattr(job_wait, "SHORTEST_RESCHEDULE", 0.0)
    monkeypatch.setattr(triggers, "_CALLBACK_MARGIN", 0.05)
    # No API is harmed by polls that follow at once.
    for module in (schedule, poll_times):
        monkeypatch.setattr(module, "SHORTEST_WAIT", 0.01)
    # No API takes its time to stop a job here.
    monkeypatch.setattr("airflow_provider_asyncapi.core.jobs.cancel._PAUSES", (0.0,))
    # Nor are other triggers started here.
    monkeypatch.setattr(xcom_publisher, "_STARTUP_DELAY", 0.0)
    # How slowly a key is derived of the credentials matters to attackers only.
    monkeypatch.setattr("airflow_provider_asyncapi.connections.token_cipher._ITERATIONS", 1)
    # Where the host keeps login tokens: those of another test may be for a server that had the same port.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def store(conn_id: str = "asyncapi_default", *, extra: Any = None, **fields: Any) -> None:
        text = extra if extra is None or isinstance(extra, str) else json.dumps(extra)
        missing = dict.fromkeys(("schema", "login", "password", "port"))
        supervisor.connections[conn_id] = {
            **missing,
            "conn_type": "asyncapi",
            "host": api.url,
            "extra": text,
            **fields,
        }

    return store


@pytest.fixture
def connection(connect: Callable[..., None]) -> None:
    """Have a connection without credentials."""
    connect()


@pytest.fixture
def run_outside_of_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `execute` be called without Airflow's task runner."""
    from airflow.sdk.bases.operator import ExecutorSafeguard

    monkeypatch.setattr(ExecutorSafeguard, "test_mode", True)
