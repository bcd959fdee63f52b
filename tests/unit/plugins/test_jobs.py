from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_asyncapi.airflow_private.api_server import DagAccessEntity
from airflow_provider_asyncapi.plugins import database as module
from tests.integration.ui.auth.restricted import RestrictedAuthManager
from tests.unit.plugins.airflow_database import NOW, Database, moment, xcoms

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


def test_a_job_is_shown_with_all_that_people_want_to_know(database: Database, client_of: Any) -> None:
    run = database.add_run("exports", "manual__1")
    made = xcoms(
        "e-7",
        progress=0.4,
        error="GET /jobs/e-7 answered 503",
        url="https://vendor.example/e-7",
        deadline=moment(minutes=-30),
        warned_at=moment(minutes=2),
        attempts=[{"identifier": "e-5", "message": "no space"}, {"identifier": "e-6", "message": "node lost"}],
    )
    database.add_tasks(run, [{"task_id": "export.wait", "map_index": 3, "try_number": 2, "xcoms": made}])
    answer = client_of().get("/jobs")
    assert answer.json() == {
        "jobs": [
            {
                "dag_id": "exports",
                "run_id": "manual__1",
                "task_id": "export.wait",
                "map_index": 3,
                "try_number": 2,
                "kind": "wait",
                "state": "deferred",
                "group": "waiting",
                "health": {
                    "level": "warning",
                    "reasons": [
                        {
                            "code": "poll_errors",
                            "message": "The last poll failed: GET /jobs/e-7 answered 503",
                            "since": None,
                        },
                        {"code": "late_wait", "message": "The wait takes longer than warn_after", "since": None},
                    ],
                },
                "conn_id": "vendor",
                "identifier": "e-7",
                "status": "RUNNING",
                "progress": 0.4,
                "submitted_at": "2026-01-31T11:49:00Z",
                "started_at": "2026-01-31T11:50:00Z",
                "ended_at": None,
                "duration": 660.0,
                "deadline": "2026-01-31T12:30:00Z",
                "polls": 4,
                "has_estimated_polls": False,
                "last_polled": "2026-01-31T12:00:00Z",
                # The handle was pushed now, after a poll that was answered.
                "next_poll": "2026-01-31T12:00:30Z",
                "is_next_poll_latest": False,
                "next_poll_reason": "the last poll failed, and is repeated",
                "warned_at": "2026-01-31T11:58:00Z",
                "delay": None,
                "error": "GET /jobs/e-7 answered 503",
                "attempt": 3,
                "last_failure": "node lost",
                "url": "https://vendor.example/e-7",
            }
        ],
        "total": 1,
        "groups": {"waiting": 1, "failed": 0, "done": 0},
        "now": "2026-01-31T12:00:00Z",
    }
    assert answer.headers["cache-control"] == "no-store"
    assert "planted" not in answer.text


@pytest.mark.parametrize(
    ("attempts", "shown"),
    [
        (None, (1, None)),
        ([], (1, None)),
        ("x", (1, None)),
        ([{"message": "gone"}], (2, "gone")),
        ([{"message": 5}], (2, "5")),
        ([{"message": {"deep": 1}}, 3], (3, None)),
    ],
    ids=str,
)
def test_the_number_of_attempts_is_shown_whatever_a_task_has_pushed(
    database: Database, client_of: Any, attempts: Any, shown: tuple[int, str | None]
) -> None:
    database.add_tasks(database.add_run("exports"), [{"xcoms": xcoms(attempts=attempts)}])
    (job,) = client_of().get("/jobs").json()["jobs"]
    assert (job["attempt"], job["last_failure"]) == shown


def test_polls_that_are_late_are_shown_with_the_reason_and_the_next_one_is_late_too(
    database: Database, client_of: Any
) -> None:
    made = xcoms()
    made["job_poll"] |= {"delay": {"seconds": 9.0, "reason": "connections"}}
    database.add_tasks(database.add_run("exports"), [{"xcoms": made}])
    (job,) = client_of().get("/jobs").json()["jobs"]
    assert job["delay"] == {"seconds": 9.0, "reason": "connections"}
    assert job["next_poll"] == "2026-01-31T12:00:39Z"


