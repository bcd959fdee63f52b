from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.models.trigger import Trigger
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from demo.airflow import AirflowStartError, Dag
from demo.airflow.local import find_unparsed, give_each_trigger_its_own_id


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


def test_no_trigger_gets_the_id_of_a_deleted_one() -> None:
    table: Any = Trigger.__table__
    creations: list[Any] = [CreateTable(table), *map(CreateIndex, table.indexes)]
    with closing(sqlite3.connect(":memory:")) as database:
        for creation in creations:
            database.execute(str(creation.compile(dialect=sqlite.dialect())))
        indexes = "SELECT name FROM sqlite_master WHERE type = 'index'"
        before = database.execute(indexes).fetchall()
        give_each_trigger_its_own_id(database)
        assert database.execute(indexes).fetchall() == before
        insert = "INSERT INTO trigger (classpath, kwargs, created_date) VALUES ('x', '{}', '2026-01-31') RETURNING id"
        first = database.execute(insert).fetchone()
        database.execute("DELETE FROM trigger")
        assert database.execute(insert).fetchone() > first
