"""Replicate: predictions, whose output is a value or files on another host."""

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


def create(server: VendorServer, call: Call) -> Any:
    given = call.json
    if not isinstance(given["input"], dict):
        raise RefusedError(422, "- input: Invalid type. Expected: object, given: string")
    return Answer(describe(server, server.new_job("gm3q{}")), 201)


def describe(server: VendorServer, job: Job) -> Any:
    output: Any = "A cat." if server.vendor.profile == "replicate/predictions" else None
    if output is None:
        output = [f"{server.signed_url}/files/{name}" for name in ("a.txt", "b.txt")]
    return {
        "id": job.id,
        "status": job.state,
        "output": output if job.state == "succeeded" else None,
        "error": "CUDA out of memory" if job.state == "failed" else None,
        "logs": "loading\n" + ("generating\n" if job.polls > 1 else ""),
        "urls": {
            "get": f"{server.url}/v1/predictions/{job.id}",
            "cancel": f"{server.url}/v1/predictions/{job.id}/cancel",
        },
    }


def make(profile: str, **given: Any) -> Vendor:
    return Vendor(
        profile=profile,
        page="replicate",
        check_auth=key_in("authorization", "Bearer r8_example", message="Unauthenticated"),
        error=lambda status, message: {"title": "Error", "detail": message, "status": status},
        routes=(
            Route(
                "POST /v1/predictions",
                create,
                required=("version", "input"),
                optional=("stream", "webhook", "webhook_events_filter"),
            ),
            Route("GET /v1/predictions/{id}", on_poll(describe)),
            Route("POST /v1/predictions/{id}/cancel", on_cancel(describe)),
            Route("GET /files/{name}", lambda _, call: Answer(call.names["name"].encode()), is_public=True),
        ),
        states={
            "success": ("starting", "processing", "processing", "succeeded"),
            "failed": ("starting", "failed"),
            "too_late": ("starting", "aborted"),
        },
        submit={"json": {"version": "5c7d5dc6", "input": {"prompt": "a cat"}}},
        failures={"failed": "CUDA out of memory", "too_late": "aborted"},
        rejected=({"json": {"version": "5c7d5dc6", "input": "a cat"}}, "Expected: object"),
        cancelled=("canceled",),
        rate_limit=({"retry-after": "8"}, 8),
        **given,
    )


VENDORS = (
    make("replicate/predictions", expected="A cat."),
    make("replicate/prediction_files", expected={"a.txt": "a.txt", "b.txt": "b.txt"}, is_written=True),
)
