"""Marketo: bulk extracts, which are created, enqueued and downloaded; all errors have status code 200."""

from __future__ import annotations

import hashlib
from typing import Any

from tests.unit.vendors.vendor import (
    Answer,
    Call,
    Job,
    RefusedError,
    Route,
    Vendor,
    VendorServer,
    on_poll,
)

CSV = "id,email\n7,ann@example.com\n"
EXPORT = {
    "fields": ["id", "email"],
    "filter": {"createdAt": {"startAt": "2026-01-01T00:00:00Z", "endAt": "2026-01-31T00:00:00Z"}},
}


def problem(code: str, message: str) -> RefusedError:
    return RefusedError(200, message, {"success": False, "errors": [{"code": code, "message": message}]})


def check_token(server: VendorServer, call: Call) -> None:
    if not server.tokens or call.headers.get("authorization") != f"Bearer {server.tokens[-1]}":
        raise problem("602", "Access token expired")


def token(server: VendorServer, call: Call) -> Any:
    given = call.form
    if (given["client_id"], given["client_secret"]) != ("client-example", "s3cret-word"):
        raise RefusedError(401, "", {"error": "unauthorized", "error_description": "No client with requested id"})
    return {"access_token": server.new_token(), "token_type": "bearer", "expires_in": 3599, "scope": "robot@acme"}


def wrap(result: Any) -> Any:
    return {"requestId": "e42b#14272d07d78", "success": True, "result": [result]}


def create(server: VendorServer, call: Call) -> Any:
    if "filter" not in call.json:
        return {"success": False, "errors": [{"code": "1003", "message": "filter can't be empty"}]}
    return wrap(describe(server, server.new_job("ce45a7a1-{}", is_enqueued=False)))


def enqueue(server: VendorServer, call: Call) -> Any:
    if server.busy:
        server.busy -= 1
        return {"success": False, "errors": [{"code": "1029", "message": "Too many jobs (10) in queue"}]}
    job = server.find_job(call)
    job.facts = {"is_enqueued": True}
    return wrap(describe(server, job))


def describe(server: VendorServer, job: Job) -> Any:
    described: dict[str, Any] = {"exportId": job.id, "format": "CSV", "status": job.state}
    if not job.facts["is_enqueued"]:
        return described | {"status": "Created"}
    if job.state == "Completed":
        count = 0 if server.scenario == "empty" else 1
        checksum = f"sha256:{hashlib.sha256(CSV.encode()).hexdigest()}"
        return described | {"numberOfRecords": count, "fileSize": len(CSV), "fileChecksum": checksum}
    return described | ({"errorMsg": "The export ran into an error"} if job.state == "Failed" else {})


def cancel(server: VendorServer, call: Call) -> Any:
    job = server.find_job(call)
    if job.is_over:
        return {"success": False, "errors": [{"code": "1029", "message": f"Export {job.id} is complete"}]}
    return wrap(describe(server, server.cancel(job)))


def download(server: VendorServer, call: Call) -> Any:
    if server.find_job(call).state != "Completed":
        raise RefusedError(404, "the export isn't complete")
    return Answer(CSV.encode(), headers={"content-type": "text/csv"})


EXPORTS = "/bulk/v1/leads/export"
VENDORS = (
    Vendor(
        profile="marketo/bulk_extracts",
        page="marketo",
        check_auth=check_token,
        error=lambda status, message: {"success": False, "errors": [{"code": str(status), "message": message}]},
        routes=(
            Route(
                "POST /identity/oauth/token",
                token,
                required=("grant_type", "client_id", "client_secret"),
                body="form",
                is_public=True,
            ),
            Route(f"POST {EXPORTS}/create.json", create, required=("fields",), optional=("filter", "format")),
            Route(f"POST {EXPORTS}/{{id}}/enqueue.json", enqueue),
            Route(f"GET {EXPORTS}/{{id}}/status.json", on_poll(lambda server, job: wrap(describe(server, job)))),
            Route(f"POST {EXPORTS}/{{id}}/cancel.json", cancel),
            Route(f"GET {EXPORTS}/{{id}}/file.json", download),
        ),
        states={
            "success": ("Queued", "Processing", "Completed"),
            "empty": ("Queued", "Completed"),
            "failed": ("Processing", "Failed"),
        },
        submit={"json": EXPORT},
        expected={"file.json": CSV},
        failures={"failed": "The export ran into an error"},
        no_data=("empty",),
        rejected=({"json": {"fields": ["id"]}}, "filter can't be empty"),
        cancelled=("Cancelled",),
        logs_in=True,
        busy=1,
        is_written=True,
    ),
)
