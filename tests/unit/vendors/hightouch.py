"""Hightouch: syncs, whose runs are in a list."""

from __future__ import annotations

from typing import Any

from tests.unit.vendors.vendor import Call, Job, RefusedError, Route, Vendor, VendorServer, key_in


def trigger(server: VendorServer, call: Call) -> Any:
    if call.json["syncId"] != "1127166":
        raise RefusedError(404, "Sync not found")
    return {"id": server.new_job("4200{}").id}


def list_runs(server: VendorServer, call: Call) -> Any:
    job = server.jobs.get(call.query["runId"])
    if job is None or job.state == "not listed":
        if job:
            job.poll()
        return {"data": [], "hasMore": False}
    described = describe(server, job)
    job.poll()
    return {"data": [described], "hasMore": False}


def describe(_: VendorServer, job: Job) -> Any:
    return {
        "id": job.id,
        "status": job.state,
        "completionRatio": {"processing": 0.5}.get(job.state, 1 if job.is_over else 0),
        "error": "The model's query failed" if job.state == "failed" else None,
        "successfulRows": {"addedCount": 7, "changedCount": 0, "removedCount": 0},
        "failedRows": {"addedCount": int(job.state == "warning"), "changedCount": 0, "removedCount": 0},
    }


def report(status: str, failed: int) -> Any:
    return {
        "id": "42001",
        "status": status,
        "completionRatio": 1,
        "error": None,
        "successfulRows": {"addedCount": 7, "changedCount": 0, "removedCount": 0},
        "failedRows": {"addedCount": failed, "changedCount": 0, "removedCount": 0},
    }


VENDORS = (
    Vendor(
        profile="hightouch/syncs",
        page="hightouch",
        check_auth=key_in("authorization", "Bearer key-example", message="Unauthorized"),
        error=lambda _, message: {"message": message},
        routes=(
            Route("POST /api/v1/syncs/trigger", trigger, required=("syncId",), optional=("fullResync",)),
            Route("GET /api/v1/syncs/1127166/runs", list_runs, query=("runId", "limit", "offset")),
        ),
        states={
            "success": ("not listed", "queued", "querying", "processing", "success"),
            "warning": ("processing", "reporting", "warning"),
            "failed": ("querying", "failed"),
            "interrupted": ("processing", "interrupted"),
        },
        submit={"variables": {"sync": "1127166"}},
        expected=report("success", 0),
        results={"warning": report("warning", 1)},
        failures={"failed": "The model's query failed", "interrupted": "interrupted"},
        rejected=({"variables": {"sync": "7"}}, "Sync not found"),
        progress=0.5,
    ),
)
