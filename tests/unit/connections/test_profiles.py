from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.sdk import DAG

import airflow_provider_asyncapi.profiles
from airflow_provider_asyncapi.connections import profiles
from airflow_provider_asyncapi.connections.profiles import find_profile_files, load_profile
from airflow_provider_asyncapi.core import entry_points
from airflow_provider_asyncapi.core.auth.registry import collect_extra_keys
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.parameter_names import RESULT_LIMITS
from airflow_provider_asyncapi.core.profiles.schema import profile_tables
from airflow_provider_asyncapi.exceptions import AsyncApiResultFailed
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from airflow_provider_asyncapi.results.limits import ResultLimits
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from airflow_provider_asyncapi.tasks.stages import SUBMIT
from tests.unit.fake_airflow import TI, ApiServer, context_of, reply
from tests.unit.installed_kinds import forget_entry_points, write_metadata

FOLDER = Path(airflow_provider_asyncapi.profiles.__file__).parent
SHIPPED = sorted(str(path.relative_to(FOLDER))[: -len(".toml")] for path in FOLDER.rglob("*.toml"))
MARKS = ("D", "C", "A")


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    profiles._load_cached.cache_clear()
    forget_entry_points()
    yield
    profiles._load_cached.cache_clear()
    forget_entry_points()


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
    # An earlier test may have imported its own package of this name.
    monkeypatch.delitem(sys.modules, "vendor_profiles", raising=False)
    write_metadata(path.parent, "vendor_profiles", profiles.ENTRY_POINTS, "vendor", "vendor_profiles")
    return path


def write(folder: Path, name: str, text: str) -> None:
    file = folder / f"{name}.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)


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


def test_the_nearest_name_is_asked_about() -> None:
    with pytest.raises(ConfigurationError, match=r"'dbt/job_run' \(did you mean 'dbt/job_runs'\?\); known are"):
        load_profile("dbt/job_run")


@pytest.mark.parametrize("name", ["", "../celigo", "a/b/c", "a/../b", "/a", "a/", "a.b", ".hidden", "celigo.toml"])
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
        (
            '[status]\ncompletion = "a"',
            r"unknown key 'completion' \(did you mean 'completion_key'\?\) in \[status\]; known are",
        ),
        ('[connection]\nprofile = "other"', "unknown key 'profile'"),
        ('[cancel]\nidentifier = "a"', "unknown key 'identifier'"),
        ("extends = 5", "extends: has to be the name of another profile"),
        ('extends = "../celigo"', "extends: has to be the name of another profile"),
        ('extends = "no_such"', r"extends: there is no profile 'no_such'; known are .*celigo.*mine"),
        ('extends = "mine"', "extends: there is no other profile 'mine'"),
    ],
)
def test_a_malformed_one_is_an_error_with_its_name(folder: Path, text: str | bytes, said: str) -> None:
    (folder / "mine.toml").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigurationError, match=said) as caught:
        load_profile("mine")
    assert "'mine'" in str(caught.value)


def test_a_profile_of_a_folder_has_the_names_of_both(folder: Path, package: Path) -> None:
    write(folder, "acme/jobs", '[submit]\nidentifier = "own"')
    write(package, "acme/jobs", '[submit]\nidentifier = "package"')
    write(package, "acme/queries", "")
    assert load_profile("acme/jobs")["submit"]["identifier"] == "own"
    assert {"acme/jobs", "acme/queries", "celigo"} <= set(find_profile_files())
    with pytest.raises(ConfigurationError, match=r"no profile 'acme' .*known are .*acme/jobs, acme/queries"):
        load_profile("acme")


