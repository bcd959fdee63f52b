"""Databricks: runs of jobs, and SQL statements."""

from __future__ import annotations

import json
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
    on_poll,
)

#: The life cycle of a run; after it the result.
ENDED = ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")
TASKS = [{"run_id": 1001, "task_key": "load"}, {"run_id": 1002, "task_key": "report"}]
Rows = list[list[str | None]]
SMALL: list[Rows] = [[["1", "Ann"], ["2", None]], [["3", "Cid"]]]
#: Chunks of more than the MiB that a poll reads.
LARGE: list[Rows] = [[[f"{chunk}-{row}", "x" * 900] for row in range(1_200)] for chunk in range(4)]
CHUNKS: dict[str, list[Rows]] = {"success": SMALL, "empty": [], "large": LARGE}
#: A header that the store needs, if the results are encrypted with a key.
KEY_HEADER = "x-amz-server-side-encryption-customer-key"


def error(status: int, message: str) -> Any:
    codes = {401: "UNAUTHENTICATED", 404: "RESOURCE_DOES_NOT_EXIST", 429: "REQUEST_LIMIT_EXCEEDED"}
    return {"error_code": codes.get(status, "INVALID_PARAMETER_VALUE"), "message": message}


def run_now(server: VendorServer, call: Call) -> Any:
    given = call.json
    token = given.get("idempotency_token", "")
    if len(token) > 64:
        raise RefusedError(400, "idempotency_token: at most 64 characters")
    if "job_parameters" in given and "notebook_params" in given:
        raise RefusedError(400, "notebook_params can't be used with job_parameters")
    if not isinstance(given["job_id"], int):
        raise RefusedError(400, "job_id: expected int64")
    for job in server.jobs.values():
        if token and job.facts["token"] == token:
            return {"run_id": int(job.id)}
    return {"run_id": int(server.new_job("45{}", token=token, repairs=[]).id)}


def find_run(server: VendorServer, run_id: Any) -> Job:
    if str(run_id) not in server.jobs:
        raise RefusedError(404, f"Run {run_id} does not exist.")
    return server.jobs[str(run_id)]


def get_run(server: VendorServer, call: Call) -> Any:
    job = find_run(server, call.query["run_id"])
    life_cycle, _, result = job.state.partition(" ")
    page = int(call.query.get("page_token", "page-0").removeprefix("page-"))
    job.poll()
    state = {"life_cycle_state": life_cycle, "state_message": f"the run is {life_cycle}"}
    if life_cycle in ENDED:
        state |= {"result_state": result} if result else {}
        state["state_message"] = "Task load failed with an error" if result == "FAILED" else f"{life_cycle} {result}"
    described = {
        "run_id": int(job.id),
        "state": state,
        "run_page_url": f"https://dbc.example.com/#job/1/run/{job.id}",
        "tasks": TASKS[page : page + 1],
    }
    return described | ({"next_page_token": f"page-{page + 1}"} if page + 1 < len(TASKS) else {})


def cancel_run(server: VendorServer, call: Call) -> Any:
    job = find_run(server, call.json["run_id"])
    if not job.is_over:
        server.cancel(job)
    return {}


def repair_run(server: VendorServer, call: Call) -> Any:
    job = find_run(server, call.json["run_id"])
    if job.facts["repairs"]:
        raise RefusedError(400, "latest_repair_id is required to repair a run again")
    server.resume(job)
    job.facts["repairs"].append(734650698524280)
    return {"repair_id": 734650698524280}


def execute(server: VendorServer, call: Call) -> Any:
    given = call.json
    if given["wait_timeout"] != "0s":
        raise RefusedError(400, "wait_timeout: this test waits for no statement")
    if given["disposition"] not in ("INLINE", "EXTERNAL_LINKS"):
        raise RefusedError(400, f"disposition: {given['disposition']} isn't valid")
    if given["disposition"] == "INLINE" and given["format"] != "JSON_ARRAY":
        raise RefusedError(400, "INLINE supports JSON_ARRAY only")
    return statement(server, server.new_job("01ee-{}", disposition=given["disposition"]))


