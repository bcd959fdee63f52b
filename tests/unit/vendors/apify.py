"""Apify: runs of Actors, and the items of their datasets."""

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

ITEMS = [{"url": f"https://example.com/{number}"} for number in range(2500)]


def run(server: VendorServer, call: Call) -> Any:
    if call.names["actor"] != "apify~website-content-crawler":
        raise RefusedError(404, "Actor was not found")
    return Answer(describe(server, server.new_job("run{}", input=call.json)), 201)


def describe(_: VendorServer, job: Job) -> Any:
    message = "The Actor ran out of memory" if job.state == "FAILED" else None
    return {"data": {"id": job.id, "status": job.state, "statusMessage": message, "defaultDatasetId": f"ds-{job.id}"}}


def resurrect(server: VendorServer, call: Call) -> Any:
    job = server.resume(server.find_job(call))
    server.scenario = "success"
    return describe(server, job)


def items(server: VendorServer, call: Call) -> Any:
    if call.query["format"] != "json":
        raise RefusedError(400, f"Unknown format: {call.query['format']}")
    offset, limit = int(call.query["offset"]), int(call.query["limit"])
    return ITEMS[offset : offset + limit] if server.scenario == "success" else []


VENDORS = (
    Vendor(
        profile="apify/actor_runs",
        page="apify",
        check_auth=key_in(
            "authorization", "Bearer apify_api_example", message="User was not found or token is invalid"
        ),
        error=lambda _, message: {"error": {"type": "invalid-request", "message": message}},
        routes=(
            Route("POST /v2/acts/{actor}/runs", run, optional=None, query=("memory", "timeout", "build", "maxItems")),
            Route("GET /v2/actor-runs/{id}", on_poll(describe), query=("waitForFinish",)),
            Route("POST /v2/actor-runs/{id}/abort", on_cancel(describe), query=("gracefully",)),
            Route("POST /v2/actor-runs/{id}/resurrect", resurrect, query=("build", "timeout", "memory")),
            Route("GET /v2/datasets/{dataset}/items", items, query=("format", "offset", "limit", "clean", "fields")),
        ),
        states={
            "success": ("READY", "RUNNING", "SUCCEEDED"),
            "empty": ("RUNNING", "SUCCEEDED"),
            "failed": ("RUNNING", "FAILED"),
            "timed_out": ("RUNNING", "TIMING-OUT", "TIMED-OUT"),
        },
        submit={
            "variables": {"actor": "apify~website-content-crawler"},
            "json": {"startUrls": [{"url": "https://example.com"}]},
        },
        fetch={"max_xcom_bytes": 200_000},
        expected=ITEMS,
        results={"empty": []},
        failures={"failed": "ran out of memory", "timed_out": "TIMED-OUT"},
        rejected=({"variables": {"actor": "nobody~nothing"}}, "Actor was not found"),
        cancelled=("ABORTING", "ABORTED"),
        repair="POST /v2/actor-runs/{id}/resurrect",
    ),
)
