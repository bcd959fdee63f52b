"""Anthropic: batches of messages."""

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
    lines,
    on_cancel,
    on_poll,
)

RESULTS = [
    {"custom_id": "b", "result": {"type": "succeeded", "message": {"id": "msg_1"}}},
    {"custom_id": "a", "result": {"type": "errored", "error": {"type": "invalid_request"}}},
]
REQUEST = {"custom_id": "a", "params": {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}}


def create(server: VendorServer, call: Call) -> Any:
    requests = call.json["requests"]
    if not requests:
        raise RefusedError(400, "requests: must contain at least one request")
    for request in requests:
        if set(request) != {"custom_id", "params"}:
            raise RefusedError(400, "requests.0.custom_id: Field required")
    return describe(server, server.new_job("msgbatch_{}"))


def describe(server: VendorServer, job: Job) -> Any:
    counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
    is_over, is_cancelled = job.state == "ended", "canceling" in job.states
    kind = "canceled" if is_cancelled else {"all_errored": "errored", "expired": "expired"}.get(server.scenario)
    counts |= {kind: 2} if is_over and kind else {"succeeded": 1, "errored": 1} if is_over else {"processing": 2}
    return {
        "id": job.id,
        "type": "message_batch",
        "processing_status": job.state,
        "request_counts": counts,
        "cancel_initiated_at": "2026-01-31T00:00:00Z" if is_cancelled else None,
        "ended_at": "2026-01-31T00:10:00Z" if is_over else None,
        "results_url": f"{server.url}/v1/messages/batches/{job.id}/results" if is_over else None,
    }


def results(server: VendorServer, call: Call) -> Any:
    if server.find_job(call).state != "ended":
        raise RefusedError(404, "the results are not available yet")
    return Answer(lines(*RESULTS))


VENDORS = (
    Vendor(
        profile="anthropic/message_batches",
        page="anthropic",
        check_auth=key_in("x-api-key", "sk-ant-example", message="invalid x-api-key"),
        error=lambda _, message: {"type": "error", "error": {"type": "invalid_request_error", "message": message}},
        headers={"anthropic-version": "2023-06-01"},
        routes=(
            Route("POST /v1/messages/batches", create, required=("requests",)),
            Route("GET /v1/messages/batches/{id}", on_poll(describe)),
            Route("GET /v1/messages/batches/{id}/results", results),
            Route("POST /v1/messages/batches/{id}/cancel", on_cancel(describe)),
        ),
        states={
            "success": ("in_progress", "in_progress", "ended"),
            "all_errored": ("in_progress", "ended"),
            "expired": ("in_progress", "ended"),
        },
        submit={"json": {"requests": [REQUEST]}},
        expected=RESULTS,
        failures={"all_errored": "ended", "expired": "ended"},
        rejected=({"json": {"requests": [REQUEST], "model": "m"}}, "extra inputs are not permitted"),
        cancelled=("canceling", "ended"),
        rate_limit=({"retry-after": "9"}, 9),
    ),
)