def statement(server: VendorServer, job: Job) -> Any:
    status: dict[str, Any] = {"state": job.state}
    if job.state == "FAILED":
        status["error"] = {"error_code": "BAD_REQUEST", "message": "[TABLE_OR_VIEW_NOT_FOUND] no table orders"}
    described = {"statement_id": job.id, "status": status}
    if job.state != "SUCCEEDED":
        return described
    chunks = CHUNKS.get(server.scenario, CHUNKS["success"])
    count = sum(map(len, chunks))
    columns = [{"name": "id", "position": 0}, {"name": "name", "position": 1}]
    manifest = {
        "format": "JSON_ARRAY",
        "schema": {"column_count": 2, "columns": columns},
        "total_chunk_count": len(chunks),
        "chunks": [describe_chunk(chunks, index) for index in range(len(chunks))],
        "total_row_count": count,
        "truncated": False,
    }
    return described | {"manifest": manifest, "result": chunk(server, job, 0) if count else {}}


def describe_chunk(chunks: list[Rows], index: int) -> dict[str, Any]:
    offset = sum(map(len, chunks[:index]))
    return {"chunk_index": index, "row_offset": offset, "row_count": len(chunks[index])}


def chunk(server: VendorServer, job: Job, index: int) -> Any:
    """Return a chunk with its rows, or with a signed URL of its rows."""
    chunks = CHUNKS.get(server.scenario, CHUNKS["success"])
    described = describe_chunk(chunks, index)
    if index + 1 < len(chunks):
        path = f"/api/2.0/sql/statements/{job.id}/result/chunks/{index + 1}"
        offset = described["row_offset"] + described["row_count"]
        described |= {"next_chunk_index": index + 1, "next_chunk_internal_link": f"{path}?row_offset={offset}"}
    if job.facts["disposition"] == "INLINE":
        return {**described, "data_array": chunks[index]}
    # A URL is valid for some minutes; in one scenario they have passed when the first URL of a chunk is used.
    signature = server.new_token()
    link = {
        **described,
        "external_link": f"{server.signed_url}/results/{job.id}/{index}?X-Amz-Signature={signature}",
        "http_headers": {KEY_HEADER: "key-example"},
        "expiration": "2026-11-30T12:15:00.000Z",
    }
    return {"external_links": [link]}


def get_chunk(server: VendorServer, call: Call) -> Any:
    return chunk(server, server.find_job(call), int(call.names["index"]))


def download(server: VendorServer, call: Call) -> Any:
    """Return the rows of a chunk, as the store of the workspace does."""
    signature = call.query.get("X-Amz-Signature")
    is_expired = server.scenario == "expired" and signature in server.tokens[::2]
    if signature not in server.tokens or is_expired:
        raise RefusedError(403, "Request has expired", body="<Error><Code>AccessDenied</Code></Error>")
    if call.headers.get(KEY_HEADER) != "key-example":
        raise RefusedError(400, f"{KEY_HEADER}: header is required", body="<Error><Code>InvalidRequest</Code></Error>")
    rows = CHUNKS.get(server.scenario, CHUNKS["success"])[int(call.names["index"])]
    return Answer(json.dumps(rows, separators=(",", ":")).encode())


def cancel_statement(server: VendorServer, call: Call) -> Any:
    job = server.find_job(call)
    if not job.is_over:
        server.cancel(job)
    return Answer(None)


def as_objects(chunks: list[Rows]) -> list[dict[str, str | None]]:
    return [dict(zip(("id", "name"), row, strict=True)) for chunk in chunks for row in chunk]


