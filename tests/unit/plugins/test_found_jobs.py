"""The jobs of the page: which are found, in which order, and by whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_asyncapi.airflow_private.api_server import DagAccessEntity
from airflow_provider_asyncapi.plugins import database as module
from tests.integration.ui.auth.restricted import RestrictedAuthManager
from tests.unit.plugins.airflow_database import Database, moment, xcoms

if TYPE_CHECKING:
    from fastapi.testclient import TestClient


@pytest.fixture
def ask(client_of: Callable[..., TestClient]) -> Callable[..., Any]:
    """Ask for jobs as somebody who may see all, and give their identifiers."""

    def asked(**query: Any) -> list[str]:
        answer = client_of().get("/jobs", params=query)
        assert answer.status_code == 200, answer.text
        return [job["identifier"] for job in answer.json()["jobs"]]

    return asked


def test_jobs_of_unfinished_runs_are_there_and_of_those_that_are_over_the_recent_ones(
    database: Database, ask: Any
) -> None:
    for name, state, hours in (("old", "running", 100), ("new", "success", 5), ("gone", "success", 30)):
        database.add_tasks(database.add_run("exports", name, state=state, hours=hours), [{"xcoms": xcoms(name)}])
    assert set(ask()) == {"old", "new"}
    assert set(ask(hours=48)) == {"old", "new", "gone"}
    assert ask(run_id="gone") == ["gone"]


def test_tasks_without_a_wait_are_no_jobs(database: Database, ask: Any) -> None:
    submit = {"task_id": "submit", "xcoms": {"job": xcoms()["job"], "return_value": "j-1"}}
    database.add_tasks(database.add_run("exports"), [submit, {"xcoms": xcoms()}])
    assert ask() == ["j-1"]


@pytest.fixture
def three(database: Database) -> Database:
    database.add_tasks(
        database.add_run("a", "first"),
        [
            {"task_id": "x", "xcoms": xcoms("beta", progress=0.5, minutes=3, deadline=moment(minutes=-5))},
            {"task_id": "y", "state": "failed", "xcoms": xcoms("alpha", status="FAILED", minutes=2, conn_id="other")},
        ],
    )
    database.add_tasks(
        database.add_run("b", "second"),
        [{"task_id": "x", "map_index": 4, "state": "success", "xcoms": xcoms(99, status="50%_done", progress=0.25)}],
    )
    database.statements.clear()
    return database


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["alpha", "beta", "99"]),
        ({"dag_id": "a"}, ["alpha", "beta"]),
        ({"dag_id": "no such"}, []),
        ({"run_id": "second"}, ["99"]),
        ({"task_id": "x"}, ["beta", "99"]),
        ({"task_id": "x", "map_index": -1}, ["beta"]),
        ({"map_index": 4}, ["99"]),
        ({"group": "waiting"}, ["beta"]),
        ({"conn_id": "other"}, ["alpha"]),
        ({"conn_id": "oth"}, []),
        ({"state": "failed"}, ["alpha"]),
        ({"state": ["failed", "success"]}, ["alpha", "99"]),
        ({"state": "none"}, []),
        ({"group": "failed"}, ["alpha"]),
        ({"kind": "submit"}, []),
        ({"kind": "wait", "group": "done"}, ["99"]),
        ({"group": "done"}, ["99"]),
        ({"search": "LPHA"}, ["alpha"]),
        ({"search": "other"}, ["alpha"]),
        ({"search": "seco"}, ["99"]),
        ({"search": "9"}, ["99"]),
        # Neither is a wildcard.
        ({"search": "%"}, []),
        ({"search": "_"}, []),
        ({"limit": 2}, ["alpha", "beta"]),
        ({"limit": 2, "offset": 2}, ["99"]),
        ({"offset": 3}, []),
        ({"order_by": "started_at"}, ["99", "beta", "alpha"]),
        ({"order_by": "identifier"}, ["99", "alpha", "beta"]),
        ({"order_by": "-identifier"}, ["beta", "alpha", "99"]),
        # What has none comes last, whichever way.
        ({"order_by": "progress"}, ["99", "beta", "alpha"]),
        ({"order_by": "-progress"}, ["beta", "99", "alpha"]),
        ({"order_by": "deadline"}, ["beta", "alpha", "99"]),
        ({"order_by": "-state"}, ["99", "alpha", "beta"]),
        ({"order_by": "dag_id"}, ["beta", "alpha", "99"]),
        ({"order_by": "-run_id"}, ["99", "beta", "alpha"]),
        ({"order_by": "task_id"}, ["beta", "99", "alpha"]),
        ({"order_by": "conn_id"}, ["alpha", "beta", "99"]),
        ({"order_by": "status"}, ["99", "alpha", "beta"]),
    ],
    ids=str,
)
def test_jobs_are_selected_and_sorted(three: Database, ask: Any, query: dict[str, Any], found: list[str]) -> None:
    assert ask(**query) == found


def test_the_counts_are_of_all_pages_and_the_groups_of_all_groups(three: Database, client_of: Any) -> None:
    answer = client_of().get("/jobs", params={"group": "failed", "limit": 1}).json()
    assert (answer["total"], answer["groups"]) == (1, {"waiting": 1, "failed": 1, "done": 1})
    answer = client_of().get("/jobs", params={"limit": 1}).json()
    assert (answer["total"], len(answer["jobs"])) == (3, 1)


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 201},
        {"limit": "many"},
        {"offset": -1},
        {"hours": 0},
        {"hours": 10**9},
        {"order_by": "value"},
        {"order_by": "--state"},
        {"group": "lost"},
        {"search": "x" * 201},
        {"search": "a\0"},
        {"dag_id": "\0"},
        {"run_id": "\0"},
        {"task_id": "\0"},
        {"map_index": 2**40},
        {"state": "no such"},
        {"health": "fine"},
        {"conn_id": "\0"},
        {"conn_id": "x" * 251},
        {"find": "typo"},
        {"kind": "fetch"},
    ],
    ids=str,
)
def test_what_cant_be_meant_is_refused_by_its_name(three: Database, client_of: Any, query: dict[str, Any]) -> None:
    answer = client_of().get("/jobs", params=query)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][:2] == ["query", *query]
    assert not any("xcom" in statement for statement in three.statements)


def test_without_a_login_nothing_is_answered(three: Database, client_of: Any) -> None:
    answer = client_of(None).get("/jobs")
    assert answer.status_code == 401
    assert three.statements == []


@pytest.mark.parametrize(
    "query",
    [{}, {"dag_id": "closed"}, {"search": "planted"}, {"run_id": "planted"}, {"group": "waiting"}, {"hours": 999}],
    ids=str,
)
def test_who_may_not_read_a_dag_learns_nothing_of_its_jobs(
    database: Database, client_of: Any, query: dict[str, Any]
) -> None:
    database.add_tasks(database.add_run("closed", "planted"), [{"xcoms": xcoms("planted")}])
    asked = {"params": query}
    assert client_of("admin").get("/jobs", **asked).json()["total"] == 1
    answer = client_of("reader").get("/jobs", **asked)
    assert answer.status_code == 200
    assert (answer.json()["total"], answer.json()["jobs"]) == (0, [])
    assert set(answer.json()["groups"].values()) == {0}
    assert "planted" not in answer.text


def test_who_may_read_no_xcoms_at_all_is_told_so(
    three: Database, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoXComs(RestrictedAuthManager):
        def is_authorized_dag(self, *, access_entity: Any = None, **given: Any) -> bool:
            return bool(access_entity != DagAccessEntity.XCOM)

    monkeypatch.setattr(module, "get_auth_manager", NoXComs)
    answer = client_of().get("/jobs")
    assert answer.status_code == 403
    assert "alpha" not in answer.text


def test_ten_thousand_jobs_cost_three_queries(database: Database, client_of: Any) -> None:
    tasks = ({"map_index": number, "xcoms": xcoms(f"j-{number}", progress=number / 10_000)} for number in range(10_000))
    database.add_tasks(database.add_run("exports"), tasks)
    database.statements.clear()
    answer = client_of().get("/jobs", params={"order_by": "-progress", "search": "J-", "limit": 200}).json()
    assert (answer["total"], len(answer["jobs"]), answer["jobs"][0]["identifier"]) == (10_000, 200, "j-9999")
    # The DAGs that may be read, the counts, the page.
    assert len(database.statements) == 3


@pytest.mark.parametrize("path", ["/jobs", "/jobs.csv"])
def test_too_many_states_are_refused(client_of: Any, path: str) -> None:
    answer = client_of().get(path, params={"state": ["failed"] * 21})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", "state"]


def test_failed_submits_are_found_by_a_filter_and_by_their_task_and_error(
    database: Database, client_of: Any, ask: Any
) -> None:
    wait = {"kind": "submit", "asyncapi_conn_id": "vendor", "started_at": moment(minutes=2), "deadline": None}
    poll = {"at": moment(minutes=1), "pause": None, "error": "POST /jobs answered 400: No such report"}
    submit = {"task_id": "export.submit", "state": "failed", "xcoms": {"job_wait": wait, "job_poll": poll}}
    database.add_tasks(
        database.add_run("exports"),
        [submit, {"state": "failed", "xcoms": xcoms("j-1", error="answered 503")}, {"task_id": "b", "xcoms": {"x": 1}}],
    )
    for query in ({"kind": "submit"}, {"search": "no SUCH report"}, {"search": "export.sub"}):
        for more in ({}, {"health": ["ok"]}, {"order_by": "risk"}, {"order_by": "identifier"}):
            found = client_of().get("/jobs", params={**query, **more}).json()
            assert ([job["task_id"] for job in found["jobs"]], found["total"]) == (["export.submit"], 1), (query, more)
    assert ask(kind="wait") == ["j-1"]
    assert ask(search="answered 503") == ["j-1"]


def test_a_cleared_task_is_found_by_its_state(database: Database, ask: Any) -> None:
    tasks: list[dict[str, Any]] = [
        {"task_id": "a", "state": None, "xcoms": xcoms("cleared")},
        {"task_id": "b", "xcoms": xcoms("other")},
    ]
    database.add_tasks(database.add_run("exports"), tasks)
    assert ask(state="none") == ["cleared"]
    assert set(ask(state=["none", "deferred"])) == {"cleared", "other"}


def test_the_api_is_documented(client_of: Any) -> None:
    described = client_of().get("/openapi.json").json()
    job = described["components"]["schemas"]["Job"]["properties"]
    parameters = described["paths"]["/jobs"]["get"]["parameters"]
    assert all(each.get("description") for each in parameters), parameters
    for path in ("/jobs.csv", "/jobs/details", "/connections"):
        assert all(each.get("description") for each in described["paths"][path]["get"]["parameters"]), path
    assert set(job) >= {"identifier", "status", "progress", "error", "url"}
    for name in set(job) - {"dag_id", "run_id", "task_id", "try_number"}:
        assert job[name]["description"].endswith("."), name


@pytest.mark.parametrize("name", ["jobs.js", "page.js"])
def test_modules_are_served_and_checked_for_changes_each_time(client_of: Any, name: str) -> None:
    answer = client_of(None).get(f"/static/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    again = client_of(None).get(f"/static/{name}", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    assert {each.headers["cache-control"] for each in (answer, again)} == {"no-cache"}
