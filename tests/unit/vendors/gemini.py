"""Gemini: files that are uploaded in two requests, and batches of requests."""

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

REQUESTS = '{"key": "1", "request": {"contents": [{"parts": [{"text": "A joke"}]}]}}\n'
OUTPUT = [
    {"key": "1", "response": {"candidates": [{"content": {"parts": [{"text": "Ha"}]}}]}},
    {"key": "2", "error": {"code": 400, "message": "The request is invalid"}},
]
NAMES = {400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}


def start_upload(server: VendorServer, call: Call) -> Any:
    if call.headers.get("x-goog-upload-protocol") != "resumable" or call.headers["x-goog-upload-command"] != "start":
        raise RefusedError(400, "Invalid upload protocol")
    url = f"{server.url}/upload/v1beta/files?upload_id=u-1&upload_protocol=resumable"
    return Answer({}, headers={"X-Goog-Upload-URL": url, "X-Goog-Upload-Status": "active"})


def upload(server: VendorServer, call: Call) -> Any:
    if "upload_id" not in call.query:
        return start_upload(server, call)
    if call.headers.get("x-goog-upload-command") != "upload, finalize" or call.headers["x-goog-upload-offset"] != "0":
        raise RefusedError(400, "Invalid upload command")
    server.files["files/in-1"] = call.body
    return {"file": {"name": "files/in-1", "mimeType": "application/jsonl", "state": "ACTIVE"}}


def create(server: VendorServer, call: Call) -> Any:
    batch = call.json["batch"]
    if server.files.get(batch["inputConfig"].get("fileName"), b"").decode() != REQUESTS:
        raise RefusedError(400, "The input file doesn't exist or isn't JSONL")
    return describe(server, server.new_job("batches/b{}", name=batch["displayName"]))


def describe(_: VendorServer, job: Job) -> Any:
    stats = {"requestCount": "2", "pendingRequestCount": "1" if job.polls else "2"}
    described: dict[str, Any] = {
        "name": job.id,
        "metadata": {"@type": "x", "state": job.state, "displayName": job.facts["name"], "batchStats": stats},
    }
    if job.state == "BATCH_STATE_SUCCEEDED":
        described["metadata"]["batchStats"] = {"requestCount": "2", "successfulRequestCount": "1"}
        described |= {"done": True, "response": {"@type": "y", "responsesFile": "files/batch-b1"}}
    elif job.is_over:
        described |= {"done": True, "error": {"code": 3, "message": f"The batch has ended: {job.state}"}}
    return described


def find(handler: Any) -> Any:
    """Return a handler of the batch whose name has two parts."""

    def answer(server: VendorServer, call: Call) -> Any:
        name = f"batches/{call.names['id']}"
        return handler(server, Call(call.method, call.path, call.query, call.headers, call.body, {"id": name}))

    return answer


def download(server: VendorServer, call: Call) -> Any:
    if call.names["id"] != "batch-b1" or call.query.get("alt") != "media":
        raise RefusedError(404, "The file doesn't exist")
    return Answer(lines(*OUTPUT))


VENDORS = (
    Vendor(
        profile="gemini/batches",
        page="gemini",
        check_auth=key_in("x-goog-api-key", "AIza-example", 403, "Your API key was reported as leaked."),
        error=lambda status, message: {
            "error": {"code": status, "message": message, "status": NAMES.get(status, "UNKNOWN")}
        },
        routes=(
            Route("POST /upload/v1beta/files", upload, body="bytes", query=("upload_id", "upload_protocol")),
            Route("POST /v1beta/models/gemini-2.5-flash:batchGenerateContent", create, required=("batch",)),
            Route(
                "GET /v1beta/batches",
                lambda server, _: {"operations": [describe(server, job) for job in server.jobs.values()]},
                query=("pageSize", "pageToken"),
            ),
            Route("GET /v1beta/batches/{id}", find(on_poll(describe))),
            Route("POST /v1beta/batches/{id}:cancel", find(on_cancel(lambda _, __: {}))),
            Route("GET /download/v1beta/files/{id}:download", download, query=("alt",)),
        ),
        states={
            "success": ("BATCH_STATE_PENDING", "BATCH_STATE_RUNNING", "BATCH_STATE_SUCCEEDED"),
            "failed": ("BATCH_STATE_RUNNING", "BATCH_STATE_FAILED"),
            "expired": ("BATCH_STATE_PENDING", "BATCH_STATE_EXPIRED"),
        },
        submit={"variables": {"model": "gemini-2.5-flash", "requests": "s3://my-bucket/requests.jsonl"}},
        files={"requests.jsonl": REQUESTS},
        expected=OUTPUT,
        failures={"failed": "BATCH_STATE_FAILED", "expired": "BATCH_STATE_EXPIRED"},
        rejected=({"json": {"batch": {"displayName": "x", "inputConfig": {"fileName": "files/no"}}}}, "isn't JSONL"),
        cancelled=("BATCH_STATE_CANCELLED",),
        progress=0.5,
    ),
)
