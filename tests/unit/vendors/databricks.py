"""Databricks: runs of jobs, and SQL statements."""

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
    on_poll,
)

#: The life cycle of a run; after it the result.
ENDED = ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")
TASKS = [{"run_id": 1001, "task_key": "load"}, {"run_id": 1002, "task_key": "report"}]
ROWS = [["1", "Ann"], ["2", None], ["3", "Cid"]]


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
    if given["disposition"] == "INLINE" and given["format"] != "JSON_ARRAY":
        raise RefusedError(400, "INLINE supports JSON_ARRAY only")
    return statement(server, server.new_job("01ee-{}", statement=given["statement"]))


def statement(server: VendorServer, job: Job) -> Any:
    status: dict[str, Any] = {"state": job.state}
    if job.state == "FAILED":
        status["error"] = {"error_code": "BAD_REQUEST", "message": "[TABLE_OR_VIEW_NOT_FOUND] no table orders"}
    described = {"statement_id": job.id, "status": status}
    if job.state != "SUCCEEDED":
        return described
    rows = [] if server.scenario == "empty" else ROWS
    columns = [{"name": "id"}, {"name": "name"}]
    manifest = {"format": "JSON_ARRAY", "schema": {"columns": columns}, "total_row_count": len(rows)}
    return described | {"manifest": manifest, "result": chunk(job, rows, 0)}


def chunk(job: Job, rows: list[Any], index: int) -> Any:
    """Return a chunk of two rows."""
    own = rows[2 * index : 2 * index + 2]
    described: dict[str, Any] = {"chunk_index": index, "row_offset": 2 * index, "row_count": len(own)}
    if own:
        described["data_array"] = own
    if 2 * index + 2 < len(rows):
        path = f"/api/2.0/sql/statements/{job.id}/result/chunks/{index + 1}"
        described |= {"next_chunk_index": index + 1, "next_chunk_internal_link": f"{path}?row_offset={2 * index + 2}"}
    return described


def get_chunk(server: VendorServer, call: Call) -> Any:
    return chunk(server.find_job(call), ROWS, int(call.names["index"]))


def cancel_statement(server: VendorServer, call: Call) -> Any:
    job = server.find_job(call)
    if not job.is_over:
        server.cancel(job)
    return Answer(None)


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
        ),
        states={
            "success": ("PENDING", "RUNNING", "SUCCEEDED"),
            "empty": ("RUNNING", "SUCCEEDED"),
            "failed": ("RUNNING", "FAILED"),
            "closed": ("RUNNING", "CLOSED"),
        },
        submit={"variables": {"warehouse_id": "w-1", "statement": "SELECT * FROM orders"}},
        expected=[{"id": "1", "name": "Ann"}, {"id": "2", "name": None}, {"id": "3", "name": "Cid"}],
        skipped=("empty",),
        failures={"failed": "TABLE_OR_VIEW_NOT_FOUND", "closed": "CLOSED"},
        rejected=({"json": {"statement": "SELECT 1"}}, "warehouse_id: field required"),
        cancelled=("RUNNING", "CANCELED"),
        **COMMON,
    ),
)