def test_a_profile_inherits_what_it_leaves_out(folder: Path) -> None:
    write(
        folder,
        "base",
        """
        about = { title = "Base", documentation = "https://docs.example.com" }
        connection = { auth = "bearer", headers = { X-Version = "1", X-Base = "b" } }
        submit = { endpoint = "/jobs", json = { kind = "base" }, identifier = "id", variables = { region = "eu" } }
        status = { endpoint = "/jobs/{identifier}", completion_key = "state", completion_value = "done", timeout = 60 }
        cancel = { endpoint = "/jobs/{identifier}" }
        """,
    )
    write(
        folder,
        "acme/jobs",
        """
        extends = "base"
        about = { title = "Acme" }
        connection = { headers = { X-Version = "2" } }
        submit = { xml = "<job/>", variables = { size = 5 } }
        status = { completion_value = ["done", "ok"] }
        """,
    )
    write(folder, "acme/short_jobs", 'extends = "acme/jobs"\n[status]\ntimeout = 5')
    profile = load_profile("acme/short_jobs")
    assert profile["about"] == {"title": "Acme", "documentation": "https://docs.example.com"}
    assert profile["connection"] == {"auth": "bearer", "headers": {"X-Version": "2", "X-Base": "b"}}
    assert profile["submit"] == {
        "endpoint": "/jobs",
        "xml": "<job/>",
        "identifier": "id",
        "variables": {"region": "eu", "size": 5},
    }
    assert (profile["status"]["completion_value"], profile["status"]["timeout"]) == (["done", "ok"], 5)
    assert profile["cancel"] == {"endpoint": "/jobs/{identifier}"}
    assert load_profile("base")["status"]["timeout"] == 60


def test_a_mistake_in_what_is_inherited_names_the_profile_that_has_it(folder: Path) -> None:
    write(folder, "base", "[status]\ncompletion = 5")
    write(folder, "mine", 'extends = "base"')
    with pytest.raises(ConfigurationError, match="profile 'base': unknown key 'completion'"):
        load_profile("mine")


def test_profiles_that_extend_each_other_are_an_error_that_shows_the_circle(folder: Path) -> None:
    write(folder, "a", 'extends = "b"')
    write(folder, "b", 'extends = "a"')
    with pytest.raises(ConfigurationError, match="profile 'a': extends: is a circle: a → b → a"):
        load_profile("a")


def test_an_own_profile_extends_the_shipped_one_of_its_name(folder: Path) -> None:
    write(folder, "celigo", 'extends = "celigo"\n[status]\npoke_interval = 5')
    profile = load_profile("celigo")
    assert (profile["status"]["poke_interval"], profile["submit"]["identifier"]) == (5, "_jobId")


def test_a_folder_that_is_not_there_is_an_error_with_the_options_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__PROFILES_FOLDER", "/no/such/folder")
    with pytest.raises(ConfigurationError, match="profiles_folder"):
        load_profile("celigo")


def test_a_package_that_cannot_be_imported_is_an_error_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    write_metadata(tmp_path, "no_such_package", profiles.ENTRY_POINTS, "vendor", "no_such_package")
    with pytest.raises(ConfigurationError, match="no_such_package"):
        load_profile("celigo")


def test_the_installed_packages_are_searched_once_for_all_profiles() -> None:
    for name in SHIPPED:
        load_profile(name)
    assert entry_points.find_entry_points.cache_info().misses == 1


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


# Those of vendors are run by tests/unit/vendors.
@pytest.mark.parametrize("name", [name for name in SHIPPED if "/" not in name])
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


def test_the_timeout_of_a_wait_is_the_dags_and_else_the_profiles(folder: Path, connect: Any) -> None:
    write(folder, "slow", "[status]\ntimeout = 90000\n[fetch]\nmax_xcom_bytes = 10\nunpack = false")
    given: dict[str, Any] = {"job": "j", "endpoint": "/x", "completion_key": "s", "completion_value": "done"}
    waits = {
        90000: AsyncApiSensor(task_id="a", profile="slow", **given),
        5: AsyncApiSensor(task_id="b", profile="slow", timeout=5, **given),
        604800: AsyncApiSensor(task_id="c", **given),
    }
    for expected, wait in waits.items():
        for each in (wait, wait.prepare_for_execution()):
            assert each.effective_timeout() == expected
    assert waits[604800].timeout == 604800
    connect(extra={"profile": "slow"})
    of_connection = AsyncApiSensor(task_id="d", **given)
    assert of_connection.effective_timeout() == 90000
    assert of_connection.effective_timeout(with_connection=False) == 604800


