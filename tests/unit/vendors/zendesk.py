"""Zendesk: background jobs, whose statuses are polled together."""

from __future__ import annotations

import base64
from typing import Any

from tests.unit.vendors.vendor import Call, Job, RefusedError, Route, Vendor, VendorServer, key_in

TICKETS = {"tickets": [{"subject": "Printer"}, {"subject": "Screen"}]}
RESULTS = [{"index": 0, "id": 244, "success": True}, {"index": 1, "id": 245, "success": True}]
KEY = "Basic " + base64.b64encode(b"robot@example.com/token:token-example").decode()


def create(server: VendorServer, call: Call) -> Any:
    tickets = call.json["tickets"]
    if len(tickets) > 100:
        raise RefusedError(400, "Too many tickets: at most 100")
    if any("subject" not in ticket for ticket in tickets):
        raise RefusedError(422, "Record validation errors")
    return {"job_status": describe(server, server.new_job("8b726e{}"))}


def describe(server: VendorServer, job: Job) -> Any:
    is_over = job.state in ("completed", "failed", "killed")
    results: Any = None
    if job.state == "completed":
        results = RESULTS
        if server.scenario == "partial":
            results = [RESULTS[0], {"index": 1, "error": "TicketCreateFailed", "details": "Subject: is too long"}]
    return {
        "id": job.id,
        "url": f"{server.url}/api/v2/job_statuses/{job.id}.json",
        "total": 2,
        "progress": 2 if is_over else int(job.polls > 0),
        "status": job.state,
        "message": "The job ran into an error" if job.state == "failed" else None,
        "results": results,
    }


def show_many(server: VendorServer, call: Call) -> Any:
    names = call.query["ids"].split(",")
    if len(names) > 100:
        raise RefusedError(400, "Too many ids")
    found = [server.jobs[name] for name in names if name in server.jobs]
    items = [describe(server, job) for job in found]
    for job in found:
        job.poll()
    return {"job_statuses": items, "count": len(items)}


VENDORS = (
    Vendor(
        profile="zendesk/jobs",
        page="zendesk",
        check_auth=key_in("authorization", KEY, message="Couldn't authenticate you"),
        error=lambda status, message: {"error": {401: "Unauthorized"}.get(status, "Invalid"), "description": message},
        routes=(
            Route("POST /api/v2/tickets/create_many", create, required=("tickets",)),
            Route("GET /api/v2/job_statuses/show_many", show_many, query=("ids",)),
            Route(
                "GET /api/v2/job_statuses/{id}",
                lambda server, call: {"job_status": describe(server, server.find_job(call))},
            ),
        ),
        states={
            "success": ("queued", "working", "completed"),
            "partial": ("working", "completed"),
            "failed": ("queued", "failed"),
            "killed": ("working", "killed"),
        },
        submit={"endpoint": "/api/v2/tickets/create_many", "json": TICKETS},
        expected=RESULTS,
        failures={"failed": "The job ran into an error", "killed": "killed"},
        partial=("partial",),
        rejected=({"json": {"tickets": [{}]}}, "Record validation errors"),
        rate_limit=({"retry-after": "93"}, 93),
        progress=0.5,
    ),
)
