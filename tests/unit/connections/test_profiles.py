from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

import airflow_provider_asyncapi.profiles
from airflow_provider_asyncapi.connections import profiles
from airflow_provider_asyncapi.connections.profiles import load_profile
from airflow_provider_asyncapi.core.auth.registry import collect_extra_keys
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.profiles.schema import profile_tables
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from airflow_provider_asyncapi.tasks.stages import SUBMIT

FOLDER = Path(airflow_provider_asyncapi.profiles.__file__).parent
SHIPPED = sorted(path.stem for path in FOLDER.glob("*.toml"))
MARKS = ("D", "C", "A")


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    profiles._load_cached.cache_clear()
    yield
    profiles._load_cached.cache_clear()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a folder of own profiles."""
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__PROFILES_FOLDER", str(tmp_path))
    return tmp_path


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have an installed package that brings profiles."""
    path = tmp_path / "site" / "vendor_profiles"
    path.mkdir(parents=True)
    (path / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(path.parent))
    point = metadata.EntryPoint("vendor", "vendor_profiles", profiles.ENTRY_POINTS)
    monkeypatch.setattr(metadata, "entry_points", lambda *, group: [point] if group == profiles.ENTRY_POINTS else [])
    return path


def write(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}.toml").write_text(text)


def test_the_shipped_ones_are_found() -> None:
    assert {"celigo", "cloud_elements", "http_202", "panoply", "phixflow", "vayana"} <= set(SHIPPED)
    assert load_profile("celigo")["submit"]["identifier"] == "_jobId"


def test_own_ones_come_before_those_of_a_package_and_those_before_the_shipped(folder: Path, package: Path) -> None:
    write(package, "celigo", '[submit]\nidentifier = "package"')
    write(package, "vendor", '[submit]\nidentifier = "package"')
    assert load_profile("celigo")["submit"]["identifier"] == "package"
    profiles._load_cached.cache_clear()
    write(folder, "celigo", '[submit]\nidentifier = "own"')
    assert load_profile("celigo")["submit"]["identifier"] == "own"
    assert load_profile("vendor")["submit"]["identifier"] == "package"
    assert load_profile("vayana")["submit"]["identifier"] == 'data."task-id"'


def test_one_that_nobody_has_is_an_error_that_lists_all(folder: Path, package: Path) -> None:
    write(folder, "mine", "")
    write(package, "vendor", "")
    with pytest.raises(ConfigurationError, match=r"no_such.*celigo.*mine.*vendor"):
        load_profile("no_such")


@pytest.mark.parametrize("name", ["", "../celigo", "a/b", "a.b", ".hidden", "celigo.toml"])
def test_a_name_cannot_lead_elsewhere(name: str) -> None:
    with pytest.raises(ConfigurationError, match="name"):
        load_profile(name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[submit", "'mine': isn't TOML"),
        (b"\xff\xfe", "'mine': isn't TOML"),
        ("[submitting]", "unknown table 'submitting'"),
        ("trigger = 5", "unknown table 'trigger'"),
        ("status = 5", "unknown table 'status'"),
        ('[fetch]\nparams = "zip"', r"\[fetch\] params: is called query_params here"),
        ('[status]\ncompletion = "a"', r"unknown key 'completion' in \[status\].*completion_key"),
        ('[connection]\nprofile = "other"', "unknown key 'profile'"),
        ('[cancel]\nidentifier = "a"', "unknown key 'identifier'"),
    ],
)
def test_a_malformed_one_is_an_error_with_its_name(folder: Path, text: str | bytes, said: str) -> None:
    (folder / "mine.toml").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigurationError, match=said) as caught:
        load_profile("mine")
    assert "'mine'" in str(caught.value)


def test_a_folder_that_is_not_there_is_an_error_with_the_options_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__PROFILES_FOLDER", "/no/such/folder")
    with pytest.raises(ConfigurationError, match="profiles_folder"):
        load_profile("celigo")


def test_a_package_that_cannot_be_imported_is_an_error_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    point = metadata.EntryPoint("vendor", "no_such_package", profiles.ENTRY_POINTS)
    monkeypatch.setattr(metadata, "entry_points", lambda *, group: [point])
    with pytest.raises(ConfigurationError, match="no_such_package"):
        load_profile("celigo")