@pytest.mark.parametrize("timeout", ["'soon'", "-1"])
def test_a_timeout_of_a_profile_that_is_none_fails_when_the_dag_is_parsed(folder: Path, timeout: str) -> None:
    write(folder, "odd", f"[status]\ntimeout = {timeout}")
    given: dict[str, Any] = {"endpoint": "/x", "completion_key": "s", "completion_value": "done"}
    with pytest.raises(ConfigurationError, match="timeout: has to be a number of seconds"):
        AsyncApiSensor(task_id="a", job="j", profile="odd", **given)
    with pytest.raises(ConfigurationError, match="timeout: has to be a number of seconds"):
        AsyncApiJobOperator(task_id="b", profile="odd", submit={"endpoint": "/x", "identifier": "id"}, status=given)


def test_headers_of_the_connection_are_joined_with_those_of_its_profile(folder: Path, connect: Any) -> None:
    write(
        folder,
        "versioned",
        '[connection]\nheaders = { X-Version = "1", X-Beta = "a", X-Key = "p" }\nvariables = { region = "eu" }',
    )
    extra = {
        "profile": "versioned",
        "headers": {"x-version": "2"},
        "secret_headers": {"X-Key": "s3cret-key"},
        "variables": '{"size": 5}',
    }
    connect(extra=extra)
    settings = AsyncApiHook().api.settings
    assert settings.headers == {"x-version": "2", "X-Beta": "a", "X-Key": "s3cret-key"}
    assert settings.variables == {"connection.region": "eu", "connection.size": 5}


def test_each_table_may_have_what_its_task_takes() -> None:
    tasks = (
        AsyncApiTriggerOperator(task_id="a"),
        AsyncApiSensor(task_id="b", job="j"),
        AsyncApiFetchOperator(task_id="c", job="j"),
    )
    for task in tasks:
        assert set(task.stage.plan_type.parameters) - profile_tables()[task.stage.table] == set()
    assert {"timeout"} <= profile_tables()["status"]
    assert set(RESULT_LIMITS) == {each.name for each in fields(ResultLimits)}
    assert set(RESULT_LIMITS) <= profile_tables()["fetch"]


def test_the_limits_of_a_result_are_the_dags_and_else_the_profiles(
    folder: Path, api: ApiServer, run_outside_of_airflow: None
) -> None:
    write(folder, "small", '[fetch]\nendpoint = "/rows"\nmax_xcom_bytes = 10')
    api.respond_to("GET /rows", reply(["x" * 50]))
    with AsyncApiHook(profile="small") as hook:
        with pytest.raises(AsyncApiResultFailed, match="max_xcom_bytes"):
            hook.fetch_result("j")
        assert hook.fetch_result("j", max_xcom_bytes=100) == ["x" * 50]
    with pytest.raises(AsyncApiResultFailed, match="max_xcom_bytes"):
        AsyncApiFetchOperator(task_id="a", job="j", profile="small").execute(context_of(TI()))
    larger = AsyncApiFetchOperator(task_id="b", job="j", profile="small", max_xcom_bytes=100)
    assert larger.execute(context_of(TI())) == ["x" * 50]


@pytest.mark.parametrize(("given", "seconds"), [({}, 90000), ({"timeout": 5}, 5)])
def test_the_timeout_of_a_task_for_the_whole_job_is_the_dags_and_else_the_profiles(
    folder: Path, api: ApiServer, run_outside_of_airflow: None, given: dict[str, Any], seconds: float
) -> None:
    write(
        folder,
        "slow",
        '[submit]\nendpoint = "/jobs"\nidentifier = "id"\n'
        '[status]\nendpoint = "/jobs/{identifier}"\ncompletion_key = "s"\ncompletion_value = "ok"\ntimeout = 90000',
    )
    api.respond_to("POST /jobs", reply({"id": 7}))
    api.respond_to("GET /jobs/7", reply({"s": "busy"}))
    task = AsyncApiJobOperator(task_id="wait", profile="slow", status=given, deferrable=True)
    with pytest.raises(TaskDeferred) as deferral:
        task.execute(context_of(TI()))
    state = deferral.value.trigger.serialize()[1]["wait"]
    assert state["deadline"] - state["started_at"] == pytest.approx(seconds)
