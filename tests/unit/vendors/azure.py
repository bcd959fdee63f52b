"""Azure: operations with each of the three headers that name a monitor, and runs of Data Factory's pipelines."""

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
    last_token,
    on_cancel,
    on_poll,
)

TENANT = "/tenant-example/oauth2/v2.0/token"
RESULT = {"id": "/subscriptions/1/vm", "properties": {"provisioningState": "Succeeded"}}


def entra_token(scope: str) -> Route:
    """Return the route that returns a token of Microsoft Entra ID for a scope."""

    def token(server: VendorServer, call: Call) -> Any:
        given = call.form
        if (given["client_id"], given["client_secret"]) != ("client-example", "s3cret-word"):
            problem = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid secret"}
            raise RefusedError(401, "", problem)
        if given["scope"] != scope:
            raise RefusedError(400, "", {"error": "invalid_scope"})
        return {"access_token": server.new_token(), "expires_in": 3599, "token_type": "Bearer"}

    required = ("grant_type", "client_id", "client_secret", "scope")
    return Route(f"POST {TENANT}", token, required=required, body="form", is_public=True)


def start(server: VendorServer, call: Call) -> Any:
    if call.query.get("api-version") != "2026-01-01":
        raise RefusedError(400, "The api-version query parameter (?api-version=) is required for all requests.")
    job = server.new_job("op-{}")
    url = f"{server.url}/operations/{job.id}?api-version=2026-01-01"
    headers = {
        "azure-async": {"Azure-AsyncOperation": url, "Location": f"{server.url}/vm?api-version=2026-01-01"},
        "operation-location": {"Operation-Location": url},
    }.get(server.scenario, {"Azure-AsyncOperation": url})
    if server.scenario == "location":
        headers = {"Location": f"{server.url}/results/{job.id}?api-version=2026-01-01"}
    return Answer(None, 202, {**headers, "Retry-After": "3"})


def monitor(server: VendorServer, call: Call) -> Any:
    job = server.find_job(call)
    state = job.poll()
    body: dict[str, Any] = {"id": call.path, "name": job.id, "status": state}
    if state == "Failed":
        body["error"] = {"code": "QuotaExceeded", "message": "Operation could not be completed: quota exceeded"}
    if state.lower() == "succeeded":
        body["resourceLocation"] = f"{server.url}/vm?api-version=2026-01-01"
    else:
        body["percentComplete"] = 50
    return Answer(body, 200, {"Retry-After": "10"})


def result(server: VendorServer, call: Call) -> Any:
    job: Job = server.find_job(call)
    return RESULT if job.poll() == "Succeeded" else Answer(None, 202, {"Retry-After": "10"})


def run_pipeline(server: VendorServer, call: Call) -> Any:
    if call.query.get("api-version") != "2018-06-01":
        raise RefusedError(400, "The api-version query parameter (?api-version=) is required for all requests.")
    if call.query.get("isRecovery") == "true":
        if server.jobs[call.query["referencePipelineRunId"]].state != "Failed":
            raise RefusedError(400, "Only a run that has failed can be run again")
        # Its parameters are those of the run that has failed.
        server.scenario = "success"
    elif unknown := set(call.json) - {"day"}:
        raise RefusedError(400, f"The pipeline has no parameter {unknown.pop()!r}")
    return {"runId": server.new_job("run-{}").id}


def describe_run(_: VendorServer, job: Job) -> Any:
    described = {"runId": job.id, "status": job.state, "message": "", "runStart": START, "lastUpdated": END}
    return described | ({"message": "Activity Copy failed: no access"} if job.state == "Failed" else {})


def list_activities(server: VendorServer, call: Call) -> Any:
    server.find_job(call)
    if (call.json["lastUpdatedAfter"], call.json["lastUpdatedBefore"]) != (START, END):
        raise RefusedError(400, "Invalid time range")
    return {"value": ACTIVITIES}


START, END = "2026-01-31T00:00:00Z", "2026-01-31T00:20:00Z"
ACTIVITIES = [{"activityName": "Copy", "status": "Succeeded", "output": {"rowsCopied": 7}}]
VERSION = ("api-version",)
COMMON: dict[str, Any] = {
    "page": "azure",
    "check_auth": last_token(message="The access token expiry UTC time is earlier than current UTC time"),
    "error": lambda status, message: {
        "error": {"code": {401: "ExpiredAuthenticationToken"}.get(status, "Bad"), "message": message}
    },
    "hosts": ("https://login.microsoftonline.com",),
    "logs_in": True,
}
FACTORY = "/subscriptions/s-1/resourceGroups/data/providers/Microsoft.DataFactory/factories/lake"
VENDORS = (
    Vendor(
        profile="azure/operations",
        routes=(
            entra_token("https://management.azure.com/.default"),
            Route("POST /vm/start", start, query=VERSION),
            Route("GET /operations/{id}", monitor, query=VERSION),
            Route("GET /results/{id}", result, query=VERSION),
            Route("GET /vm", lambda _, __: RESULT, query=VERSION),
        ),
        states={
            "success": ("NotStarted", "InProgress", "Succeeded"),
            "azure-async": ("Creating", "Succeeded"),
            "operation-location": ("running", "succeeded"),
            "location": ("InProgress", "InProgress", "Succeeded"),
            "failed": ("InProgress", "Failed"),
            "canceled": ("InProgress", "Canceled"),
        },
        submit={"endpoint": "/vm/start", "query_params": {"api-version": "2026-01-01"}},
        expected=RESULT,
        results={"azure-async": RESULT, "operation-location": RESULT, "location": RESULT},
        failures={"failed": "quota exceeded", "canceled": "Canceled"},
        rejected=({"query_params": {"api-version": "2010-01-01"}}, "api-version query parameter"),
        progress=0.5,
        **COMMON,
    ),
    Vendor(
        profile="azure/data_factory_runs",
        routes=(
            Route(
                f"POST {FACTORY}/pipelines/copy/createRun",
                run_pipeline,
                optional=None,
                query=(*VERSION, "referencePipelineRunId", "isRecovery", "startFromFailure", "startActivityName"),
            ),
            entra_token("https://management.azure.com/.default"),
            Route(f"GET {FACTORY}/pipelineruns/{{id}}", on_poll(describe_run), query=VERSION),
            Route(f"POST {FACTORY}/pipelineruns/{{id}}/cancel", on_cancel(lambda _, __: None), query=VERSION),
            Route(
                f"POST {FACTORY}/pipelineruns/{{id}}/queryActivityruns",
                list_activities,
                required=("lastUpdatedAfter", "lastUpdatedBefore"),
                optional=("continuationToken", "filters", "orderBy"),
                query=VERSION,
            ),
        ),
        states={"success": ("Queued", "InProgress", "Succeeded"), "failed": ("InProgress", "Failed")},
        submit={
            "variables": {"subscription": "s-1", "resource_group": "data", "factory": "lake", "pipeline": "copy"},
            "json": {"day": "2026-01-31"},
        },
        expected=ACTIVITIES,
        failures={"failed": "Activity Copy failed: no access"},
        rejected=({"json": {"month": 1}}, "no parameter 'month'"),
        cancelled=("Canceling", "Cancelled"),
        repair=f"POST {FACTORY}/pipelines/copy/createRun?isRecovery=true",
        rate_limit=({"retry-after": "17"}, 17),
        **COMMON,
    ),
)
