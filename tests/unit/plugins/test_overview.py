"""The overview: how the jobs of each connection are doing."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from tests.unit.plugins.airflow_database import NOW, Database, moment, xcoms


def limited(count: int, first: float, last: float) -> dict[str, Any]:
    """Make what is told of polls that were answered 429, from so many minutes ago to so many."""
    return {
        "rate_limited": count,
        "rate_limited_since": moment(minutes=first),
        "rate_limited_until": moment(minutes=last),
    }


def test_jobs_are_added_up_by_connection_those_with_jobs_at_risk_first(database: Database, client_of: Any) -> None:
    ago = [NOW - dt.timedelta(minutes=minutes) for minutes in (0, 1, 2, 3)]
    tasks: list[dict[str, Any]] = [
        {"task_id": "w1", "xcoms": xcoms(conn_id="calm")},
        {"task_id": "w2", "xcoms": xcoms(conn_id="calm")},
        {"task_id": "d1", "state": "success", "end_date": ago[1], "xcoms": xcoms(conn_id="calm", minutes=11)},
        {"task_id": "r1", "xcoms": xcoms(conn_id="risky", error="answered 429", **limited(3, 7, 5))},
        {"task_id": "f1", "state": "failed", "end_date": ago[2], "xcoms": xcoms(conn_id="risky", **limited(2, 30, 20))},
        *(
            {
                "task_id": f"s{number}",
                "state": "success",
                "end_date": ago[number],
                "xcoms": xcoms(conn_id="risky", minutes=minutes),
            }
            for number, minutes in ((1, 2), (2, 4), (3, 103))
        ),
    ]
    database.add_tasks(database.add_run("exports"), tasks)
    database.statements.clear()
    answer = client_of().get("/connections")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["connections"] == [
        {
            "conn_id": "risky",
            "waiting": 1,
            "at_risk": 1,
            "failed": 1,
            "done": 3,
            "error_rate": 0.25,
            "rate_limited": 5,
            "rate_limited_since": "2026-01-31T11:30:00Z",
            "rate_limited_until": "2026-01-31T11:55:00Z",
            "last_success": "2026-01-31T11:59:00Z",
            # Of 1, 2 and 100 minutes.
            "median_duration": 120.0,
        },
        {
            "conn_id": "calm",
            "waiting": 2,
            "at_risk": 0,
            "failed": 0,
            "done": 1,
            "error_rate": 0.0,
            "rate_limited": 0,
            "rate_limited_since": None,
            "rate_limited_until": None,
            "last_success": "2026-01-31T11:59:00Z",
            "median_duration": 600.0,
        },
    ]
    assert len(database.statements) <= 5


def test_without_jobs_it_is_empty_and_nobody_learns_of_dags_that_they_may_not_read(
    database: Database, client_of: Any
) -> None:
    assert client_of().get("/connections").json()["connections"] == []
    database.add_tasks(database.add_run("closed"), [{"xcoms": xcoms(conn_id="planted")}])
    assert len(client_of("admin").get("/connections").json()["connections"]) == 1
    assert client_of("reader").get("/connections").json()["connections"] == []


def test_the_median_is_that_of_the_latest_waits(database: Database, client_of: Any) -> None:
    tasks = [
        {
            "map_index": number,
            "state": "success",
            "end_date": NOW - dt.timedelta(seconds=number),
            # The latest hundred took a minute, the others an hour.
            "xcoms": xcoms(minutes=(number + (60 if number < 100 else 3600)) / 60),
        }
        for number in range(300)
    ]
    database.add_tasks(database.add_run("exports"), tasks)
    (only,) = client_of().get("/connections").json()["connections"]
    assert (only["done"], only["median_duration"]) == (300, 60.0)


@pytest.mark.parametrize(
    ("state", "last", "until"),
    [
        # Equal errors that follow aren't published.
        ("deferred", 10, NOW),
        ("success", 10, NOW - dt.timedelta(minutes=10)),
        ("deferred", 9, NOW - dt.timedelta(minutes=10)),
    ],
)
def test_a_rate_limit_lasts_until_a_poll_is_answered_otherwise(
    database: Database, client_of: Any, state: str, last: int, until: dt.datetime
) -> None:
    made = xcoms(at=moment(minutes=last), **limited(4, 15, 10))
    database.add_tasks(database.add_run("exports"), [{"state": state, "end_date": NOW, "xcoms": made}])
    (only,) = client_of().get("/connections").json()["connections"]
    assert (only["rate_limited"], only["rate_limited_since"]) == (4, "2026-01-31T11:45:00Z")
    assert dt.datetime.fromisoformat(only["rate_limited_until"]) == until


@pytest.mark.parametrize("extreme", ["x", "\ud83d", -5, 1e300, 10**400, float("nan"), True, [], {"a": 1}], ids=repr)
def test_xcoms_that_cant_be_read_are_left_out(database: Database, client_of: Any, extreme: Any) -> None:
    broken = [
        xcoms() | {"job_wait": extreme},
        *(xcoms(**{**limited(1, 2, 1), name: extreme}) for name in limited(1, 2, 1)),
        xcoms(conn_id=extreme),
        xcoms() | {"job_wait": {**xcoms()["job_wait"], "started_at": extreme}},
    ]
    tasks = [
        {"task_id": f"t{number}", "state": state, "end_date": NOW, "xcoms": each}
        for number, (state, each) in enumerate([(state, each) for state in ("deferred", "success") for each in broken])
    ]
    database.add_tasks(database.add_run("exports"), [*tasks, {"task_id": "good", "xcoms": xcoms(conn_id="good")}])
    found = client_of().get("/connections").json()["connections"]
    assert {"conn_id": "good", "waiting": 1}.items() <= next(
        each for each in found if each["conn_id"] == "good"
    ).items()


@pytest.mark.parametrize("query", [{"hours": 0}, {"hours": 10**9}, {"dag_id": "\0"}, {"more": 1}], ids=str)
def test_what_cant_be_meant_is_refused(client_of: Any, query: dict[str, Any]) -> None:
    answer = client_of().get("/connections", params=query)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", *query]


def test_only_recent_runs_count(database: Database, client_of: Any) -> None:
    for name, hours in (("old", 30), ("new", 1)):
        run = database.add_run("exports", name, state="success", hours=hours)
        database.add_tasks(run, [{"state": "success", "end_date": NOW, "xcoms": xcoms(conn_id=name)}])
    assert [each["conn_id"] for each in client_of().get("/connections").json()["connections"]] == ["new"]
    assert len(client_of().get("/connections", params={"hours": 48}).json()["connections"]) == 2
    assert moment() == NOW.isoformat()
