from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import conf

from airflow_provider_asyncapi.airflow_private import versions
from airflow_provider_asyncapi.plugins.asyncapi import AsyncApiPlugin


@pytest.fixture
def newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "HAS_PLUGIN_PAGES", True)


def test_airflow_finds_the_plugin() -> None:
    (point,) = [each for each in entry_points(group="airflow.plugins") if each.name == "asyncapi"]
    assert point.load() is AsyncApiPlugin


def test_the_page_is_in_the_navigation_and_a_tab_of_dags_and_tasks(newest: None) -> None:
    apps = AsyncApiPlugin().react_apps
    assert [(app["destination"], app["url_route"]) for app in apps] == [
        ("nav", "async-api-jobs"),
        ("dag", "async-api-jobs-dag"),
        ("task_instance", "async-api-jobs-task_instance"),
    ]
    # Airflow looks for the component under the app's name; the script gives it one.
    assert {app["name"] for app in apps} == {"Async API jobs"}
    assert {app["bundle_url"] for app in apps} == {"/asyncapi/static/jobs.js"}


def test_the_script_is_found_below_the_path_that_airflow_is_served_at(
    newest: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def base_url(section: str, key: str, **_: Any) -> str:
        assert (section, key) == ("api", "base_url")
        return "https://example.com/team/airflow/"

    monkeypatch.setattr(conf, "get", base_url)
    assert AsyncApiPlugin().react_apps[0]["bundle_url"] == "/team/airflow/asyncapi/static/jobs.js"


def test_airflow_3_1_gets_no_page_and_is_told_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("airflow_provider_asyncapi.plugins.asyncapi.versions.HAS_PLUGIN_PAGES", False)
    plugin = AsyncApiPlugin()
    with caplog.at_level("INFO"):
        assert plugin.react_apps == plugin.react_apps == []
    assert [record.message for record in caplog.records] == ["The page Async API jobs needs Airflow 3.2 or newer"]


@pytest.mark.any_python
def test_the_application_is_made_once_and_only_when_it_is_asked_for() -> None:
    script = (
        "import sys, airflow_provider_asyncapi.plugins.asyncapi as module; plugin = module.AsyncApiPlugin()\n"
        # FastAPI itself is imported by Airflow 3.1 where its class of plugins is.
        "made = 'airflow_provider_asyncapi.plugins.app'; plugin.react_apps; assert made not in sys.modules\n"
        "(app,) = plugin.fastapi_apps; assert app['url_prefix'] == '/asyncapi' and made in sys.modules\n"
        "assert plugin.fastapi_apps[0] is app"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
