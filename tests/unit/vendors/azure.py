"""Azure: operations with each of the three headers that name a monitor."""

from __future__ import annotations

from typing import Any

from tests.unit.vendors.vendor import Answer, Call, Job, RefusedError, Route, Vendor, VendorServer, last_token

TENANT = "/tenant-example/oauth2/v2.0/token"
RESULT = {"id": "/subscriptions/1/vm", "properties": {"provisioningState": "Succeeded"}}


def token(server: VendorServer, call: Call) -> Any:
    given = call.form
    if (given["client_id"], given["client_secret"]) != ("client-example", "s3cret-word"):
        raise RefusedError(401, "", {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid secret"})
    if given["scope"] != "https://management.azure.com/.default":
        raise RefusedError(400, "", {"error": "invalid_scope"})
    return {"access_token": server.new_token(), "expires_in": 3599, "token_type": "Bearer"}


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


VERSION = ("api-version",)
VENDORS = (
    Vendor(
        profile="azure/operations",
        page="azure",
        check_auth=last_token(message="The access token expiry UTC time is earlier than current UTC time"),
        error=lambda status, message: {
            "error": {"code": {401: "ExpiredAuthenticationToken"}.get(status, "Bad"), "message": message}
        },
        routes=(
            Route(
                f"POST {TENANT}",
                token,
                required=("grant_type", "client_id", "client_secret", "scope"),
                body="form",
                is_public=True,
            ),
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
        hosts=("https://login.microsoftonline.com",),
        logs_in=True,
        progress=0.5,
    ),
)
