"""Census: syncs, and their runs."""

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
    key_in,
    on_cancel,
    on_poll,
)


def trigger(server: VendorServer, call: Call) -> Any:
    if not isinstance(call.json["force_full_sync"], bool):
        raise RefusedError(400, "force_full_sync is invalid")
    if call.names["sync"] != "52":
        return Answer({"status": "error", "message": "The sync is paused"})
    return {"status": "success", "data": {"sync_run_id": int(server.new_job("90{}").id)}}


def describe(_: VendorServer, job: Job) -> Any:
    message = {"failed": "The destination refused the token", "skipped": "An earlier run isn't over"}.get(job.state)
    data = {
        "id": int(job.id),
        "status": job.state,
        "error_message": message,
        "records_processed": 7,
        "records_failed": 0,
    }
    return {"status": "success", "data": data}


VENDORS = (
    Vendor(
        profile="census/syncs",
        page="census",
        check_auth=key_in("authorization", "Bearer secret-token:example", message="Access denied"),
        error=lambda _, message: {"status": "error", "message": message},
        routes=(
            Route("POST /api/v1/syncs/{sync}/trigger", trigger, required=("force_full_sync",)),
            Route("GET /api/v1/sync_runs/{id}", on_poll(describe)),
            Route("POST /api/v1/sync_runs/{id}/cancel", on_cancel(lambda _, __: {"status": "success"})),
        ),
        states={
            "success": ("queued", "working", "completed"),
            "failed": ("working", "failed"),
            "skipped": ("queued", "skipped"),
        },
        submit={"variables": {"sync": 52}},
        expected={
            "id": 901,
            "status": "completed",
            "error_message": None,
            "records_processed": 7,
            "records_failed": 0,
        },
        failures={"failed": "The destination refused the token", "skipped": "An earlier run isn't over"},
        rejected=({"variables": {"sync": 53}}, "The sync is paused"),
        cancelled=("failed",),
        rate_limit=({"retry-after": "12"}, 12),
    ),
)
