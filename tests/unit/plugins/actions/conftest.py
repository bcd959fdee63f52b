from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.security import get_user
from fastapi.testclient import TestClient
from sqlalchemy import delete

from airflow_provider_asyncapi.airflow_private.database import (
    Log,
    TaskReschedule,
    Trigger,
)
from airflow_provider_asyncapi.plugins import actions, waiting_tasks
from airflow_provider_asyncapi.plugins import database as database_module
from airflow_provider_asyncapi.plugins.app import make_app
from tests.integration.ui.auth.restricted import RestrictedAuthManager
from tests.unit.plugins.actions.world import (
    OURS,
    Act,
    World,
    key_of,
)
from tests.unit.plugins.airflow_database import NOW, Database

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


@pytest.fixture
def world(database: Database, monkeypatch: pytest.MonkeyPatch) -> World:
    class Clock(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            return NOW

    with database.engine.begin() as connection:
        for model in (Log, TaskReschedule, Trigger):
            connection.execute(delete(model.__table__))
    world = World(database)

    @contextmanager
    def create_session() -> Iterator[Session]:
        with database.session() as session:
            yield session
            session.commit()

    monkeypatch.setattr(actions, "create_session", create_session)
    monkeypatch.setattr(actions, "datetime", Clock)
    monkeypatch.setattr(database_module, "get_auth_manager", RestrictedAuthManager)

    def mark(session: Session, dag_bag: Any, user: Any, task: dict[str, Any]) -> None:
        world.marked.append(task)

    def clear(session: Session, dag_bag: Any, user: Any, task: dict[str, Any]) -> int:
        world.cleared.append(task)
        return 1 + world.downstream

    monkeypatch.setattr(waiting_tasks, "mark_failed", mark)
    monkeypatch.setattr(waiting_tasks, "clear_with_downstream", clear)
    return world


@pytest.fixture
def client() -> Callable[..., TestClient]:
    app = make_app()

    def opened(user: str | None = "admin", role: str = "admin") -> TestClient:
        app.dependency_overrides.clear()
        if user is not None:
            app.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username=user, role=role)
        return TestClient(app)

    return opened


@pytest.fixture
def act(client: Callable[..., TestClient]) -> Act:
    """Act on the job that is waited for, as somebody who may; give the result."""

    def acted(action: str, **other: Any) -> dict[str, Any]:
        answer = client().post("/actions", headers=OURS, json={"action": action, "jobs": [key_of(**other)]})
        assert answer.status_code == 200, answer.text
        (result,) = answer.json()["results"]
        return dict(result)

    return acted
