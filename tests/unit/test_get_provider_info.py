from __future__ import annotations

import importlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import airflow_provider_asyncapi
from airflow_provider_asyncapi.connections import form as connection_form
from airflow_provider_asyncapi.core.auth.registry import collect_extra_keys
from airflow_provider_asyncapi.get_provider_info import get_provider_info
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook

ROOT = Path(__file__).parents[2]


def test_airflow_accepts_it() -> None:
    import airflow
    import jsonschema

    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)
    json.dumps(get_provider_info())


def test_all_that_it_names_is_there() -> None:
    info = get_provider_info()
    paths = [*info["extra-links"], *(kind["hook-class-name"] for kind in info["connection-types"])]
    for path in paths:
        module, _, name = path.rpartition(".")
        assert getattr(importlib.import_module(module), name).__module__ == module
    names = {integration["integration-name"] for integration in info["integrations"]}
    for kind in ("operators", "sensors", "hooks", "triggers"):
        for entry in info[kind]:
            assert entry["integration-name"] in names
            for module in entry["python-modules"]:
                importlib.import_module(module)
    assert info["versions"] == [airflow_provider_asyncapi.__version__]


def test_the_connection_form_has_each_key_of_the_extra() -> None:
    assert set(connection_form.make_form_fields()) == collect_extra_keys()


@pytest.fixture
def manager() -> Any:
    try:
        from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime
    except ImportError:  # up to Airflow 3.1 there is one for all
        from airflow.providers_manager import ProvidersManager

        return ProvidersManager()
    return ProvidersManagerTaskRuntime()


def test_airflow_lists_the_provider() -> None:
    from airflow.providers_manager import ProvidersManager

    provider = ProvidersManager().providers["airflow-provider-asyncapi"]
    assert provider.version == airflow_provider_asyncapi.__version__
    assert provider.data["name"] == get_provider_info()["name"]


def test_airflow_knows_the_hook_by_the_connection_type(manager: Any) -> None:
    hook = manager.hooks["asyncapi"]
    assert hook.hook_class_name == "airflow_provider_asyncapi.hooks.asyncapi.AsyncApiHook"
    assert hook.hook_name == connection_form.HOOK_NAME
    assert hook.connection_id_attribute_name == "asyncapi_conn_id"
    assert hook.connection_testable


def test_airflow_shows_all_fields_of_the_connection_without_the_hook() -> None:
    import airflow
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    shown = {name.split("__")[-1] for name in manager.connection_form_widgets if "__asyncapi__" in name}
    # Before Airflow 3.2 the hook says what the fields are, and it can do so only where wtforms is installed.
    assert shown == (set() if airflow.__version__ < "3.2" else set(connection_form.make_form_fields()))


def test_the_hook_makes_the_same_fields_for_airflow_3_1(monkeypatch: pytest.MonkeyPatch) -> None:
    def kind(name: str) -> Any:
        return lambda label, **given: (name, label, given)

    stand_in, validators = ModuleType("wtforms"), ModuleType("wtforms.validators")
    for name in ("BooleanField", "PasswordField", "StringField"):
        setattr(stand_in, name, kind(name))
    validators.any_of = list  # type: ignore[attr-defined]  # replaced for the test
    monkeypatch.setitem(sys.modules, "wtforms", stand_in)
    monkeypatch.setitem(sys.modules, "wtforms.validators", validators)
    made = AsyncApiHook.get_connection_form_widgets()
    assert set(made) == set(connection_form.make_form_fields())
    assert {name: made[name][0] for name in ("verify", "proxy", "headers")} == {
        "verify": "BooleanField",
        "proxy": "PasswordField",
        "headers": "StringField",
    }
    assert set(AsyncApiHook.get_ui_field_behaviour()) == {"hidden_fields", "relabeling", "placeholders"}


def test_airflow_loads_the_link_and_the_option() -> None:
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    assert "airflow_provider_asyncapi.links.asyncapi.RemoteJobLink" in manager.extra_links_class_names
    options = dict(manager.provider_configs)["airflow-provider-asyncapi"]["asyncapi"]["options"]
    assert {"profiles_folder", "callback_base_url", "callback_max_bytes", "callback_folder"} <= set(options)


def test_the_wheel_holds_what_is_needed_and_no_more(tmp_path: Path) -> None:
    # As `make build` does; what it takes is there since the environment of this test was set up.
    script = (
        "tools=$1 out=$2; source scripts/uv-settings.sh\n"
        'build() { "$tools/bin/uv" build --quiet --wheel --out-dir "$out" "$@" .; }\n'
        "build --offline || build"
    )
    command = ["bash", "-euc", script, "build", str(ROOT / ".venv-tools"), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        points = next(name for name in names if name.endswith("entry_points.txt"))
        named = archive.read(points).decode()
        assert "get_provider_info:get_provider_info" in named
        assert "plugins.asyncapi:AsyncApiPlugin" in named
    package = {name for name in names if ".dist-info/" not in name}
    assert all(name.startswith("airflow_provider_asyncapi/") for name in package)
    assert not [name for name in names if "/test_" in name or "__pycache__" in name]
    assert {f"airflow_provider_asyncapi/{name}" for name in ("py.typed", "plugins/static/jobs.js")} <= names
    shipped = {str(path.relative_to(ROOT)) for path in (ROOT / "airflow_provider_asyncapi/profiles").rglob("*.toml")}
    assert shipped
    assert shipped <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
