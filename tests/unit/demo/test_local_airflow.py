from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from demo.airflow import AirflowStartError, Dag
from demo.airflow.local import find_unparsed


def client_with(files: tuple[str, ...] = (), errors: dict[str, str] | None = None) -> Any:
    return SimpleNamespace(
        dags=lambda: [Dag(Path(file).stem, file, frozenset()) for file in files], import_errors=lambda: errors or {}
    )


def test_files_with_dags_are_waited_for_until_airflow_has_parsed_them(tmp_path: Path) -> None:
    for name, source in (("a.py", "with DAG('a'): ..."), ("b.py", "@dag\ndef b(): ..."), ("helpers.py", "x = 1")):
        (tmp_path / name).write_text(source)
    assert find_unparsed(tmp_path, client_with()) == ["a.py", "b.py"]
    assert find_unparsed(tmp_path, client_with(("a.py",))) == ["b.py"]
    assert find_unparsed(tmp_path, client_with(("a.py", "b.py"))) == []


def test_a_file_that_cannot_be_imported_ends_the_start_with_its_trace(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("with DAG('a'): ...")
    with pytest.raises(AirflowStartError, match=r"a\.py cannot be imported:\nNameError: name 'DAG' is not defined"):
        find_unparsed(tmp_path, client_with(errors={"a.py": "NameError: name 'DAG' is not defined"}))
