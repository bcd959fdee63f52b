"""`doctor` says what is missing in an installation."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import metadata
from typing import Any

import pytest
from airflow.models.connection import Connection

from airflow_provider_asyncapi.airflow_private import health
from airflow_provider_asyncapi.airflow_private.versions import HAS_PLUGIN_PAGES
from tests.unit.fake_airflow import ApiServer, reply
from tests.unit.plugins.airflow_database import open_database

HEALTHY = {"metadatabase": "healthy", "scheduler": "healthy", "triggerer": "healthy"}


@pytest.fixture
def installation(monkeypatch: pytest.MonkeyPatch, api: ApiServer, connect: Callable[..., None]) -> dict[str, Any]:
    """Have an installation without problems; a test changes the health and the ids of connections."""
    state: dict[str, Any] = {"health": HEALTHY, "ids": ["acme"]}

    def give(name: str) -> Any:
        value = state[name]
        if isinstance(value, Exception):
            raise value
        return value

    monkeypatch.setattr(health, "read_health", lambda: give("health"))
    monkeypatch.setattr(health, "list_connection_ids", lambda _conn_type: [*give("ids")])
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", f"{api.url}/airflow/")
    api.respond_to("GET /airflow/asyncapi/static/jobs.js", reply(b"//"))
    connect("acme", extra={"test_endpoint": "/me"})
    api.respond_to("GET /me", reply({"name": "me"}))
    return state


@pytest.fixture
def examine(shell: Any) -> Callable[[], tuple[int, dict[str, dict[str, str]]]]:
    def run() -> tuple[int, dict[str, dict[str, str]]]:
        done = shell("doctor", "--json")
        return done.code, {each["check"]: each for each in done.json}

    return run


@pytest.mark.usefixtures("installation")
def test_an_installation_without_problems_is_exit_code_0(shell: Any, examine: Any) -> None:
    code, found = examine()
    assert code == 0
    page = "ok" if HAS_PLUGIN_PAGES else "warning"
    assert {check: each["state"] for check, each in found.items()} == {
        "versions": "ok",
        "database": "ok",
        "triggerer": "ok",
        "default_deferrable": "ok",
        "plugin": page,
        "callbacks": "ok",
        "profiles": "ok",
        "connection acme": "ok",
    }
    lines = shell("doctor").out.splitlines()
    assert lines[0].startswith("ok       versions: provider 0.1.0, Airflow 3.")


@pytest.mark.parametrize(
    ("processes", "check", "found"),
    [
        ({**HEALTHY, "triggerer": None}, "triggerer", "there has never been one"),
        ({**HEALTHY, "triggerer": "unhealthy"}, "triggerer", "none has sent a heartbeat lately"),
        ({**HEALTHY, "metadatabase": "unhealthy"}, "database", "it can't be read"),
        (RuntimeError("no such table"), "database", "it can't be read"),
    ],
)
def test_a_missing_process_is_a_problem_with_advice(
    installation: dict[str, Any], shell: Any, examine: Any, processes: Any, check: str, found: str
) -> None:
    installation["health"] = processes
    code, findings = examine()
    assert code == 1
    assert (findings[check]["state"], findings[check]["found"]) == ("problem", found)
    done = shell("doctor")
    assert f"problem  {check}: {found}\n         {findings[check]['advice']}\n" in done.out


@pytest.mark.usefixtures("installation")
def test_waiting_on_workers_is_a_warning(monkeypatch: pytest.MonkeyPatch, examine: Any) -> None:
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "False")
    code, found = examine()
    assert (code, found["default_deferrable"]["state"]) == (0, "warning")
    assert "deferrable=True" in found["default_deferrable"]["advice"]


@pytest.mark.usefixtures("installation")
def test_a_plugin_that_is_not_installed_is_a_problem(monkeypatch: pytest.MonkeyPatch, examine: Any) -> None:
    installed = metadata.entry_points

    def without_plugins(**chosen: str) -> Any:
        return () if chosen.get("group") == "airflow.plugins" else installed(**chosen)

    monkeypatch.setattr(metadata, "entry_points", without_plugins)
    code, found = examine()
    assert (code, found["plugin"]["state"]) == (1, "problem")


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize(
    ("base_url", "state", "said"),
    [
        ("", "warning", "set [asyncapi] callback_base_url"),
        ("http://127.0.0.1:9", "problem", "http://127.0.0.1:9 can't be reached from here: ConnectionError"),
        (None, "problem", "/other/asyncapi/static/jobs.js answered 404"),
    ],
)
def test_an_address_for_callbacks_that_does_not_work_is_named(
    monkeypatch: pytest.MonkeyPatch, api: ApiServer, examine: Any, base_url: str | None, state: str, said: str
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", f"{api.url}/other" if base_url is None else base_url)
    _, found = examine()
    assert found["callbacks"]["state"] == state
    assert said in found["callbacks"]["found"]


@pytest.mark.usefixtures("installation")
def test_mistakes_in_profiles_are_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Any, examine: Any) -> None:
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__PROFILES_FOLDER", str(tmp_path))
    (tmp_path / "mine.toml").write_text("[submitt]")
    assert examine()[1]["profiles"]["found"] == "there are mistakes in mine"
    (tmp_path / "mine.toml").write_bytes(b"\xff")
    assert "UTF-8" in examine()[1]["profiles"]["found"]
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__PROFILES_FOLDER", str(tmp_path / "none"))
    code, found = examine()
    assert code == 1
    assert "profiles_folder" in found["profiles"]["found"]


def test_each_connection_is_tested(
    installation: dict[str, Any], connect: Any, api: ApiServer, examine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation["ids"] = ["acme", "refused", "wrong", "missing"]
    connect("refused", extra={"test_endpoint": "/secret"}, login="me", password="s3cr3t-pass")
    connect("wrong", extra={"auth": "baerer"})
    api.respond_to("GET /secret", reply({"error": "no"}, 401))
    variable = json.dumps({"conn_type": "asyncapi", "host": api.url, "extra": {"test_endpoint": "/me"}})
    monkeypatch.setenv("AIRFLOW_CONN_FROM_ENV", variable)
    connect("from_env", extra={"test_endpoint": "/me"})
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", "http://example.com")
    connect("other", conn_type="http")
    code, found = examine()
    assert code == 1
    states = {check: each["state"] for check, each in found.items() if check.startswith("connection ")}
    assert states == {
        "connection acme": "ok",
        "connection refused": "problem",
        "connection wrong": "problem",
        "connection missing": "problem",
        "connection from_env": "ok",
    }
    assert "baerer" in found["connection wrong"]["found"]
    assert "s3cr3t" not in json.dumps(found)


def test_an_installation_without_connections_is_a_warning(installation: dict[str, Any], examine: Any) -> None:
    installation["ids"] = []
    assert examine()[1]["connections"]["state"] == "warning"
    installation["ids"] = RuntimeError("no such table")
    code, found = examine()
    assert (code, found["connections"]["found"]) == (1, "connections in the database can't be listed: RuntimeError")


def test_the_connections_of_a_type_are_read_from_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_database() as database:
        monkeypatch.setattr(health, "create_session", database.session)
        with database.session() as session:
            for conn_id, conn_type in (("b", "asyncapi"), ("a", "asyncapi"), ("c", "http")):
                session.add(Connection(conn_id=conn_id, conn_type=conn_type))
            session.commit()
        assert health.list_connection_ids("asyncapi") == ["a", "b"]


def test_airflow_reports_the_health_of_a_triggerer() -> None:
    """Airflow's own report has the names that the command looks at, whatever the state."""
    assert {"metadatabase", "triggerer"} <= set(health.read_health())
