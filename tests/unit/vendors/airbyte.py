"""Airbyte: sync jobs."""

from __future__ import annotations

from typing import Any

from tests.unit.vendors.vendor import (
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

REPORT = {"jobId": 1001, "status": "succeeded", "jobType": "sync", "rowsSynced": 42, "bytesSynced": 4200}


def token(server: VendorServer, call: Call) -> Any:
    given = call.json
    if (given["client_id"], given["client_secret"]) != ("client-example", "s3cret-word"):
        raise RefusedError(401, "invalid client")
    return {"access_token": server.new_token(), "token_type": "Bearer", "expires_in": 900}


def create(server: VendorServer, call: Call) -> Any:
    given = call.json
    if given["jobType"] not in ("sync", "reset", "refresh", "clear"):
        raise RefusedError(400, f"Unexpected value '{given['jobType']}' of jobType")
    return describe(server, server.new_job("100{}"))


def describe(_: VendorServer, job: Job) -> Any:
    described = {"jobId": int(job.id), "status": job.state, "jobType": "sync"}
    return described | ({"rowsSynced": 42, "bytesSynced": 4200} if job.state == "succeeded" else {})


VENDORS = (
    Vendor(
        profile="airbyte/jobs",
        page="airbyte",
        check_auth=last_token(message="Unauthorized"),
        error=lambda status, message: {"type": "about:blank", "title": "error", "detail": message, "status": status},
        routes=(
            Route(
                "POST /applications/token",
                token,
                required=("client_id", "client_secret"),
                optional=("grant-type", "grant_type"),
                is_public=True,
            ),
            Route("POST /jobs", create, required=("connectionId", "jobType"), optional=("jobConfiguration",)),
            Route("GET /jobs/{id}", on_poll(describe)),
            Route("DELETE /jobs/{id}", on_cancel(describe)),
        ),
        states={
            "success": ("pending", "running", "incomplete", "running", "succeeded"),
            "failed": ("running", "incomplete", "failed"),
        },
        submit={"variables": {"connection": "e735894a-e773-4938-969f-45f53957b75b"}},
        expected=REPORT,
        failures={"failed": "failed"},
        rejected=({"variables": {"connection": "e7", "job_type": "dance"}}, "Unexpected value 'dance'"),
        cancelled=("cancelled",),
        logs_in=True,
    ),
)
