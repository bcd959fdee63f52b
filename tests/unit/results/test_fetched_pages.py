"""Fetch pages."""

from __future__ import annotations

import json
import threading

import pytest

from airflow_provider_asyncapi import exceptions
from tests.loopback import reply
from tests.unit.results.transfers import PAGES, broken, everything_in, page_of

pytestmark = pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning")


def test_pages_fetched_at_the_same_time_stay_in_order(fetched, server):
    server.routes["/rows"] = page_of({1: 2, 2: 3})
    rows = fetched(**PAGES, pages=5, concurrency=3)
    assert [row["n"] for row in rows] == [1, -1, 2, -2, 3, -3, 4, -4, 5, -5]


def test_pages_are_fetched_at_the_same_time(fetched, server):
    together = threading.Barrier(4, timeout=10)
    answer = page_of()

    def behave(connection, asked):
        together.wait()
        return answer(connection, asked)

    server.routes["/rows"] = behave
    assert len(fetched(**PAGES, pages=8, concurrency=4)) == 16


def test_pages_go_to_a_destination_row_by_row(fetched, server, tmp_path):
    server.routes["/rows"] = page_of()
    manifest = fetched(**PAGES, pages=2, destination=f"{tmp_path}/")
    assert manifest == {
        "paths": [f"{tmp_path}/pages.ndjson"],
        "bytes": 38,
        "sha256": manifest["sha256"],
        "content_type": "application/x-ndjson",
        "seconds": manifest["seconds"],
        "pages": 2,
        "rows": 4,
    }
    assert (tmp_path / "pages.ndjson").read_text() == '{"n": 1}\n{"n": -1}\n{"n": 2}\n{"n": -2}\n'


def test_a_transfer_that_breaks_is_no_page_twice(fetched, tmp_path):
    page = {"rows": [1]}
    text = json.dumps(page).encode()
    script = [reply(page), broken(text[:5], 50), reply({"rows": [2]}), reply({"rows": []})]
    assert fetched(*script, **PAGES) == [1, 2]


def test_too_many_rows_for_xcom_are_refused(fetched, server):
    server.routes["/rows"] = page_of()
    with pytest.raises(exceptions.AsyncApiResultFailed, match="max_xcom_bytes"):
        fetched(**PAGES, pages=50, limits={"max_xcom_bytes": 200})
    assert len(server.asked) < 50


def test_too_many_rows_for_a_destination_leave_nothing(fetched, server, tmp_path):
    server.routes["/rows"] = page_of()
    with pytest.raises(exceptions.AsyncApiResultFailed, match="max_bytes"):
        fetched(**PAGES, pages=50, limits={"max_bytes": 200}, destination=f"{tmp_path}/a/b/")
    assert everything_in(tmp_path) == []


def test_a_page_that_fails_leaves_nothing(fetched, tmp_path):
    with pytest.raises(exceptions.AsyncApiResultFailed, match="page 3"):
        fetched(
            *[reply({"rows": [1]}), reply({"rows": [2]}), reply(b"", 404)],
            **PAGES,
            pages=3,
            concurrency=1,
            destination=f"{tmp_path}/a/",
        )
    assert everything_in(tmp_path) == []