def test_operators_fill_in_from_the_profile_what_the_dag_leaves_out() -> None:
    submit = AsyncApiTriggerOperator(task_id="submit", profile="celigo", identifier="other", variables={"flow": "f"})
    assert submit.effective_params(submit.stage)["identifier"] == "other"
    assert submit.effective_params(submit.stage)["method"] == "POST"
    cases: list[tuple[dict[str, Any], int]] = [({}, 30), ({"poke_interval": 60}, 60)]
    for given, interval in cases:
        wait = AsyncApiSensor(
            task_id="wait", profile="panoply", job="j", endpoint="/x", completion_value="done", **given
        )
        assert wait.effective_params(wait.stage)["poke_interval"] == interval
    fetch = AsyncApiFetchOperator(task_id="fetch", profile="vayana", job="j", destination="file:///x/")
    assert fetch.effective_params(fetch.stage)["output_type"] == "zip"


def test_the_profile_of_the_task_goes_before_that_of_the_connection(connect: Any) -> None:
    connect(extra={"profile": "http_202"})
    assert AsyncApiTriggerOperator(task_id="a").effective_params(SUBMIT)["identifier"][0] == "header:Location"
    both = AsyncApiTriggerOperator(task_id="b", profile="celigo", variables={"flow": "f"})
    assert both.effective_params(both.stage)["identifier"] == "_jobId"


@pytest.mark.parametrize("name", SHIPPED)
def test_each_shipped_profile_describes_what_can_be_run(name: str) -> None:
    profile = load_profile(name)
    assert profile["about"]["title"]
    assert set(profile["connection"]) <= collect_extra_keys()
    with DAG("dag", schedule=None):
        variables = dict.fromkeys(("flow", "app", "hub", "object", "query"), "x")
        submit = AsyncApiTriggerOperator(
            task_id="submit", profile=name, variables=variables, **NEEDED.get((name, "submit"), {})
        )
        wait = AsyncApiSensor(task_id="wait", job=submit.handle, profile=name, **NEEDED.get((name, "status"), {}))
        fetch = AsyncApiFetchOperator(task_id="fetch", job=wait.handle, profile=name, **NEEDED.get((name, "fetch"), {}))
    for task in (submit, wait, fetch):
        assert task.build_plan(task.stage)


#: What these leave to the author, for it is the author's API.
NEEDED: dict[tuple[str, str], dict[str, Any]] = {
    ("http_202", "submit"): {"endpoint": "/exports"},
    ("cloud_elements_async", "submit"): {"endpoint": "/hubs/crm/contacts"},
    ("panoply", "submit"): {"endpoint": "/exports"},
    ("vayana", "submit"): {"endpoint": "/download"},
    ("panoply", "status"): {"endpoint": "/exports/{identifier}", "completion_value": "done"},
    ("vayana", "fetch"): {"destination": "file:///x/"},
    ("panoply", "fetch"): {"endpoint": "/rows", "pages": 3, "query_params": {"page": "{page}"}},
}


@pytest.fixture(autouse=True)
def _a_connection(connection: None) -> None:
    """Let profiles be merged as on a worker."""


@pytest.mark.parametrize("name", SHIPPED)
def test_each_shipped_profile_says_where_it_has_its_knowledge_from(name: str) -> None:
    text = (FOLDER / f"{name}.toml").read_text()
    about = tomllib.loads(text)["about"]
    marks = [line for line in text.splitlines() if "#" in line and line.rpartition("#")[2].strip()[:1] in MARKS]
    assert about.get("documentation") or marks or "own documentation" in text


def test_each_table_may_have_what_its_task_takes() -> None:
    tasks = (
        AsyncApiTriggerOperator(task_id="a"),
        AsyncApiSensor(task_id="b", job="j"),
        AsyncApiFetchOperator(task_id="c", job="j"),
    )
    for task in tasks:
        assert set(task.stage.plan_type.parameters) - profile_tables()[task.stage.table] == set()