@pytest.mark.parametrize(
    "poll",
    [
        {},
        {"error": "answered 503"},
        {"stalled_at": moment(minutes=1), "delay": {"seconds": 9.0, "reason": "connections"}},
        {"status_problem": "unknown_status", "status_problem_message": "Unknown"},
        {"rate_limited": 3, "rate_limited_since": moment(minutes=3), "rate_limited_until": moment(minutes=1)},
        {"at": "yesterday"},
    ],
    ids=str,
)
@pytest.mark.parametrize("state", ["deferred", "failed", "success"])
def test_the_first_poll_is_shown_as_part_of_the_summary_as_later_ones_are(
    database: Database, client_of: Any, poll: dict[str, Any], state: str
) -> None:
    separate = xcoms(**poll)
    joined = {key: value for key, value in separate.items() if key != "job_poll"}
    joined["job_wait"] = {**joined["job_wait"], "poll": separate["job_poll"]}
    replaced = {**separate, "job_wait": {**joined["job_wait"], "poll": xcoms(error="of the first poll")["job_poll"]}}
    end = {"state": state, "end_date": None if state == "deferred" else NOW}
    for name, made in (("a", separate), ("b", joined), ("c", replaced)):
        database.add_tasks(database.add_run("exports", name), [{"xcoms": made, **end}])
    for query in ({}, {"order_by": "risk"}, {"health": "warning"}, {"health": "ok"}, {"search": "answered"}):
        jobs = client_of().get("/jobs", params=query).json()["jobs"]
        assert len(jobs) in (0, 3)
        assert all({**job, "run_id": "a"} == jobs[0] for job in jobs)
    (connection,) = client_of().get("/connections").json()["connections"]
    assert connection["rate_limited"] == 3 * poll.get("rate_limited", 0)


def test_polls_that_find_progress_count_though_only_the_first_was_published(database: Database, client_of: Any) -> None:
    """The handle was pushed a moment ago; the summary of the polls is five minutes old."""
    made = xcoms()
    made["job_poll"] |= {"at": moment(minutes=5)}
    database.add_tasks(database.add_run("exports"), [{"xcoms": made}])
    (job,) = client_of().get("/jobs").json()["jobs"]
    assert (job["polls"], job["has_estimated_polls"]) == (4 + 10, True)


@pytest.mark.parametrize(
    ("seconds", "pause", "latest"),
    [
        # The pauses are 10, 20 and 40 s, unless the API asks for shorter ones.
        (9, 10, None),
        (11, 10, 19),
        (29, 10, 1),
        (30, 10, 40),
        # They grow up to five minutes, except those for which the API has asked.
        (3600, 300, 300),
        (3601, 300, 299),
        (3601, 400, 399),
    ],
)
def test_while_an_api_answers_errors_the_latest_time_of_the_next_poll_is_shown(
    database: Database, client_of: Any, seconds: int, pause: float, latest: int | None
) -> None:
    at = (NOW - dt.timedelta(seconds=seconds)).isoformat()
    made = xcoms(error="answered 429")
    made["job_poll"] |= {"at": at, "pause": pause}
    database.add_tasks(database.add_run("exports"), [{"xcoms": made, "pushed_at": NOW - dt.timedelta(seconds=seconds)}])
    (job,) = client_of().get("/jobs").json()["jobs"]
    assert job["is_next_poll_latest"] is (latest is not None)
    due = dt.datetime.fromisoformat(job["next_poll"])
    assert abs((due - NOW).total_seconds() - (pause - seconds if latest is None else latest)) < 1


@pytest.mark.parametrize(
    ("poll", "seconds", "state", "is_estimate"),
    [
        ({"pause": 30}, 29, "deferred", False),
        ({"pause": 30}, 31, "deferred", True),
        ({"pause": 30, "error": "answered 429"}, 31, "deferred", True),
        # The poll that has ended the wait was published, or wasn't.
        ({"pause": None}, 31, "success", False),
        ({"pause": 30}, 5, "success", True),
        ({"pause": 30, "error": "answered 429"}, 5, "success", True),
    ],
    ids=str,
)
def test_a_number_of_polls_is_an_estimate_unless_all_of_them_were_published(
    database: Database, client_of: Any, poll: dict[str, Any], seconds: int, state: str, *, is_estimate: bool
) -> None:
    pushed = NOW - dt.timedelta(seconds=seconds)
    made = xcoms()
    made["job_poll"] |= {"at": pushed.isoformat(), **poll}
    end = {} if state == "deferred" else {"end_date": NOW}
    database.add_tasks(database.add_run("exports"), [{"state": state, "xcoms": made, "pushed_at": pushed, **end}])
    (job,) = client_of().get("/jobs").json()["jobs"]
    assert job["has_estimated_polls"] is is_estimate


