"""The view of one job: its timeline, its last response, its result, and who sees what."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from airflow_provider_asyncapi.airflow_private.api_server import DagAccessEntity
from airflow_provider_asyncapi.plugins import database as module
from tests.integration.ui.auth.restricted import RestrictedAuthManager
from tests.unit.plugins.airflow_database import NOW, Database, moment, xcoms

ASKED = {"dag_id": "exports", "run_id": "run", "task_id": "wait"}
ANSWER = {
    "at": moment(minutes=5),
    "request": "GET https://api.example.com/jobs/j-1",
    "status_code": 200,
    "content_type": "application/json",
    "text": '{"status": "RUNNING"}',
}


def history(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"job_history": {"entries": list(entries), **more}}


def entry(kind: str, minutes: float, **more: Any) -> dict[str, Any]:
    return {"at": moment(minutes=minutes), "kind": kind, **more}


def show(client: Any, **more: Any) -> Any:
    answer = client.get("/jobs/details", params={**ASKED, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_timeline_begins_with_the_first_poll_in_the_summary_of_the_wait(database: Database, client_of: Any) -> None:
    part = {"entries": [entry("status", 9, status="QUEUED")], "last_response": ANSWER}
    made = xcoms() | {"job_wait": {**xcoms()["job_wait"], "history": part}}
    database.add_tasks(database.add_run("exports"), [{"xcoms": made}])
    shown = show(client_of())
    assert [each["kind"] for each in shown["timeline"]] == ["submitted", "waiting", "status"]
    assert shown["last_response"]["text"] == ANSWER["text"]


def test_a_job_is_shown_with_its_timeline(database: Database, client_of: Any) -> None:
    run = database.add_run("exports")
    attempts = [
        {
            "identifier": "j-0",
            "status": "FAILED",
            "message": "no space",
            "submitted_at": (NOW - dt.timedelta(minutes=20)).timestamp(),
            "ended_at": (NOW - dt.timedelta(minutes=15)).timestamp(),
            "how": "submit",
        }
    ]
    seen = history(
        entry("status", 9, status="QUEUED"),
        entry("error", 7, message="GET /jobs/j-1 answered 503", status="QUEUED"),
        entry("recovered", 6, message="Polls are answered again", status="QUEUED"),
        entry("status", 5, status="RUNNING", progress=0.5),
        entry("cancelled", 1, message="admin has cancelled the job"),
        left_out=3,
        last_response=ANSWER,
    )
    made = xcoms(attempts=attempts, warned_at=moment(minutes=2), url="https://vendor.example/j-1") | seen
    database.add_tasks(run, [{"xcoms": made}])
    database.statements.clear()
    shown = show(client_of())
    assert [(each["kind"], each["status"]) for each in shown["timeline"]] == [
        ("submitted", None),
        ("failed", "FAILED"),
        ("resubmitted", None),
        ("waiting", None),
        ("status", "QUEUED"),
        ("error", "QUEUED"),
        ("recovered", "QUEUED"),
        ("status", "RUNNING"),
        ("late_wait", None),
        ("cancelled", None),
    ]
    assert [each["at"] for each in shown["timeline"]] == sorted(each["at"] for each in shown["timeline"])
    assert shown["left_out"] == 3
    assert shown["last_response"] == {**ANSWER, "at": "2026-01-31T11:55:00Z"}
    assert [each["message"] for each in shown["timeline"][:2]] == ["Job j-0", "no space"]
    assert shown["job"]["identifier"] == "j-1"
    assert shown["result"] is None
    # The DAGs that may be read, the job, its XComs, the result that another task has fetched, the team of the DAG.
    assert len(database.statements) <= 5
    assert "planted" not in str(shown)


def test_the_end_is_shown_with_the_error(database: Database, client_of: Any) -> None:
    ended = NOW - dt.timedelta(minutes=1)
    made = xcoms(status="FAILED", error="Job j-1 has failed: locked", pause=None)
    database.add_tasks(database.add_run("exports"), [{"state": "failed", "end_date": ended, "xcoms": made}])
    last = show(client_of())["timeline"][-1]
    assert (last["kind"], last["message"]) == ("ended", "The task has failed: Job j-1 has failed: locked")
    assert last["at"] == "2026-01-31T11:59:00Z"


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("success", "The task has succeeded"),
        ("skipped", "The task was skipped"),
        ("upstream_failed", "The task has ended in state upstream_failed"),
    ],
)
def test_the_end_is_a_sentence(database: Database, client_of: Any, state: str, message: str) -> None:
    database.add_tasks(database.add_run("exports"), [{"state": state, "end_date": NOW, "xcoms": xcoms()}])
    assert show(client_of())["timeline"][-1]["message"] == message


@pytest.mark.parametrize(
    ("minutes", "message"),
    [
        (1, "The wait has taken 120 s, longer than warn_after"),
        # Whatever a task has pushed.
        (5, "The wait takes longer than warn_after"),
    ],
)
def test_a_late_wait_is_shown_with_its_time(database: Database, client_of: Any, minutes: int, message: str) -> None:
    made = xcoms(warned_at=moment(minutes=minutes))
    made["job_wait"]["started_at"] = moment(minutes=3)
    database.add_tasks(database.add_run("exports"), [{"xcoms": made}])
    entries = show(client_of())["timeline"]
    assert [entry["message"] for entry in entries if entry["kind"] == "late_wait"] == [message]


def test_a_failed_submit_has_no_wait(database: Database, client_of: Any) -> None:
    wait = {"kind": "submit", "asyncapi_conn_id": "vendor", "started_at": moment(minutes=2), "deadline": None}
    poll = {"at": moment(minutes=1), "pause": None, "error": "POST /jobs answered 400: no such report"}
    made = {"job_wait": wait, "job_poll": poll}
    submit = {"task_id": "submit", "state": "failed", "end_date": NOW, "xcoms": made}
    database.add_tasks(database.add_run("exports"), [submit])
    shown = show(client_of(), task_id="submit")
    assert (shown["job"]["kind"], shown["job"]["identifier"]) == ("submit", None)
    assert (shown["job"]["last_polled"], shown["job"]["polls"]) == (None, None)
    assert shown["job"]["error"] == "POST /jobs answered 400: no such report"
    assert [each["kind"] for each in shown["timeline"]] == ["ended"]
    (listed,) = client_of().get("/jobs", params={"group": "failed"}).json()["jobs"]
    assert (listed["task_id"], listed["kind"], listed["duration"]) == ("submit", "submit", 120.0)


def test_a_result_is_found_on_the_task_that_has_fetched_it(database: Database, client_of: Any) -> None:
    result = {
        "identifier": "j-1",
        "at": moment(minutes=1),
        "rows": 7,
        "bytes": 99,
        "files": ["s3://b/a"],
        "file_count": 3,
    }
    other = {**result, "identifier": "j-2", "rows": 8}
    tasks = [
        {"state": "success", "end_date": NOW, "xcoms": xcoms()},
        {"task_id": "fetch", "map_index": 0, "xcoms": {"job_result": other}},
        {"task_id": "fetch", "map_index": 1, "xcoms": {"job_result": result}},
    ]
    database.add_tasks(database.add_run("exports"), tasks)
    shown = show(client_of())
    assert shown["result"] == {
        "at": "2026-01-31T11:59:00Z",
        "rows": 7,
        "bytes": 99,
        "files": ["s3://b/a"],
        "file_count": 3,
    }
    (fetched,) = [each for each in shown["timeline"] if each["kind"] == "fetched"]
    assert fetched["message"] == "7 rows, 99 bytes, 3 files"


def test_the_manifest_of_the_task_itself_is_its_result(database: Database, client_of: Any) -> None:
    manifest = {"paths": ["a.csv"], "bytes": 5, "sha256": ["x"], "rows": 2, "content_type": "text/csv"}
    done = {"state": "success", "end_date": NOW, "xcoms": xcoms() | {"return_value": manifest}}
    database.add_tasks(database.add_run("exports"), [done])
    result = show(client_of())["result"]
    assert (result["rows"], result["bytes"], result["files"]) == (2, 5, ["a.csv"])


def test_the_last_response_is_for_those_who_may_read_the_xcoms_of_the_dag(
    database: Database, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoXComsOfDag(RestrictedAuthManager):
        def is_authorized_dag(self, *, access_entity: Any = None, details: Any = None, **given: Any) -> bool:
            return details is None or access_entity is not DagAccessEntity.XCOM

    database.add_tasks(database.add_run("exports"), [{"xcoms": xcoms() | history(last_response=ANSWER)}])
    assert show(client_of())["last_response"] is not None
    monkeypatch.setattr(module, "get_auth_manager", NoXComsOfDag)
    assert show(client_of())["last_response"] is None


def test_who_may_not_read_the_dag_learns_as_much_as_of_a_job_that_does_not_exist(
    database: Database, client_of: Any
) -> None:
    database.add_tasks(database.add_run("closed"), [{"xcoms": xcoms("planted")}])
    asked = {**ASKED, "dag_id": "closed"}
    assert client_of("admin").get("/jobs/details", params=asked).status_code == 200
    hidden = client_of("reader").get("/jobs/details", params=asked)
    missing = client_of("reader").get("/jobs/details", params={**ASKED, "dag_id": "open_nothing"})
    assert (hidden.status_code, hidden.json()) == (missing.status_code, missing.json()) == (404, hidden.json())
    assert "planted" not in hidden.text


@pytest.mark.parametrize("query", [{"dag_id": "\0"}, {"map_index": 2**40}, {"map_index": "x"}, {"more": 1}], ids=str)
def test_what_cant_be_meant_is_refused(database: Database, client_of: Any, query: dict[str, Any]) -> None:
    answer = client_of().get("/jobs/details", params={**ASKED, **query})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", *query]


EXTREMES: list[Any] = [
    "\ud83d",
    "a\u0000b",
    float("nan"),
    10**400,
    1e300,
    True,
    [],
    [[[]]],
    {"a": [1]},
    "9999-12-31T23:59:59-14:00",
]


@pytest.mark.parametrize("extreme", EXTREMES, ids=lambda value: repr(value)[:30])
def test_whatever_a_task_has_pushed_the_job_is_shown(database: Database, client_of: Any, extreme: Any) -> None:
    good_entry, attempt = entry("status", 5, status="RUNNING"), {"identifier": "j-0", "ended_at": 5}
    result = {"identifier": "j-1", "at": moment(), "rows": 1, "files": ["a"]}
    manifest = {"paths": ["a"], "bytes": 1, "sha256": []}
    variants: list[dict[str, Any]] = [
        {"job_history": extreme},
        {"job_history": {"entries": extreme}},
        {"job_wait": {**xcoms()["job_wait"], "history": extreme}},
        {"job_history": {"entries": [extreme], "left_out": extreme, "last_response": extreme}},
        *(
            {"job_history": {"entries": [{**good_entry, name: extreme}]}}
            for name in ("at", "kind", "message", "status", "progress")
        ),
        *({"job_history": {"entries": [], "last_response": {**ANSWER, name: extreme}}} for name in ANSWER),
        {"job_attempts": extreme},
        {"job_attempts": [extreme]},
        *({"job_attempts": [{**attempt, name: extreme}]} for name in ("identifier", "message", "ended_at", "how")),
        {"job_result": extreme},
        *({"job_result": {**result, name: extreme}} for name in result),
        *({"return_value": {**manifest, name: extreme}} for name in manifest),
        {"job_wait": {**xcoms()["job_wait"], "kind": extreme, "near_deadline": extreme}},
    ]
    tasks = [{"task_id": f"bad-{number}", "xcoms": xcoms() | each} for number, each in enumerate(variants)]
    database.add_tasks(database.add_run("exports"), tasks)
    for task in tasks:
        job = show(client_of(), task_id=task["task_id"])["job"]
        # A NaN makes the whole XCom unreadable for SQLite, and the row says so.
        is_unreadable = "unreadable" in [each["code"] for each in job["health"]["reasons"]]
        assert job["conn_id"] == (None if is_unreadable else "vendor")
