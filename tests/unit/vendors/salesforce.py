"""Salesforce: query jobs of the Bulk API 2.0, whose results are pages of CSV."""

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
    on_poll,
)

PAGES = {"": ("Id,Name\n1,Ann\n2,Ben\n", "MTAwMA"), "MTAwMA": ("Id,Name\n3,Cid\n", "null")}


def error(status: int, message: str) -> Any:
    return [{"errorCode": {401: "INVALID_SESSION_ID", 404: "NOT_FOUND"}.get(status, "INVALIDJOB"), "message": message}]


def token(server: VendorServer, call: Call) -> Any:
    given = call.form
    if (given["client_id"], given["client_secret"]) != ("consumer-key-example", "s3cret-word"):
        raise RefusedError(400, "", {"error": "invalid_client_id", "error_description": "client identifier invalid"})
    if given["grant_type"] != "client_credentials":
        raise RefusedError(400, "", {"error": "unsupported_grant_type"})
    # No expires_in: the lifetime of a session is a setting of the organization.
    return {"access_token": server.new_token(), "instance_url": server.url, "token_type": "Bearer"}


def create(server: VendorServer, call: Call) -> Any:
    given = call.json
    if given["operation"] not in ("query", "queryAll"):
        raise RefusedError(400, f"Invalid operation: {given['operation']}")
    if not given["query"].lower().startswith("select"):
        raise RefusedError(400, "MALFORMED_QUERY: unexpected token: 'DELETE'")
    return describe(server, server.new_job("750R{}"))


def describe(server: VendorServer, job: Job) -> Any:
    described = {"id": job.id, "operation": "query", "state": job.state, "apiVersion": 64.0}
    if job.state == "JobComplete":
        described["numberRecordsProcessed"] = 0 if server.scenario == "empty" else 3
    if job.state == "Failed":
        described["errorMessage"] = "ApiBatchItems Limit exceeded"
    return described


def results(server: VendorServer, call: Call) -> Any:
    if server.find_job(call).state != "JobComplete":
        raise RefusedError(400, "the job isn't complete")
    text, following = PAGES[call.query.get("locator", "")]
    return Answer(text.encode(), headers={"Sforce-Locator": following, "Sforce-NumberOfRecords": "2"})


def abort(server: VendorServer, call: Call) -> Any:
    job = server.find_job(call)
    if call.json["state"] != "Aborted" or job.is_over:
        raise RefusedError(400, "Aborting already completed Job not allowed")
    return describe(server, server.cancel(job))


JOB = "/services/data/v64.0/jobs/query/{id}"
VENDORS = (
    Vendor(
        profile="salesforce/bulk_queries",
        page="salesforce",
        check_auth=last_token(message="Session expired or invalid"),
        error=error,
        routes=(
            Route(
                "POST /services/oauth2/token",
                token,
                required=("grant_type", "client_id", "client_secret"),
                body="form",
                is_public=True,
            ),
            Route(
                "POST /services/data/v64.0/jobs/query",
                create,
                required=("operation", "query"),
                optional=("contentType", "columnDelimiter", "lineEnding"),
            ),
            Route(f"GET {JOB}", on_poll(describe)),
            Route(f"PATCH {JOB}", abort, required=("state",)),
            Route(f"GET {JOB}/results", results, query=("maxRecords", "locator")),
        ),
        states={
            "success": ("UploadComplete", "InProgress", "JobComplete"),
            "empty": ("InProgress", "JobComplete"),
            "failed": ("InProgress", "Failed"),
        },
        submit={"variables": {"soql": "SELECT Id, Name FROM Account"}},
        expected=[{"Id": "1", "Name": "Ann"}, {"Id": "2", "Name": "Ben"}, {"Id": "3", "Name": "Cid"}],
        failures={"failed": "ApiBatchItems Limit exceeded"},
        no_data=("empty",),
        rejected=({"variables": {"soql": "DELETE"}}, "MALFORMED_QUERY"),
        cancelled=("Aborted",),
        logs_in=True,
    ),
)
