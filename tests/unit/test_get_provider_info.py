from __future__ import annotations

import importlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import airflow
import pytest

import airflow_provider_asyncapi
from airflow_provider_asyncapi.connections import form as connection_form
from airflow_provider_asyncapi.connections.profiles import find_profile_files
from airflow_provider_asyncapi.core.auth.registry import collect_extra_keys
from airflow_provider_asyncapi.get_provider_info import get_provider_info
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook

ROOT = Path(__file__).parents[2]


def test_airflow_accepts_it() -> None:
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


def test_it_imports_little_since_each_process_of_airflow_asks_for_it() -> None:
    code = (
        "import sys\n"
        "from airflow_provider_asyncapi.get_provider_info import get_provider_info\n"
        "assert get_provider_info()['connection-types'][0]['conn-fields']['auth']\n"
        "print(*(name for name in sys.modules if name.startswith('airflow_provider_asyncapi.core.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    names = ["entry_points", "lazy"]
    assert sorted(done.stdout.split()) == [f"airflow_provider_asyncapi.core.{name}" for name in names]


def test_the_connection_form_has_each_key_of_the_extra() -> None:
    assert set(connection_form.make_form_fields()) == collect_extra_keys()


def test_the_connection_form_suggests_the_shipped_profiles_and_takes_others() -> None:
    schema = connection_form.make_form_fields()["profile"]["schema"]
    assert "enum" not in schema
    assert {"http_202", "google/operations"} <= set(schema["examples"])
    assert set(schema["examples"]) == set(find_profile_files())


def test_the_connection_form_shows_the_meaning_of_a_choice_with_its_value() -> None:
    schema = connection_form.make_form_fields()["client_auth"]["schema"]
    assert schema["enum"] == list(schema["values_display"])
    assert schema["values_display"]["basic"] == "basic: id and secret in a header"


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


#: Prints the form that the API server of Airflow 3.1 makes, with stand-ins for the package that it needs for this.
FORM_OF_AIRFLOW_3_1 = """
import json, sys, types
names = ("StringField", "IntegerField", "PasswordField", "BooleanField", "Optional", "any_of")
for module in ("wtforms", "wtforms.fields", "wtforms.fields.simple", "wtforms.validators"):
    sys.modules[module] = types.ModuleType(module)
    vars(sys.modules[module]).update(dict.fromkeys(names))
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
(form,) = (each for each in HookMetaService.hook_meta_data() if each.connection_type == "asyncapi")
print(json.dumps(form.extra_fields))
"""


@pytest.mark.skipif(airflow.__version__ >= "3.2", reason="Airflow 3.2 and newer read the provider info")
def test_airflow_3_1_shows_the_form_with_its_sections_if_wtforms_is_installed() -> None:
    done = subprocess.run([sys.executable, "-c", FORM_OF_AIRFLOW_3_1], check=True, capture_output=True, text=True)
    shown = json.loads(done.stdout.splitlines()[-1])
    assert {name: field["schema"] for name, field in shown.items()} == {
        name: {"title": field["label"], **field["schema"]} for name, field in connection_form.make_form_fields().items()
    }


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
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
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
    modules = (path.name for path in (ROOT / "airflow_provider_asyncapi/plugins/static").iterdir())
    data = ("py.typed", "connections/form_fields.json", *(f"plugins/static/{name}" for name in modules))
    assert {f"airflow_provider_asyncapi/{name}" for name in data} <= names
    shipped = {str(path.relative_to(ROOT)) for path in (ROOT / "airflow_provider_asyncapi/profiles").rglob("*.toml")}
    assert shipped
    assert shipped <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