COMMON: dict[str, Any] = {
    "page": "databricks",
    "check_auth": key_in("authorization", "Bearer dapi-example", message="Invalid access token"),
    "error": error,
    "rate_limit": ({"retry-after": "11"}, 11),
}
VENDORS = (
    Vendor(
        profile="databricks/job_runs",
        routes=(
            Route(
                "POST /api/2.2/jobs/run-now",
                run_now,
                required=("job_id",),
                optional=(
                    *("idempotency_token", "job_parameters", "queue", "only", "performance_target"),
                    *("notebook_params", "python_params", "python_named_params", "jar_params", "sql_params"),
                ),
            ),
            Route("GET /api/2.2/jobs/runs/get", get_run, query=("run_id", "page_token", "include_history")),
            Route("POST /api/2.2/jobs/runs/cancel", cancel_run, required=("run_id",)),
            Route(
                "POST /api/2.2/jobs/runs/repair",
                repair_run,
                required=("run_id",),
                optional=("rerun_all_failed_tasks", "rerun_dependent_tasks", "rerun_tasks", "latest_repair_id"),
            ),
        ),
        states={
            "success": ("QUEUED", "PENDING", "RUNNING", "TERMINATING", "TERMINATED SUCCESS"),
            "leaves": ("RUNNING", "TERMINATED SUCCESS_WITH_FAILURES"),
            "failed": ("BLOCKED", "WAITING_FOR_RETRY", "TERMINATED FAILED"),
            "busy": ("SKIPPED MAXIMUM_CONCURRENT_RUNS_REACHED",),
            "skipped": ("PENDING", "SKIPPED"),
            "broken": ("RUNNING", "INTERNAL_ERROR"),
            "unknown_state": ("POLISHING", "TERMINATED TIMEDOUT"),
        },
        submit={"variables": {"job_id": 11223344}},
        expected=TASKS,
        results={"leaves": TASKS},
        failures={
            "failed": "Task load failed with an error",
            "busy": "MAXIMUM_CONCURRENT_RUNS_REACHED",
            "skipped": "SKIPPED",
            "broken": "INTERNAL_ERROR",
            "unknown_state": "TIMEDOUT",
        },
        rejected=({"variables": {"job_id": "nightly"}}, "expected int64"),
        cancelled=("TERMINATING", "TERMINATED CANCELED"),
        repair="POST /api/2.2/jobs/runs/repair",
        **COMMON,
    ),
    Vendor(
        profile="databricks/sql_statements",
        routes=(
            Route(
                "POST /api/2.0/sql/statements",
                execute,
                required=("warehouse_id", "statement"),
                optional=(
                    *("wait_timeout", "on_wait_timeout", "disposition", "format", "catalog", "schema"),
                    *("parameters", "row_limit", "byte_limit", "query_tags"),
                ),
            ),
            Route("GET /api/2.0/sql/statements/{id}", on_poll(statement)),
            Route("GET /api/2.0/sql/statements/{id}/result/chunks/{index}", get_chunk, query=("row_offset",)),
            Route("POST /api/2.0/sql/statements/{id}/cancel", cancel_statement),
            Route("GET /results/{id}/{index}", download, query=("X-Amz-Signature",), is_public=True),
        ),
        states={
            "success": ("PENDING", "RUNNING", "SUCCEEDED"),
            "empty": ("RUNNING", "SUCCEEDED"),
            "failed": ("RUNNING", "FAILED"),
            "closed": ("RUNNING", "CLOSED"),
            "large": ("RUNNING", "SUCCEEDED"),
            "expired": ("RUNNING", "SUCCEEDED"),
            "closed_later": ("RUNNING", "SUCCEEDED", "CLOSED"),
        },
        submit={"variables": {"warehouse_id": "w-1", "statement": "SELECT * FROM orders"}},
        fetch={"max_xcom_bytes": 16 * 1024 * 1024},
        expected=as_objects(SMALL),
        results={"large": as_objects(LARGE)},
        skipped=("empty",),
        failures={"failed": "TABLE_OR_VIEW_NOT_FOUND", "closed": "CLOSED"},
        rejected=({"json": {"statement": "SELECT 1"}}, "warehouse_id: field required"),
        cancelled=("RUNNING", "CANCELED"),
        **COMMON,
    ),
)
