from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from tests.unit.plugins.airflow_database import NOW, Database, moment, xcoms


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
