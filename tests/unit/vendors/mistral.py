"""Mistral: files, and batches of requests."""

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

OUTPUT = [{"id": "r-1", "custom_id": "0", "response": {"status_code": 200, "body": {"id": "c-1"}}, "error": None}]
ERRORS = [{"id": "r-2", "custom_id": "1", "response": {"status_code": 400}, "error": "too many tokens"}]
REQUESTS = '{"custom_id": "0", "body": {"messages": [{"role": "user", "content": "Which cheese?"}]}}\n'
ENDPOINTS = ("/v1/chat/completions", "/v1/embeddings", "/v1/ocr", "/v1/moderations")


def upload(server: VendorServer, call: Call) -> Any:
    parts = call.parts
    if parts["purpose"] != b"batch" or parts["file"].decode() != REQUESTS:
        raise RefusedError(422, "Input should be 'fine-tune', 'batch' or 'ocr'")
    name = f"3b6d45a{len(server.files) + 1}"
    server.files[name] = parts["file"]
    return {"id": name, "object": "file", "purpose": "batch"}


def create(server: VendorServer, call: Call) -> Any:
    given = call.json
    if any(name not in server.files for name in given["input_files"]):
        raise RefusedError(404, "Input file not found")
    if given["endpoint"] not in ENDPOINTS:
        raise RefusedError(422, "Input should be '/v1/chat/completions', '/v1/embeddings' …")
    return describe(server, server.new_job("job-{}", metadata=given.get("metadata"), model=given["model"]))


def describe(server: VendorServer, job: Job) -> Any:
    scenario, is_done = server.scenario, job.state == "SUCCESS"
    failed = int(is_done and scenario in ("partial", "all_failed"))
    server.files |= {"file-output": lines(*OUTPUT), "file-errors": lines(*ERRORS)}
    return {
        "id": job.id,
        "object": "batch",
        "input_files": ["3b6d45a1"],
        "status": job.state,
        "model": job.facts["model"],
        "metadata": job.facts["metadata"],
        "errors": [{"message": "Invalid line 1", "count": 1}] if job.state == "FAILED" else [],
        "output_file": "file-output" if is_done and scenario != "all_failed" else None,
        "error_file": "file-errors" if failed else None,
        "total_requests": 2,
        "completed_requests": 2 if is_done else int(job.polls > 0),
        "succeeded_requests": 2 - failed if is_done else 0,
        "failed_requests": failed,
    }


def list_jobs(server: VendorServer, call: Call) -> Any:
    data = [describe(server, job) for job in server.jobs.values()]
    return {"object": "list", "data": data, "total": len(data)}


def content(server: VendorServer, call: Call) -> Any:
    if call.names["id"] not in server.files:
        raise RefusedError(404, "No such file")
    return Answer(server.files[call.names["id"]])


def error(status: int, message: str) -> Any:
    return {"detail": [{"type": "enum", "loc": ["body"], "msg": message}]} if status == 422 else {"detail": message}


def make(profile: str, **given: Any) -> Vendor:
    return Vendor(
        profile=profile,
        page="mistral",
        check_auth=key_in("authorization", "Bearer key-example", message="Unauthorized"),
        error=error,
        routes=(
            Route("POST /v1/files", upload, required=("purpose", "file"), body="parts"),
            Route(
                "POST /v1/batch/jobs",
                create,
                required=("input_files", "model", "endpoint"),
                optional=("metadata", "timeout_hours"),
            ),
            Route("GET /v1/batch/jobs", list_jobs, query=("page", "page_size", "order_by")),
            Route("GET /v1/batch/jobs/{id}", on_poll(describe)),
            Route("POST /v1/batch/jobs/{id}/cancel", on_cancel(describe)),
            Route("GET /v1/files/{id}/content", content),
        ),
        states={
            "success": ("QUEUED", "RUNNING", "SUCCESS"),
            "partial": ("RUNNING", "SUCCESS"),
            "all_failed": ("RUNNING", "SUCCESS"),
            "invalid": ("QUEUED", "FAILED"),
            "expired": ("RUNNING", "TIMEOUT_EXCEEDED"),
        },
        submit={"variables": {"requests": "s3://my-bucket/requests.jsonl", "model": "mistral-small-latest"}},
        files={"requests.jsonl": REQUESTS},
        cancelled=("CANCELLATION_REQUESTED", "CANCELLED"),
        rate_limit=({"retry-after": "7"}, 7),
        **given,
    )


VENDORS = (
    make(
        "mistral/batches",
        expected=OUTPUT,
        results={"partial": OUTPUT},
        failures={"invalid": "Invalid line 1", "expired": "TIMEOUT_EXCEEDED", "all_failed": "SUCCESS"},
        rejected=({"json": {"input_files": [], "model": "m", "endpoint": "/v1/agents"}}, "Input should be"),
        progress=0.5,
    ),
    make("mistral/batch_errors", expected=ERRORS, scenario="partial", no_data=("success",)),
)
