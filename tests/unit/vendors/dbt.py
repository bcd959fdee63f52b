"""The dbt platform: runs of jobs."""

from __future__ import annotations

from typing import Any

from tests.unit.vendors.vendor import Call, Job, RefusedError, Route, Vendor, VendorServer, key_in, on_cancel, on_poll

ARTIFACT = {"results": [{"unique_id": "model.shop.orders", "status": "success"}]}
ARTIFACTS = {"run_results.json": ARTIFACT, "manifest.json": {"nodes": {"model.shop.orders": {}}}}


def envelope(data: Any, status: int = 200, message: str = "Success!") -> Any:
    return {"status": {"code": status, "is_success": status < 400, "user_message": message}, "data": data}


def run(server: VendorServer, call: Call) -> Any:
    if call.names["job"] not in ("567", "11"):
        raise RefusedError(404, "The requested resource was not found")
    return describe(server, server.new_job("70{}"))


def describe(_: VendorServer, job: Job) -> Any:
    message = "dbt run failed: Database Error in model orders" if job.state == "20" else None
    return envelope({"id": int(job.id), "status": int(job.state), "status_message": message})


def retry(server: VendorServer, call: Call) -> Any:
    if server.find_job(call).state != "20":
        raise RefusedError(400, "only a run with an error can be retried")
    server.scenario = "success"
    return describe(server, server.new_job("70{}"))


def artifact(server: VendorServer, call: Call) -> Any:
    server.find_job(call)
    if call.names["name"] not in ARTIFACTS:
        raise RefusedError(404, "artifact not found")
    return ARTIFACTS[call.names["name"]]


RUN = "/api/v2/accounts/{account}/runs/{id}"
VENDORS = (
    Vendor(
        profile="dbt/job_runs",
        page="dbt",
        check_auth=key_in("authorization", "Token dbtc_example", message="Invalid token."),
        error=lambda status, message: envelope(None, status, message),
        routes=(
            Route(
                "POST /api/v2/accounts/{account}/jobs/{job}/run/",
                run,
                required=("cause",),
                optional=("git_branch", "git_sha", "schema_override", "steps_override", "threads_override"),
            ),
            Route(f"GET {RUN}/", on_poll(describe), query=("include_related",)),
            Route(f"POST {RUN}/cancel/", on_cancel(describe)),
            Route(f"POST {RUN}/retry/", retry),
            Route(f"GET {RUN}/artifacts/{{name}}", artifact),
        ),
        states={"success": ("1", "2", "3", "10"), "failed": ("3", "20"), "stopped": ("1", "30")},
        submit={"variables": {"account": 123, "job": 567}},
        expected=ARTIFACT,
        failures={"failed": "Database Error in model orders", "stopped": "30"},
        rejected=({"json": {"reason": "x"}}, "cause: field required"),
        cancelled=("30",),
        repair=f"POST {RUN}/retry/",
        rate_limit=({"retry-after": "6"}, 6),
    ),
)
