from __future__ import annotations

import contextlib
import json
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI

from airflow_provider_asyncapi.plugins import callbacks, connections, receipts, stored_callbacks
from airflow_provider_asyncapi.plugins.app import make_app
from tests.unit.plugins.receiver.callers import LIMIT, Database


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that stores the connection with settings for callbacks."""

    def store(callback: Any = None, secret: Any = None, name: str = "VENDOR") -> None:
        extra = {"callback": callback, "callback_secret": secret}
        stored = {"conn_type": "asyncapi", "host": "https://api.example.com", "extra": extra}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(stored))

    store()
    return store


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch, connected: Any) -> Database:
    database = Database()
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__CALLBACK_MAX_BYTES", str(LIMIT))
    monkeypatch.setattr(receipts, "callback_connections", connections.CallbackConnections())
    monkeypatch.setattr(receipts, "create_session", lambda: contextlib.nullcontext(database))
    monkeypatch.setattr(receipts, "find_job", database.find_job)
    monkeypatch.setattr(stored_callbacks, "load_job", lambda _session, _task: database.job)
    monkeypatch.setattr(stored_callbacks, "add_callback", database.added)
    monkeypatch.setattr(stored_callbacks, "resume_tasks", database.resume)
    return database


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what is logged of refusals, each of them."""
    lines: list[str] = []
    log = SimpleNamespace(warning=lambda text, *values: lines.append(text % values))
    monkeypatch.setattr(callbacks, "log", log)
    monkeypatch.setattr(callbacks, "refusal_log", callbacks.RefusalLog(iter(range(0, 10**6, 100)).__next__))
    return lines


@pytest.fixture
def root() -> FastAPI:
    """Mount the application as Airflow does."""
    app = FastAPI()
    app.mount("/asyncapi", make_app())
    return app
