"""`migrate` prints Python, and what people have to look at in comments."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

DAG = """
HttpSensor(task_id="up", endpoint="/up", response_check=lambda r: r.json()["state"] == "UP", auth_type=X)


def poll():
    while not requests.get(URL).json()["done"]:
        time.sleep(3)
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("dag.py")
    path.write_text(DAG)
    return path


def test_the_output_is_python(shell: Any, file: Path) -> None:
    done = shell("migrate", file)
    assert (done.code, done.err) == (0, "")
    ast.parse(done.out)
    lines = done.out.splitlines()
    assert lines[0] == "from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor"
    assert '    completion_value="UP",' in lines
    assert any(line.startswith("# dag.py:2: auth_type: isn't carried over") for line in lines)
    assert lines[-1].startswith("# dag.py:6: poll() polls in a loop and holds a worker meanwhile")


def test_programs_get_the_same_as_json(shell: Any, file: Path) -> None:
    done = shell("migrate", file, "--json")
    (task,) = done.json["tasks"]
    assert task["replaces"] == [{"task_id": "up", "class": "HttpSensor", "line": 2}]
    assert task["class"] == "AsyncApiSensor"
    assert [note["line"] for note in done.json["loops"]] == [6]


def test_a_file_without_such_tasks_is_a_negative_result(shell: Any, file: Path) -> None:
    file.write_text("x = 1\n")
    done = shell("migrate", file)
    assert (done.code, done.out) == (1, "dag.py: contains no HttpOperator, no HttpSensor and no loop that polls\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x = (", "dag.py:1: isn't Python: '(' was never closed\n"),
        (None, "dag.py: can't be read: No such file or directory\n"),
    ],
)
def test_a_file_that_cannot_be_read(shell: Any, file: Path, content: str | None, message: str) -> None:
    file.unlink()
    if content is not None:
        file.write_text(content)
    done = shell("migrate", file)
    assert (done.code, done.err) == (2, message)
