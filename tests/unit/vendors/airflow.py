"""Another Airflow: runs of its DAGs."""

from __future__ import annotations

from typing import Any

from tests.unit.vendors.vendor import (
    Answer,
    Call,
    Job,
    RefusedError,
    Route,
    Vendor,
    VendorServer,
    last_token,
    on_cancel,
    on_poll,
)

ROWS = {"rows": 42}


def log_in(server: VendorServer, call: Call) -> Any:
    if call.json != {"username": "robot", "password": "s3cret-word"}:
        raise RefusedError(401, "Invalid credentials")
    return Answer({"access_token": server.new_token()}, 201)


def trigger(server: VendorServer, call: Call) -> Any:
    if call.names["dag"] != "nightly":
        raise RefusedError(404, f"The Dag with dag_id: `{call.names['dag']}` was not found")
    given = call.json
    # Variables keep their types.
    if given["conf"] not in ({}, {"day": "2026-01-31", "shops": [1, 2]}):
        raise RefusedError(422, "Input should be a valid dictionary")
    if given["logical_date"] is not None:
        raise RefusedError(422, "Input should be a valid datetime")
    run_id = given["dag_run_id"]
    if run_id in server.jobs:
        raise RefusedError(409, f"Unique constraint violation: {run_id}")
    return describe(server, server.new_job(run_id))


def describe(_: VendorServer, job: Job) -> Any:
    note = "Task load failed" if job.state == "failed" else None
    return {"dag_run_id": job.id, "dag_id": "nightly", "state": job.state, "note": note}


def xcom(server: VendorServer, call: Call) -> Any:
    server.find_job(call)
    if (call.names["task"], call.names["key"]) != ("report", "return_value"):
        raise RefusedError(404, "XCom entry not found")
    return {"key": "return_value", "value": ROWS}


def update(server: VendorServer, call: Call) -> Any:
    if call.json["state"] not in ("success", "failed", "queued"):
        raise RefusedError(422, "Input should be 'queued', 'success' or 'failed'")
    return on_cancel(describe)(server, call)


RUN = "/api/v2/dags/{dag}/dagRuns/{id}"
VENDORS = (
    Vendor(
        profile="airflow/dag_runs",
        page="airflow",
        check_auth=last_token(message="Token Expired"),
        error=lambda _, message: {"detail": message},
        routes=(
            Route("POST /auth/token", log_in, required=("username", "password"), is_public=True),
            Route(
                "POST /api/v2/dags/{dag}/dagRuns",
                trigger,
                required=("logical_date",),
                optional=("dag_run_id", "conf", "note", "run_after", "data_interval_start", "data_interval_end"),
            ),
            Route(f"GET {RUN}", on_poll(describe)),
            Route(f"PATCH {RUN}", update, required=("state",), optional=("note",), query=("update_mask",)),
            Route(f"GET {RUN}/taskInstances/{{task}}/xcomEntries/{{key}}", xcom, query=("deserialize", "stringify")),
        ),
        states={
            "success": ("queued", "running", "success"),
            "failed": ("running", "failed"),
        },
        submit={"variables": {"dag": "nightly", "task": "report", "conf": {"day": "2026-01-31", "shops": [1, 2]}}},
        expected=ROWS,
        failures={"failed": "Task load failed"},
        rejected=({"variables": {"dag": "weekly"}}, "`weekly` was not found"),
        cancelled=("failed",),
        logs_in=True,
    ),
)
