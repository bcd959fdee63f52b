from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.common.db.common import _get_session
from airflow.api_fastapi.core_api.security import get_user
from fastapi.testclient import TestClient

from airflow_provider_asyncapi.plugins import database as module
from airflow_provider_asyncapi.plugins.app import make_app
from tests.integration.ui.auth.restricted import RestrictedAuthManager
from tests.unit.plugins.airflow_database import NOW, Database, open_database


@pytest.fixture(scope="module")
def tables() -> Iterator[Database]:
    with open_database() as database:
        yield database


@pytest.fixture
def database(tables: Database) -> Database:
    """An empty database with Airflow's tables."""
    tables.clear()
    return tables


@pytest.fixture
def client_of(database: Database, monkeypatch: pytest.MonkeyPatch) -> Callable[..., TestClient]:
    app = make_app()

    def session() -> Iterator[Any]:
        with database.session() as opened:
            yield opened

    app.dependency_overrides[_get_session] = session
    monkeypatch.setattr(module, "get_auth_manager", RestrictedAuthManager)
    monkeypatch.setattr("airflow_provider_asyncapi.plugins.jobs.time.time", NOW.timestamp)

    def client(user: str | None = "admin", role: str = "viewer") -> TestClient:
        if user is not None:
            app.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username=user, role=role)
        return TestClient(app)

    return client
