"""The file of jobs: its columns, its name, and what a spreadsheet makes of it."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.plugins.airflow_database import NOW, Database, xcoms

if TYPE_CHECKING:
    from fastapi.testclient import TestClient


@pytest.fixture
def three(database: Database) -> Database:
    database.add_tasks(
        database.add_run("a", "first"),
        [
            {"task_id": "x", "xcoms": xcoms("beta", progress=0.5, minutes=3)},
            {"task_id": "y", "state": "failed", "end_date": NOW, "xcoms": xcoms("alpha", conn_id="other")},
            {"task_id": "z", "state": "success", "end_date": NOW, "xcoms": xcoms(99)},
        ],
    )
    return database


def read_csv(client: TestClient, **query: Any) -> list[dict[str, str]]:
    answer = client.get("/jobs.csv", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_the_jobs_of_the_same_filters_are_exported(three: Database, client_of: Any) -> None:
    rows = read_csv(client_of(), order_by="identifier")
    assert [row["identifier"] for row in rows] == ["99", "alpha", "beta"]
    assert [row["identifier"] for row in read_csv(client_of(), group="failed")] == ["alpha"]
    assert rows[2] | {"health": "ok", "progress": "0.5", "started_at": "2026-01-31T11:57:00+00:00"} == rows[2]
    assert read_csv(client_of("reader")) == []


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(database: Database, client_of: Any, text: str) -> None:
    made = xcoms(text, status=text, error=text, conn_id=text)
    database.add_tasks(database.add_run("exports"), [{"xcoms": made}])
    (row,) = read_csv(client_of())
    for name in ("identifier", "status", "error", "conn_id"):
        assert row[name] == f"'{text}", name


def test_a_file_is_bounded(database: Database, client_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_asyncapi.plugins.jobs_file.MAX_ROWS", 3)
    tasks = [{"map_index": number, "xcoms": xcoms(f"j-{number}")} for number in range(5)]
    database.add_tasks(database.add_run("exports"), tasks)
    database.statements.clear()
    assert len(read_csv(client_of())) == 3
    # The DAGs that may be read, the jobs.
    assert len(database.statements) == 2


def test_a_file_has_the_columns_that_are_asked_for_in_their_order(three: Database, client_of: Any) -> None:
    columns = ["reasons", "identifier", "health", "identifier"]
    rows = read_csv(client_of(), column=columns, group="failed")
    assert [list(row.items()) for row in rows] == [[("reasons", ""), ("identifier", "alpha"), ("health", "ok")]]
    assert {"dag_id", "identifier", "health", "reasons", "delay"} <= read_csv(client_of(), group="failed")[0].keys()
    refused = client_of().get("/jobs.csv", params={"column": ["identifier", "value"]})
    assert refused.status_code == 422
    assert refused.json()["detail"][0]["loc"] == ["query", "column", 1]


@pytest.mark.parametrize(
    ("query", "filters"),
    [
        ({}, ""),
        ({"conn_id": "vendor", "group": "failed"}, "-vendor-failed"),
        ({"health": ["warning", "critical"], "dag_id": "a"}, "-a-warning-critical"),
        ({"kind": "submit", "state": "failed"}, "-submit-failed"),
        # A name that each file system and each header takes.
        ({"conn_id": '../x"\r\n;ü/..', "search": "*" * 200}, "-x"),
        ({"search": "e-" * 100}, "-" + "e-" * 20),
    ],
    ids=str,
)
def test_the_name_of_a_file_has_the_filters_and_the_time(
    three: Database, client_of: Any, query: dict[str, Any], filters: str
) -> None:
    answer = client_of().get("/jobs.csv", params=query)
    name = f"async-api-jobs{filters.rstrip('-')}-20260131T1200Z.csv"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
