"""Fivetran: syncs of a connection, which have no identifier; the times of the last ends tell whether one has ended."""

from __future__ import annotations

import base64
from typing import Any

from tests.unit.vendors.vendor import Call, Job, RefusedError, Route, Vendor, VendorServer, key_in, on_poll

BEFORE, AFTER = "2026-01-30T00:00:00.000000Z", "2026-01-31T00:10:00.000000Z"
CREATED = "2025-12-01T00:00:00.000000Z"
KEY = base64.b64encode(b"key-example:s3cret-word").decode()


def sync(server: VendorServer, call: Call) -> Any:
    if call.names["id"] not in ("warm_lake", "abc"):
        raise RefusedError(404, "Cannot find connection")
    if server.jobs:
        raise RefusedError(409, "the test submits once")
    server.new_job(call.names["id"])
    return {
        "code": "Success",
        "message": f"Sync has been successfully triggered for connection with id '{call.names['id']}'",
    }


def get(server: VendorServer, call: Call) -> Any:
    if call.names["id"] in server.jobs:
        return on_poll(describe)(server, call)
    if call.names["id"] not in ("warm_lake", "abc"):
        raise RefusedError(404, "Cannot find connection")
    return describe(server, Job(call.names["id"], ("scheduled",), {}))


def describe(server: VendorServer, job: Job) -> Any:
    is_new = server.scenario == "first"
    data: dict[str, Any] = {
        "id": job.id,
        "created_at": CREATED,
        "succeeded_at": None if is_new else BEFORE,
        "failed_at": None,
        "paused": job.state == "paused",
        "schedule_type": "manual" if server.scenario == "rescheduled" else "auto",
        "status": {"setup_state": "connected", "sync_state": job.state, "update_state": "on_schedule", "tasks": []},
    }
    if job.state in ("succeeded", "failed"):
        data |= {f"{job.state}_at": AFTER}
        data["status"] |= {"sync_state": "scheduled"}
    if job.state == "failed":
        data["status"] |= {"tasks": [{"code": "reconnect", "message": "Reconnect: the password has expired"}]}
    return {"code": "Success", "data": data}


def result(succeeded_at: str) -> Any:
    return {
        "id": "warm_lake",
        "created_at": CREATED,
        "succeeded_at": succeeded_at,
        "failed_at": None,
        "paused": False,
        "schedule_type": "auto",
        "status": {"setup_state": "connected", "sync_state": "scheduled", "update_state": "on_schedule", "tasks": []},
    }


VENDORS = (
    Vendor(
        profile="fivetran/syncs",
        page="fivetran",
        check_auth=key_in("authorization", f"Basic {KEY}", message="Invalid authorization credentials"),
        error=lambda status, message: {"code": {404: "NotFound_Connection"}.get(status, "Error"), "message": message},
        headers={"accept": "application/json;version=2"},
        routes=(
            Route("GET /v1/connections/{id}", get),
            Route("POST /v1/connections/{id}/sync", sync, optional=("force",)),
        ),
        states={
            "success": ("scheduled", "syncing", "syncing", "succeeded"),
            "first": ("syncing", "succeeded"),
            "failed": ("syncing", "failed"),
            "stopped": ("syncing", "paused"),
            "rescheduled": ("syncing", "rescheduled"),
        },
        submit={"variables": {"connection": "warm_lake"}},
        expected=result(AFTER),
        results={"first": result(AFTER)},
        failures={
            "failed": "the password has expired",
            "stopped": "paused",
            "rescheduled": "rescheduled",
        },
        rejected=({"variables": {"connection": "cold_lake"}}, "Cannot find connection"),
        rate_limit=({"retry-after": "13"}, 13),
    ),
)
