"""
What a user has who installs the wheel: the five minutes of its own README work, in an environment with nothing else.

The commands of the README run as they are, in a shell; only the port of its server is another.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.airflow import RUN_OVER, LocalAirflow
from demo.airflow.configuration import environment, free_port

pytestmark = pytest.mark.timeout(900)

ROOT = Path(__file__).parents[2]
#: A fenced block: its language and its text.
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROWS = [{"id": 1, "total": 20}, {"id": 2, "total": 35}]
#: Seconds that a busy machine may take for a run of the DAG.
PATIENCE = 300.0


@dataclass(frozen=True, slots=True)
class Installation:
    """
    An environment in which nothing but the wheel and its dependencies is installed, and a user's folder.

    :param python: the environment's interpreter.
    :param folder: where the user works.
    """

    python: Path
    folder: Path

    def env(self, home: Path) -> dict[str, str]:
        """Return the environment of the user's shell, with the AIRFLOW_HOME."""
        kept = environment(home)
        # The working tree is no part of what is installed.
        kept.pop("PYTHONPATH", None)
        return kept | {"PATH": f"{self.python.parent}{os.pathsep}{kept['PATH']}"}

    def evaluate(self, expression: str) -> str:
        """Return the text of an expression that uses importlib."""
        command = [str(self.python), "-c", f"import importlib.metadata, importlib.util; print({expression})"]
        env = self.env(self.folder)
        output = subprocess.check_output(command, text=True, cwd=self.folder, env=env)
        return output.removesuffix("\n")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    # Tests don't know how this machine reaches a package index, so `make` installs the wheel, anew each time.
    python = ROOT / ".venv-wheel" / "bin" / "python"
    assert python.exists(), "make test-release makes this environment"
    return Installation(python, tmp_path_factory.mktemp("user"))


@pytest.fixture(scope="module")
def blocks(installed: Installation) -> dict[str, str]:
    """Return what the installed README tells a reader to save, by the name of the file, to run and to see."""
    description = installed.evaluate("importlib.metadata.metadata('airflow-provider-asyncapi').get_payload()")
    section = description.partition("\n## Your own API in five minutes\n")[2].partition("\n## ")[0]
    files = re.findall(r"Save this as `([\w.]+)`", section)
    assert files == ["vendor.py", "vendor.json", "export_orders.py"]
    found = BLOCK.findall(section)
    assert [language for language, _ in found] == ["python", "json", "python", "bash", "text"]
    return dict(zip([*files, "commands", "log"], [text for _, text in found], strict=True))


@pytest.fixture(scope="module")
def connection(installed: Installation, blocks: dict[str, str]) -> Iterator[dict[str, str]]:
    """Save the server and its connection, start the server as the README says, and return the connection."""
    port = str(free_port())
    for name in ("vendor.py", "vendor.json"):
        assert "8000" in blocks[name]
        (installed.folder / name).write_text(blocks[name].replace("8000", port))
    env = installed.env(installed.folder)
    with subprocess.Popen(
        [installed.python, "vendor.py"], cwd=installed.folder, env=env, stderr=subprocess.DEVNULL
    ) as server:
        yield json.loads((installed.folder / "vendor.json").read_text())
        assert server.poll() is None
        server.terminate()


def test_the_wheel_is_installed_and_the_working_tree_is_not(installed: Installation) -> None:
    origin = installed.evaluate("importlib.util.find_spec('airflow_provider_asyncapi').origin")
    assert Path(origin).is_relative_to(installed.python.parents[1])
    for name in ("demo", "pytest"):
        assert installed.evaluate(f"importlib.util.find_spec({name!r})") == "None"


def test_the_commands_of_the_readme_run_the_dag_in_a_terminal(
    installed: Installation, blocks: dict[str, str], connection: dict[str, str]
) -> None:
    home = installed.folder / "airflow"
    (installed.folder / "export_orders.py").write_text(blocks["export_orders.py"])
    steps = [
        "set -eo pipefail",
        "folder=$(airflow config get-value core dags_folder)",
        'mkdir -p "$folder"',
        'cp export_orders.py "$folder"',
        blocks["commands"],
    ]
    done = subprocess.run(
        ["bash", "-c", "\n".join(steps)],
        cwd=installed.folder,
        env=installed.env(home) | {"AIRFLOW__CORE__LOAD_EXAMPLES": "False"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert (home / "dags" / "export_orders.py").is_file()
    position = 0
    for line in blocks["log"].splitlines():
        expected = line.replace("http://127.0.0.1:8000", connection["host"])
        position = done.stdout.find(expected, position)
        assert position >= 0, f"{expected!r} isn't where the README says:\n{done.stdout}"


def test_airflow_standalone_runs_the_dag_with_its_triggerer(
    installed: Installation, blocks: dict[str, str], connection: dict[str, str]
) -> None:
    dags = installed.folder / "standalone_dags"
    dags.mkdir()
    (dags / "export_orders.py").write_text(blocks["export_orders.py"])
    home = installed.folder / "standalone"
    with LocalAirflow(
        home,
        dags,
        components={"standalone": ("standalone",)},
        connections={"vendor": connection},
        # It starts the others by the name of the command. An empty path adds nothing to that of the modules.
        env={"PATH": installed.env(home)["PATH"], "PYTHONPATH": "", "TMPDIR": str(installed.folder)},
        serve_logs=True,
        python=str(installed.python),
    ) as airflow:
        run_id = airflow.client.trigger("export_orders")
        deadline = time.monotonic() + PATIENCE
        while airflow.client.run_state("export_orders", run_id) not in RUN_OVER:
            airflow.check()
            assert time.monotonic() < deadline, airflow.client.tasks("export_orders", run_id)
            time.sleep(0.3)
        assert airflow.client.run_state("export_orders", run_id) == "success"
        assert airflow.client.xcom("export_orders", run_id, "fetch") == ROWS
        found = airflow.client.call("GET", "/api/v2/providers", limit=1000)["providers"]
        assert "airflow-provider-asyncapi" in {provider["package_name"] for provider in found}
