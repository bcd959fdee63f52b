"""
An imported profile finds the rows that Airbyte's own CDK finds.

Both read from the same API: the CDK runs a manifest in an environment of its own, and `try` the profile that `import`
has made of it. Steps that the import has named as not carried over are done here.
"""

from __future__ import annotations

import csv
import json
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_asyncapi.cli.commands.registry import make_parser
from airflow_provider_asyncapi.importing.profile_toml import format_profile
from tests.airbyte.apis import CASES, Api, Case
from tests.loopback import Server

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
#: Seconds; a CDK that doesn't know a name polls for ever.
TIMEOUT = 120


@pytest.fixture(params=CASES, ids=lambda case: case.stream)
def case(request):
    return request.param


@pytest.fixture
def api():
    api = Api()
    server = Server(api.serve)
    api.url = server.url
    yield api
    server.close()


@pytest.fixture
def manifest(case, api, tmp_path):
    """Write the manifest with the address of the API in place of the vendor's."""
    api.answers.update(case.answers(api.url))
    if case.package is None:
        text = (HERE / "manifest.yaml").read_text()
    else:
        code = f"import importlib.util as u; print(u.find_spec({case.package!r}).submodule_search_locations[0])"
        text = (Path(run(python_of(case), "-c", code).strip()) / "manifest.yaml").read_text()
    for host in case.hosts:
        text = text.replace(host, api.url)
    file = tmp_path / "manifest.yaml"
    file.write_text(text)
    return file


def python_of(case: Case) -> Path:
    python = ROOT / case.environment / "bin" / "python"
    assert python.exists(), "`make test-airbyte` makes the environments of Airbyte's CDK"
    return python


def run(*words: object, folder: Path = ROOT) -> str:
    done = subprocess.run(
        list(map(str, words)), capture_output=True, text=True, timeout=TIMEOUT, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def read_with_cdk(case: Case, manifest: Path) -> list[dict[str, Any]]:
    words = (python_of(case), HERE / "read_stream.py", manifest, case.stream, json.dumps(case.config))
    # The CDK keeps what it downloads in the current folder.
    lines = run(*words, folder=manifest.parent).splitlines()
    return [json.loads(line.removeprefix("record ")) for line in lines if line.startswith("record ")]


def read_with_profile(case: Case, manifest: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> list[Any]:
    imported = call(capsys, "import", "airbyte", manifest, case.stream, "--output", folder, "--json")
    (profile,) = imported["profiles"]
    assert call(capsys, "profiles", "check", profile["file"], "--json") == []
    connection = fill_in(profile["connection"], case.config)
    if case.rotates:
        use_access_token(Path(profile["file"]), connection)
    is_archive = tomllib.loads(Path(profile["file"]).read_text())["fetch"].get("output_type") == "zip"
    variables = {**dict.fromkeys(profile["variables"], 1), **case.variables}
    tried = call(
        capsys,
        *("try", profile["file"], "--conn", json.dumps(connection), "--json"),
        *(word for name, value in variables.items() for word in ("--var", f"{name}={json.dumps(value)}")),
        *("--set", "status.poke_interval=0.1", "--destination", f"{folder}/result/"),
        # As a DAG does that wants the rows of all files in one; an archive is unpacked instead.
        *(() if is_archive else ("--set", "fetch.write_as=ndjson")),
    )
    rows: list[dict[str, Any]] = []
    for path in tried["result"]["paths"]:
        with Path(path.removeprefix("file://")).open(encoding="utf-8-sig", newline="") as file:
            rows += list(csv.DictReader(file)) if path.endswith(".csv") else read_json(file.read())
    return rows


def use_access_token(profile: Path, connection: dict[str, Any]) -> None:
    """Replace the authentication of a profile and its connection by an access token."""
    content = tomllib.loads(profile.read_text())
    assert content["connection"].pop("auth") == "oauth2_refresh"
    profile.write_text(format_profile({**content, "connection": {"auth": "bearer"}}))
    del connection["login"], connection["extra"]["refresh_token"]
    connection["password"] = "at"


def read_json(text: str) -> list[Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return [json.loads(line) for line in text.splitlines()]
    return found if isinstance(found, list) else [found]


def call(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    """Run a command of this package, and return the JSON that it prints."""
    capsys.readouterr()
    arguments = make_parser("asyncapi").parse_args(list(map(str, words)))
    with pytest.raises(SystemExit) as ended:
        arguments.func(arguments)
    out, err = capsys.readouterr()
    assert ended.value.code == 0, err
    return json.loads(out)


def fill_in(value: Any, config: Mapping[str, Any]) -> Any:
    """Replace each ``<name>`` of a connection by the value of the configuration, as a user does."""
    if isinstance(value, dict):
        return {key: fill_in(each, config) for key, each in value.items() if key != "profile"}
    for name, given in config.items():
        value = value.replace(f"<{name}>", str(given)) if isinstance(value, str) else value
    return value


def test_the_profile_finds_the_rows_of_the_cdk(case, api, manifest, tmp_path, capsys):
    expected = read_with_cdk(case, manifest)
    api.restart()
    found = read_with_profile(case, manifest, tmp_path, capsys)
    assert len(expected) > 1
    assert [case.carry_out(row) for row in found] == [
        {key: value for key, value in record.items() if key in case.carry_out(row)}
        for record, row in zip(expected, found, strict=True)
    ]