def test_what_has_ended_shows_its_end_and_no_next_poll(database: Database, client_of: Any) -> None:
    run = database.add_run("exports", state="failed")
    ended = NOW - dt.timedelta(minutes=2)
    database.add_tasks(
        run,
        [
            {"task_id": "bad", "state": "failed", "end_date": ended, "xcoms": xcoms("bad", error="locked", minutes=2)},
            {"task_id": "good", "state": "success", "end_date": ended, "xcoms": xcoms("good", error="503")},
        ],
    )
    bad, good = client_of().get("/jobs").json()["jobs"]
    assert (bad["group"], bad["error"], bad["ended_at"]) == ("failed", "locked", "2026-01-31T11:58:00Z")
    assert (good["group"], good["error"], good["next_poll"], bad["next_poll"]) == ("done", None, None, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"job": None},
        {"job": "e-7"},
        {"job": [1]},
        {"job": {"identifier": {"no": "text"}, "progress": "far", "submitted_at": 7}},
        {"job_poll": "text"},
        {"job_poll": {"at": "yesterday"}},
        {"job_poll": {"at": moment(), "pause": 30, "delay": {"seconds": 1e300, "reason": "rate"}}},
        {"job_url": {"no": "text"}},
        {"job_wait": {}},
        {"job_wait": "text"},
        {"job_wait": {"started_at": 5, "deadline": "soon", "asyncapi_conn_id": 7}},
    ],
    ids=str,
)
def test_what_else_was_pushed_under_the_same_names_breaks_nothing(
    database: Database, client_of: Any, changes: dict[str, Any]
) -> None:
    made = {**xcoms(), **changes}
    database.add_tasks(database.add_run("exports"), [{"xcoms": made}])
    (job,) = client_of().get("/jobs").json()["jobs"]
    assert (job["dag_id"], job["task_id"]) == ("exports", "wait")


EXTREMES: list[Any] = [
    *("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "-271821-04-20", "\ud83d", "a\u0000b", "http://\udcff"),
    *(
        1e300,
        -1e300,
        5e-324,
        float("nan"),
        float("inf"),
        10**400,
        -(10**30),
        1.5,
        True,
        None,
        [],
        {"a": [1]},
        [[[[]]]],
    ),
]


@pytest.mark.parametrize("extreme", EXTREMES, ids=lambda value: repr(value)[:30])
def test_no_xcom_keeps_the_page_from_its_other_jobs(database: Database, client_of: Any, extreme: Any) -> None:
    run = database.add_run("exports")
    good = xcoms("good")
    bad = []
    for key, names in {
        "job_wait": ("asyncapi_conn_id", "started_at", "deadline"),
        "job": ("identifier", "status", "progress", "submitted_at"),
        "job_poll": (
            "at",
            "pause",
            "error",
            "delay",
            "polls",
            "reason",
            "status_problem",
            "status_problem_message",
            "stalled_at",
            "unchanged_since",
            "due",
        ),
    }.items():
        bad.append({**good, key: extreme})
        bad += [{**good, key: {**good[key], name: extreme}} for name in names]
    bad.append({**good, "job_url": extreme})
    unpolled = {key: value for key, value in good.items() if key != "job_poll"}
    for poll in (extreme, *({**good["job_poll"], name: extreme} for name in ("at", "pause", "error", "stalled_at"))):
        bad.append({**unpolled, "job_wait": {**good["job_wait"], "poll": poll}})
    bad.append({**good, "job_poll": {**good["job_poll"], "delay": {"seconds": extreme, "reason": extreme}}})
    wait = {**good["job_wait"], "deadline": extreme, "near_deadline": extreme, "kind": extreme, "warned_at": extreme}
    bad.append({**good, "job_wait": wait, "job_poll": {"at": extreme, "pause": 1e300}})
    tasks = [{"task_id": f"bad-{number}", "xcoms": each} for number, each in enumerate(bad)]
    database.add_tasks(run, [*tasks, {"task_id": "good", "xcoms": good}])
    for order in ("-deadline", "progress", "identifier", "risk"):
        answer = client_of().get("/jobs", params={"order_by": order, "search": "o", "limit": 200})
        assert answer.status_code == 200
        assert "good" in [job["task_id"] for job in answer.json()["jobs"]]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://vendor.example/7", True),
        ("http://vendor.example/7", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("//vendor.example", False),
        ("", False),
    ],
)
def test_a_link_leads_to_web_pages_and_nowhere_else(database: Database, client_of: Any, url: str, shown: bool) -> None:
    database.add_tasks(database.add_run("exports"), [{"xcoms": xcoms(url=url)}])
    (job,) = client_of().get("/jobs").json()["jobs"]
    assert job["url"] == (url if shown else None)


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
