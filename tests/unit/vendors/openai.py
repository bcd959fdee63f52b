"""OpenAI: files, and batches of requests."""

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

OUTPUT = [{"custom_id": "1", "response": {"status_code": 200, "body": {"id": "r-1"}}, "error": None}]
ERRORS = [{"custom_id": "2", "response": {"status_code": 400, "body": {"error": {"message": "too long"}}}}]
REQUESTS = '{"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m"}}\n'


def upload(server: VendorServer, call: Call) -> Any:
    parts = call.parts
    if parts["purpose"] != b"batch":
        raise RefusedError(400, f"'{parts['purpose'].decode()}' is not one of ['batch']")
    if parts["file"].decode() != REQUESTS:
        raise RefusedError(400, "Invalid file format for Batch API. Must be .jsonl")
    name = f"file-{len(server.files) + 1}"
    server.files[name] = parts["file"]
    return {"id": name, "object": "file", "purpose": "batch", "bytes": len(parts["file"])}


def create(server: VendorServer, call: Call) -> Any:
    given = call.json
    if given["input_file_id"] not in server.files:
        raise RefusedError(400, f"Invalid file: {given['input_file_id']}")
    if given["completion_window"] != "24h":
        raise RefusedError(400, "Invalid value: 'completion_window'")
    return describe(server, server.new_job("batch_{}", metadata=given.get("metadata"), endpoint=given["endpoint"]))


def describe(server: VendorServer, job: Job) -> Any:
    scenario, is_done = server.scenario, job.state == "completed"
    counts = {"total": 2, "completed": 1 if job.polls else 0, "failed": 0}
    output = error = None
    if is_done:
        output = "file-output" if scenario != "all_failed" else None
        error = "file-errors" if scenario in ("partial", "all_failed") else None
        counts = {"total": 2, "completed": 2 - (error is not None), "failed": int(error is not None)}
    server.files |= {"file-output": lines(*OUTPUT), "file-errors": lines(*ERRORS)}
    errors = {"object": "list", "data": [{"code": "invalid_json_line", "message": "line 1 is not JSON", "line": 1}]}
    return {
        "id": job.id,
        "object": "batch",
        "endpoint": job.facts["endpoint"],
        "errors": errors if job.state == "failed" else None,
        "status": job.state,
        "output_file_id": output,
        "error_file_id": error,
        "request_counts": counts,
        "metadata": job.facts["metadata"],
    }


def list_batches(server: VendorServer, call: Call) -> Any:
    return {"object": "list", "data": [describe(server, job) for job in server.jobs.values()], "has_more": False}


def content(server: VendorServer, call: Call) -> Any:
    if call.names["id"] not in server.files:
        raise RefusedError(404, f"No such File object: {call.names['id']}")
    return Answer(server.files[call.names["id"]])


def make(profile: str, key: tuple[str, str] = ("authorization", "Bearer sk-proj-example"), **given: Any) -> Vendor:
    return Vendor(
        profile=profile,
        page="openai",
        check_auth=key_in(*key, message="Incorrect API key provided"),
        error=lambda status, message: {"error": {"message": message, "type": "invalid_request_error", "code": status}},
        routes=(
            Route("POST /v1/files", upload, required=("purpose", "file"), optional=("expires_after",), body="parts"),
            Route(
                "POST /v1/batches",
                create,
                required=("input_file_id", "endpoint", "completion_window"),
                optional=("metadata", "output_expires_after"),
            ),
            Route("GET /v1/batches", list_batches, query=("limit", "after")),
            Route("GET /v1/batches/{id}", on_poll(describe)),
            Route("POST /v1/batches/{id}/cancel", on_cancel(describe)),
            Route("GET /v1/files/{id}/content", content),
        ),
        states={
            "success": ("validating", "in_progress", "finalizing", "completed"),
            "partial": ("in_progress", "completed"),
            "all_failed": ("in_progress", "completed"),
            "invalid": ("validating", "failed"),
            "expired": ("in_progress", "expired"),
        },
        submit={"variables": {"requests": "s3://my-bucket/requests.jsonl"}},
        files={"requests.jsonl": REQUESTS},
        cancelled=("cancelling", "cancelled"),
        rate_limit=({"retry-after": "7"}, 7),
        **given,
    )


VENDORS = (
    make(
        "openai/batches",
        expected=OUTPUT,
        results={"partial": OUTPUT},
        failures={"invalid": "line 1 is not JSON", "expired": "expired", "all_failed": "completed"},
        rejected=({"json": {"input_file_id": "file-1", "endpoint": "/v1/responses"}}, "completion_window"),
        progress=0.5,
    ),
    make("openai/batch_errors", expected=ERRORS, scenario="partial", no_data=("success",)),
    make(
        "openai/azure_batches",
        key=("api-key", "key-example"),
        expected=OUTPUT,
        failures={"expired": "expired"},
        connection=lambda _: {"conn_type": "asyncapi", "password": "key-example", "extra": {}},
    ),
)
