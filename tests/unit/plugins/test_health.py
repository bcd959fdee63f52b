"""The health of a wait: why somebody should look at it, by what the database says."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from tests.unit.plugins.airflow_database import NOW, Database, moment, xcoms


def ago(**given: float) -> dt.datetime:
    return NOW - dt.timedelta(**given)


@pytest.fixture
def assess(database: Database, client_of: Any) -> Any:
    """Store a wait, and return the level and the reasons, which have to be what the database filters and sorts by."""

    def assessed(
        state: str | None = "deferred", made: dict[str, Any] | None = None, **task: Any
    ) -> tuple[str, dict[str, str]]:
        run = database.add_run("exports")
        database.add_tasks(run, [{"state": state, "xcoms": made or xcoms(), **task}])
        client = client_of()
        (job,) = client.get("/jobs", params={"order_by": "risk"}).json()["jobs"]
        level, reasons = job["health"]["level"], {each["code"]: each["message"] for each in job["health"]["reasons"]}
        found = {
            name: client.get("/jobs", params={"health": name}).json()["total"] for name in ("ok", "warning", "critical")
        }
        assert found == {**dict.fromkeys(found, 0), level: 1}
        return level, reasons

    return assessed


def near(**ago_deadline: float) -> dict[str, Any]:
    made = xcoms(deadline=moment(**ago_deadline))
    made["job_wait"]["near_deadline"] = moment(minutes=1)
    return made


def test_a_wait_that_is_polled_is_ok(database: Database, assess: Any) -> None:
    assert assess(trigger_id=database.add_trigger()) == ("ok", {})


@pytest.mark.parametrize(
    ("made", "level", "code", "message"),
    [
        (near(minutes=5), "critical", "past_deadline", "The deadline has passed at 2026-01-31 11:55:00 UTC"),
        (near(minutes=-5), "warning", "deadline_near", "Less than a tenth of the time until the deadline is left"),
        (
            xcoms(status_problem="status_missing", status_problem_message="No status found at 'a.b'"),
            "warning",
            "status_missing",
            "No status found at 'a.b'",
        ),
        (
            xcoms(status_problem="unknown_status", status_problem_message="Unknown status 'X'"),
            "warning",
            "unknown_status",
            "Unknown status 'X'",
        ),
        (xcoms(status_problem="odd"), "warning", "unknown_status", "The status is unknown"),
        (xcoms(error="answered 503"), "warning", "poll_errors", "The last poll failed: answered 503"),
        (
            xcoms(stalled_at=moment(minutes=1)),
            "warning",
            "stalled",
            "Stalled: status and progress unchanged for more than half of stall_timeout",
        ),
        (xcoms(warned_at=moment(minutes=1)), "warning", "late_wait", "The wait takes longer than warn_after"),
        (
            xcoms(delay={"seconds": 9.0, "reason": "connections"}),
            "warning",
            "late_polls",
            "Polls are later than poke_interval",
        ),
    ],
)
def test_each_reason_is_told(assess: Any, made: dict[str, Any], level: str, code: str, message: str) -> None:
    assert assess(made=made) == (level, {code: message})


def test_a_stall_is_told_with_the_time_of_the_last_change(database: Database, client_of: Any) -> None:
    made = xcoms(stalled_at=moment(minutes=20), unchanged_since=moment(minutes=40))
    database.add_tasks(database.add_run("exports"), [{"xcoms": made}])
    (job,) = client_of().get("/jobs").json()["jobs"]
    assert job["health"]["reasons"] == [
        {"code": "stalled", "message": "Stalled: status and progress unchanged", "since": "2026-01-31T11:20:00Z"}
    ]
    assert "status and progress unchanged since 2026-01-31T11:20:00+00:00" in client_of().get("/jobs.csv").text


@pytest.mark.parametrize(
    "made",
    [
        xcoms(deadline=moment(minutes=-30)),
        xcoms(stalled_at=moment(minutes=-1)),
        xcoms(status_problem=None, status_problem_message=None, delay=None, stalled_at=None),
        # Airflow's default deadline, which nobody has set.
        {**xcoms(), "job_wait": {**xcoms()["job_wait"], "default_deadline": moment(minutes=5)}},
    ],
)
def test_what_lies_ahead_is_no_reason(assess: Any, made: dict[str, Any]) -> None:
    assert assess(made=made) == ("ok", {})


@pytest.mark.parametrize("state", ["success", "failed", "skipped"])
def test_what_has_ended_has_its_state_and_no_health(assess: Any, state: str) -> None:
    made = near(minutes=5) | {"job_poll": xcoms(error="503", status_problem="unknown_status")["job_poll"]}
    assert assess(state, made, end_date=NOW) == ("ok", {})


def test_a_triggerer_that_is_silent_is_named_with_the_intervals_that_were_missed(
    database: Database, assess: Any
) -> None:
    trigger = database.add_trigger(heartbeat=ago(minutes=5))
    level, reasons = assess(trigger_id=trigger, pushed_at=ago(minutes=8), made=xcoms(at=moment(minutes=8)))
    assert level == "warning"
    assert reasons == {
        "not_polled": "Not polled for 10 intervals: triggerer triggerer-1 was last heard of at 2026-01-31 11:55:00 UTC"
    }


@pytest.mark.parametrize(
    ("state", "task", "message"),
    [
        (
            "deferred",
            {"trigger_id": "untaken"},
            "no triggerer has taken up the trigger since 2026-01-31 11:55:00 UTC",
        ),
        ("deferred", {"updated_at": ago(minutes=5)}, "the task is deferred, and its trigger is gone"),
        (
            "running",
            {"last_heartbeat_at": ago(minutes=6)},
            "the worker was last heard of at 2026-01-31 11:54:00 UTC",
        ),
        (
            "queued",
            {"updated_at": ago(minutes=6)},
            "the task is queued since 2026-01-31 11:54:00 UTC, and no worker has taken it",
        ),
        (
            "up_for_reschedule",
            {"made": xcoms(due=moment(minutes=6))},
            "the next poke is overdue, and the scheduler hasn't scheduled it",
        ),
    ],
)
def test_that_nobody_polls_is_told_with_the_reason(
    database: Database, assess: Any, state: str, task: dict[str, Any], message: str
) -> None:
    if task.get("trigger_id") == "untaken":
        task = {"trigger_id": database.add_trigger(heartbeat=None, created=ago(minutes=5))}
    level, reasons = assess(state, **task)
    assert level == "warning"
    assert reasons["not_polled"].endswith(message)


@pytest.mark.parametrize(
    ("state", "task"),
    [
        # Deferred just now: another row may be written later.
        ("deferred", {"updated_at": ago(seconds=10)}),
        ("running", {"last_heartbeat_at": ago(minutes=1)}),
        ("running", {}),
        ("queued", {"updated_at": ago(minutes=1)}),
        ("up_for_reschedule", {"made": xcoms(due=moment(minutes=1))}),
        ("up_for_retry", {"updated_at": ago(hours=1)}),
        (None, {"updated_at": ago(hours=1)}),
    ],
)
def test_a_short_silence_is_none(assess: Any, state: str | None, task: dict[str, Any]) -> None:
    assert assess(state, **task) == ("ok", {})


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"job_wait": "text"}, "job_wait"),
        ({"job_wait": {}}, "job_wait"),
        ({"job_wait": {"asyncapi_conn_id": "vendor", "started_at": "soon"}}, "job_wait"),
        ({"job_poll": "text"}, "job_poll"),
        ({"job_poll": {"at": "yesterday"}}, "job_poll"),
        ({"job": "e-7"}, "job"),
        ({"job": [1]}, "job"),
    ],
    ids=str,
)
@pytest.mark.parametrize("state", ["deferred", "success"])
def test_a_row_whose_xcom_is_not_ours_says_so(assess: Any, changes: dict[str, Any], key: str, state: str) -> None:
    level, reasons = assess(state, xcoms() | changes)
    assert level == "warning"
    assert reasons["unreadable"].startswith(f"The XCom {key} isn't one of this provider, or is broken")


def test_polls_are_counted_by_the_interval_up_to_now_to_the_end_and_to_the_last_sign(
    database: Database, client_of: Any
) -> None:
    early = {"pushed_at": ago(minutes=10)}
    made = xcoms(at=moment(minutes=10))
    silent, alive = database.add_trigger(heartbeat=ago(minutes=5)), database.add_trigger()
    tasks = [
        {"task_id": "a_alive", "trigger_id": alive, "xcoms": made, **early},
        {"task_id": "b_silent", "trigger_id": silent, "xcoms": made, **early},
        {"task_id": "c_ended", "state": "success", "end_date": ago(minutes=8), "xcoms": made, **early},
        {
            "task_id": "d_old",
            "xcoms": {**made, "job_poll": {"at": moment(minutes=10), "pause": 30, "error": None}},
            **early,
        },
        {"task_id": "e_none", "xcoms": {key: value for key, value in made.items() if key != "job_poll"}, **early},
    ]
    database.add_tasks(database.add_run("exports"), tasks)
    jobs = client_of().get("/jobs", params={"order_by": "task_id"}).json()["jobs"]
    shown = [(job["polls"], job["last_polled"] and job["last_polled"][11:19], job["next_poll"] is None) for job in jobs]
    assert shown == [
        (24, "12:00:00", False),
        (14, "11:55:00", True),
        (8, "11:52:00", True),
        (None, "12:00:00", False),
        (None, None, True),
    ]


@pytest.mark.parametrize(
    ("poll", "reason"),
    [
        ({}, "the next poll of the schedule"),
        ({"reason": "requested"}, "the API has asked for this pause (Retry-After)"),
        ({"reason": "requested", "error": "503"}, "the last poll failed, and is repeated"),
        ({"reason": "odd"}, "the next poll of the schedule"),
        ({"pause": None}, None),
    ],
)
def test_the_next_poll_has_a_reason(
    database: Database, client_of: Any, poll: dict[str, Any], reason: str | None
) -> None:
    database.add_tasks(database.add_run("exports"), [{"xcoms": xcoms(**poll)}])
    (job,) = client_of().get("/jobs").json()["jobs"]
    assert job["next_poll_reason"] == reason


def test_jobs_at_risk_come_first_then_those_that_have_failed(database: Database, client_of: Any) -> None:
    tasks = [
        {"task_id": "done", "state": "success", "xcoms": xcoms()},
        {"task_id": "fine", "xcoms": xcoms()},
        {"task_id": "failed", "state": "failed", "xcoms": xcoms()},
        {"task_id": "odd", "xcoms": xcoms(status_problem="unknown_status", status_problem_message="Unknown")},
        {"task_id": "late", "xcoms": xcoms(warned_at=moment(minutes=1))},
        {"task_id": "amber", "xcoms": xcoms(error="503")},
        {"task_id": "stalled", "xcoms": xcoms(stalled_at=moment(minutes=1), error="503")},
        {"task_id": "broken", "state": "success", "xcoms": xcoms() | {"job_wait": "text"}},
        {"task_id": "red", "xcoms": near(minutes=1)},
        {"task_id": "redder", "xcoms": near(minutes=2)},
    ]
    database.add_tasks(database.add_run("exports"), tasks)
    expected = ["redder", "red", "stalled", "amber", "broken", "late", "odd", "failed", "fine", "done"]
    client = client_of()
    found = client.get("/jobs", params={"order_by": "risk"}).json()["jobs"]
    assert [job["task_id"] for job in found] == expected
    # A row shows the reason first by which it is sorted.
    assert [each["code"] for each in found[2]["health"]["reasons"]] == ["stalled", "poll_errors"]
    found = client.get("/jobs", params={"health": ["warning", "critical"], "order_by": "risk"}).json()
    assert ([job["task_id"] for job in found["jobs"]], found["total"]) == (expected[:7], 7)
