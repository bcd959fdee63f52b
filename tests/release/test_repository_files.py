"""What the forge and registries read of the repository."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_provider_asyncapi.get_provider_info import get_provider_info
from scripts.test_all import PYTHONS

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
SECTIONS = ("operators", "sensors", "hooks", "triggers")


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def find_jobs() -> list[tuple[str, dict[str, Any]]]:
    return [(f"{path.stem}.{name}", job) for path in WORKFLOWS for name, job in load(path)["jobs"].items()]


JOBS = find_jobs()


def test_the_registry_file_lists_what_dags_import(project: dict[str, Any]) -> None:
    registry = load(ROOT / ".airflow-registry.yaml")
    info = get_provider_info()
    assert registry["package-name"] == project["name"]
    assert registry["display-name"] == info["name"]
    assert registry["description"] == info["description"]
    assert registry["docs-url"] == project["urls"]["Documentation"]
    assert registry["source-url"] == project["urls"]["Source"]
    for section in SECTIONS:
        for entry in registry[section]:
            module, _, name = entry["module"].rpartition(".")
            found = getattr(importlib.import_module(module), name)
            assert found.__module__ == module
            assert entry["description"].endswith(".")
    # Those that the provider info names are all there; of the triggers only the one that a DAG file names.
    for section in ("operators", "sensors", "hooks"):
        modules = {module for entry in info[section] for module in entry["python-modules"]}
        classes = {
            f"{module}.{name}"
            for module in modules
            for name, value in inspect.getmembers(importlib.import_module(module), inspect.isclass)
            if value.__module__ == module and name.startswith("AsyncApi")
        }
        assert {entry["module"] for entry in registry[section]} == classes


def test_each_address_of_the_repository_is_the_one_in_pyproject(project: dict[str, Any]) -> None:
    source = project["urls"]["Source"].removeprefix("https://")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    address = re.compile(r"(?:https://)?((?:github\.com|raw\.githubusercontent\.com)/[\w.-]*asyncapi/[\w-]*)")
    others = {
        f"{name}: {match}"
        for name in filter(None, listed.split("\0"))
        if (ROOT / name).is_file() and (ROOT / name).suffix not in {".png", ".svg"}
        for match in address.findall((ROOT / name).read_text())
        if match.removeprefix("raw.githubusercontent.com") != source.removeprefix("github.com") and match != source
    }
    assert others == set()


def test_jactionlint_and_zizmor_find_nothing() -> None:
    command = [str(ROOT / "scripts/check-workflows"), str(Path(sys.executable).parent)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("spoiled", "told"),
    [
        ("    steps:\n      - run: echo ${{ github.event.pull_request.title }}\n", "potentially untrusted"),
        ("    steps:\n      - uses: actions/checkout@v7\n", "unpinned-uses"),
        ("    permissions: write-all\n    steps:\n      - run: make\n", "excessive-permissions"),
    ],
)
def test_the_checks_of_workflows_find_what_they_are_for(tmp_path: Path, spoiled: str, told: str) -> None:
    workflow = tmp_path / ".github/workflows/bad.yml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text(f"name: Bad\non: pull_request\njobs:\n  bad:\n    runs-on: ubuntu-24.04\n{spoiled}")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    command = [str(ROOT / "scripts/check-workflows"), str(Path(sys.executable).parent)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert told in done.stdout + done.stderr


@pytest.mark.parametrize(("name", "job"), JOBS, ids=[name for name, _ in JOBS])
def test_a_job_names_its_permissions_and_pins_its_actions(name: str, job: dict[str, Any]) -> None:
    allowed = {"id-token", "attestations"} if name == "release.publish" else set()
    permissions = job["permissions"]
    assert {kind for kind, level in permissions.items() if level == "write"} == allowed
    for step in job.get("steps", ()):
        assert "uses" not in step or PINNED.fullmatch(step["uses"])


def test_the_matrix_runs_each_suite_of_make_test_on_each_python_and_airflow() -> None:
    rows = load(ROOT / ".github/workflows/tests.yml")["jobs"]["suite"]["strategy"]["matrix"]["include"]
    targets = {row["target"] for row in rows}
    suites = set(re.findall(r'"(test-[\w.]+(?:-\w+)*)"', (ROOT / "scripts/test_all.py").read_text()))
    assert suites
    assert suites <= targets
    assert {f"test-python-{version}" for version in PYTHONS} <= targets
    known = re.findall(r"^([a-z0-9.%-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    patterns = [re.compile(re.escape(target).replace("%", ".+")) for target in known]
    assert [target for target in targets if not any(one.fullmatch(target) for one in patterns)] == []


def test_templates_ask_for_what_a_report_needs() -> None:
    forms = [path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml"]
    assert len(forms) == 2
    for path in forms:
        form = load(path)
        assert form["name"]
        assert form["description"]
        identifiers = [field["id"] for field in form["body"] if field["type"] != "markdown"]
        assert len(identifiers) == len(set(identifiers))
        assert any(field.get("validations", {}).get("required") for field in form["body"])
    for name in ("SECURITY.md", "CODE_OF_CONDUCT.md", ".github/pull_request_template.md"):
        assert (ROOT / name).read_text().strip()
