"""GA4GH Workflow Execution Service: runs of workflows."""

from __future__ import annotations

import json
from typing import Any

from tests.unit.vendors.vendor import (
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

OUTPUTS = {"counts": {"class": "File", "location": "s3://results/counts.tsv"}}
RUNS = "/ga4gh/wes/v1/runs"


def start(server: VendorServer, call: Call) -> Any:
    given = call.parts
    if not isinstance(json.loads(given["workflow_params"]), dict):
        raise RefusedError(400, "workflow_params has to be a JSON object")
    if given["workflow_type"] not in (b"CWL", b"WDL", b"NFL"):
        raise RefusedError(400, "workflow_type is not supported")
    return {"run_id": server.new_job("4deb8b{}", params=json.loads(given["workflow_params"])).id}


def status(_: VendorServer, job: Job) -> Any:
    return {"run_id": job.id, "state": job.state}


def describe(server: VendorServer, call: Call) -> Any:
    job = server.find_job(call)
    log = {"name": "counts", "exit_code": int(job.state != "COMPLETE"), "stderr": f"{server.url}/logs/{job.id}"}
    outputs = OUTPUTS if job.state == "COMPLETE" else {}
    return {"run_id": job.id, "state": job.state, "run_log": log, "outputs": outputs}


VENDORS = (
    Vendor(
        profile="ga4gh/runs",
        page="ga4gh",
        check_auth=key_in("authorization", "Bearer wes-example", message="not signed in"),
        error=lambda status, message: {"msg": message, "status_code": status},
        routes=(
            Route(
                f"POST {RUNS}",
                start,
                required=("workflow_params", "workflow_type", "workflow_type_version", "workflow_url"),
                optional=("tags", "workflow_engine_parameters", "workflow_attachment"),
                body="parts",
            ),
            Route(f"GET {RUNS}/{{id}}/status", on_poll(status)),
            Route(f"GET {RUNS}/{{id}}", describe),
            Route(f"POST {RUNS}/{{id}}/cancel", on_cancel(lambda _, job: {"run_id": job.id})),
        ),
        states={
            "success": ("QUEUED", "INITIALIZING", "RUNNING", "COMPLETE"),
            "failed": ("RUNNING", "EXECUTOR_ERROR"),
            "broken": ("QUEUED", "SYSTEM_ERROR"),
        },
        submit={
            "variables": {
                "workflow": "https://example.com/counts.cwl",
                "type": "CWL",
                "version": "v1.2",
                "inputs": {"sample": "s-1", "reads": [1, 2]},
            }
        },
        expected=OUTPUTS,
        failures={"failed": "EXECUTOR_ERROR.*/logs/4deb8b1", "broken": "SYSTEM_ERROR"},
        rejected=(
            {"variables": {"workflow": "w", "type": "MAKE", "version": "4", "inputs": {}}},
            "workflow_type is not supported",
        ),
        cancelled=("CANCELING", "CANCELED"),
        has_base_path=True,
    ),
)
