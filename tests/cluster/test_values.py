"""Values that Airflow can't store, from an API whose jobs are waited for in a real triggerer, on a real Postgres."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import psycopg2
import pytest
from hypothesis import given, settings

from tests.cluster.control import Control, send_body, status_response
from tests.cluster.runs import Run
from tests.cluster.services import Services
from tests.unit.airflow_storage import RefusedError, store_in_postgres
from tests.unit.core.jobs.test_storable import VALUES

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

#: By name, as JSON.
HOSTILE = {
    "beyond-64-bits": "99999999999999999999",
    "half-a-character": '"x \\ud83d"',
    "nan": "NaN",
    "infinite": "1e999",
    "nul": '"a\\u0000b"',
    "deep": "[" * 200 + "]" * 200,
    "reserved": '{"__type": "set", "__var": [1]}',
}
#: These can be stored after all, as text.
STORED = ("beyond-64-bits",)


@pytest.fixture(scope="module")
def statuses(captures: dict[str, Run], api: Control, start: Callable[..., Run]) -> Run:
    """A job whose status is each of them in turn, beside those that have them captured."""
    api.plan(
        "statuses/0",
        "status",
        status_response("running"),
        *(send_body(f'{{"state": {text}}}') for text in HOSTILE.values()),
    )
    run: Run = start("plain", "statuses", seconds=5)
    return run


@pytest.fixture(scope="module")
def captures(cluster, api, start) -> dict[str, Run]:
    """For each of them a job that is done, and whose note is that."""
    runs = {}
    for name, text in HOSTILE.items():
        done = send_body(f'{{"state": "done", "note": {text}}}')
        api.plan(f"note-{name}/0", "status", status_response("running"), status_response("running"), done)
        runs[name] = start("capturing", f"note-{name}", seconds=5)
    return runs


def test_a_status_that_airflow_cannot_store_ends_no_triggerer(statuses, cluster):
    assert statuses.finish() == "success", statuses.describe_jobs()
    cluster.processes.check()
    statuses.check()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_captured_value_that_airflow_cannot_store_is_named_and_ends_no_triggerer(captures, cluster, name):
    run = captures[name]
    assert run.finish() == ("success" if name in STORED else "failed"), run.describe_jobs()
    cluster.processes.check()
    if name not in STORED:
        assert "capture 'note': " in run.log("job.wait"), run.describe_jobs()


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_the_stand_in_for_postgres_stores_what_postgres_stores(database, value):
    try:
        stored: Any = (store_in_postgres(value),)
    except RefusedError:
        stored = ()
    assert stored == _store(database, json.dumps(value)), value


@pytest.fixture(scope="module")
def database(services: Services):
    connection = psycopg2.connect(host="127.0.0.1", port=services.postgres_port, user="airflow", dbname="postgres")
    connection.autocommit = True
    yield connection
    connection.close()


def _store(database: Any, text: str) -> tuple[Any, ...]:
    """Return what Postgres has stored, or nothing where it refuses to."""
    with database.cursor() as cursor:
        try:
            cursor.execute("SELECT %s::jsonb::text", (text,))
        except (psycopg2.DataError, ValueError):
            return ()
        (found,) = cursor.fetchone()
        return (json.loads(found),)
