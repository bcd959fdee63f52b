"""Results of SQL APIs of any size: in chunks, behind signed URLs, and beyond what a poll reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core.effects import Log
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from tests.unit.vendors.catalog import VENDORS
from tests.unit.vendors.databricks import KEY_HEADER
from tests.unit.vendors.runs import Caller, fetch, serving, submit, wait

DATABRICKS = VENDORS["databricks/sql_statements"]
INLINE = {"variables": {**DATABRICKS.submit["variables"], "disposition": "INLINE"}}
STORE = "GET /results/{id}/{index}"


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the lines of the task's log."""
    lines: list[str] = []
    monkeypatch.setattr(
        AsyncApiHook, "log_events", lambda _, event: lines.extend([event.message] if isinstance(event, Log) else [])
    )
    return lines


@pytest.mark.parametrize("name", ["databricks/sql_statements", "snowflake/sql_statements", "google/bigquery_queries"])
def test_rows_of_many_mebibytes_go_to_a_file_and_each_page_is_fetched_once(
    name: str, call: Caller, connect: Any, tmp_path: Path
) -> None:
    vendor = VENDORS[name]
    with serving(vendor, connect, "large") as server:
        job = wait(call, vendor, submit(call, vendor))
        before = len(server.calls)
        manifest = call("fetch_result", job, destination=f"{tmp_path}/rows.ndjson")
        assert server.refused == []
        targets = [(each.path, tuple(each.query.items())) for each in server.calls[before:]]
        assert len(set(targets)) == len(targets)
    assert manifest["bytes"] > 1024 * 1024
    assert manifest["rows"] == len(vendor.results["large"])
    rows = [json.loads(line) for line in (tmp_path / "rows.ndjson").read_text().splitlines()]
    assert rows == vendor.results["large"]


def test_the_store_of_the_results_gets_the_headers_of_the_link_and_no_credentials(
    call: Caller, connect: Any, tmp_path: Path, logged: list[str]
) -> None:
    with serving(DATABRICKS, connect) as server:
        job = wait(call, DATABRICKS, submit(call, DATABRICKS))
        fetch(call, DATABRICKS, job, tmp_path)
        downloads = server.calls_to(STORE)
    assert len(downloads) == 2
    for each in downloads:
        assert each.headers[KEY_HEADER] == "key-example"
        assert "dapi-example" not in str(each.headers)
    assert "X-Amz-Signature" not in str(logged)
    assert "key-example" not in str(logged)


def test_a_url_of_a_chunk_that_has_expired_is_replaced_by_a_new_one(
    call: Caller, connect: Any, tmp_path: Path, logged: list[str]
) -> None:
    with serving(DATABRICKS, connect, "expired") as server:
        job = wait(call, DATABRICKS, submit(call, DATABRICKS))
        # The poll that has found the end got the first URL.
        server.new_token()
        assert fetch(call, DATABRICKS, job, tmp_path) == DATABRICKS.expected
        assert len(server.refused) == 2
        assert all("Request has expired" in each for each in server.refused)
    assert "fetching page 1 again for another URL of its rows" in str(logged)
    assert "X-Amz-Signature" not in str(logged)


def test_a_url_of_a_chunk_that_is_refused_twice_is_an_error_without_the_url(
    call: Caller, connect: Any, tmp_path: Path
) -> None:
    with serving(DATABRICKS, connect) as server:
        job = wait(call, DATABRICKS, submit(call, DATABRICKS))
        server.tokens = [""]
        server.new_token = lambda: "revoked"
        with pytest.raises(exceptions.AsyncApiRejected, match=r"page 1: .* answered 403") as caught:
            fetch(call, DATABRICKS, job, tmp_path)
        assert len(server.calls_to(STORE)) == 2
    assert "revoked" not in str(caught.value)


def test_a_statement_that_is_closed_before_its_fetch_is_an_error_that_says_so(
    call: Caller, connect: Any, tmp_path: Path
) -> None:
    with serving(DATABRICKS, connect, "closed_later"):
        job = wait(call, DATABRICKS, submit(call, DATABRICKS))
        with pytest.raises(exceptions.AsyncApiResultFailed, match="a rule takes it for a failure: CLOSED"):
            fetch(call, DATABRICKS, job, tmp_path)


def test_inline_results_need_no_store(call: Caller, connect: Any, tmp_path: Path) -> None:
    with serving(DATABRICKS, connect) as server:
        job = wait(call, DATABRICKS, submit(call, DATABRICKS, **INLINE))
        assert fetch(call, DATABRICKS, job, tmp_path) == DATABRICKS.expected
        assert server.calls_to(STORE) == []
        assert server.refused == []


def test_an_inline_result_that_is_larger_than_a_poll_reads_is_an_error_that_says_so(call: Caller, connect: Any) -> None:
    with serving(DATABRICKS, connect, "large"):
        job = submit(call, DATABRICKS, **INLINE)
        with pytest.raises(
            exceptions.AsyncApiRejected, match="with a body of more than 1048576 bytes, which isn't read; if the status"
        ):
            wait(call, DATABRICKS, job)
