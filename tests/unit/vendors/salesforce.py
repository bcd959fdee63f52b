"""Salesforce: query jobs of the Bulk API 2.0, whose results are pages of CSV, and ingest jobs of files of CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def create_ingest(server: VendorServer, call: Call) -> Any:
    given = call.json
    if given["operation"] not in ("insert", "update", "upsert", "delete", "hardDelete"):
        raise RefusedError(400, f"Invalid operation: {given['operation']}")
    return describe_ingest(server, server.new_job("750I{}", steps=[]))


def describe_ingest(server: VendorServer, job: Job) -> Any:
    state = job.state if "closed" in job.facts["steps"] or job.state == "Aborted" else "Open"
    described: dict[str, Any] = {"id": job.id, "operation": "insert", "object": "Account", "state": state}
    if state == "JobComplete":
        described |= {"numberRecordsProcessed": 1, "numberRecordsFailed": int(server.scenario == "partial")}
    return described | ({"errorMessage": "InvalidBatch : Field name not found : Owner__c"} if state == "Failed" else {})


def upload(server: VendorServer, call: Call) -> Any:
    job = server.find_job(call)
    if call.headers.get("content-type") != "text/csv" or call.body.decode() != RECORDS:
        raise RefusedError(400, "The records aren't CSV")
    if job.facts["steps"]:
        raise RefusedError(400, "Found multiple contents for job")
    job.facts["steps"].append("uploaded")
    return Answer(None, 201)


def change_ingest(server: VendorServer, call: Call) -> Any:
    job = server.find_job(call)
    if call.json["state"] == "Aborted":
        return abort(server, call) if "closed" in job.facts["steps"] else describe_ingest(server, server.cancel(job))
    if call.json["state"] != "UploadComplete" or job.facts["steps"] != ["uploaded"]:
        raise RefusedError(400, "The job has no content, or isn't open")
    job.facts["steps"].append("closed")
    return describe_ingest(server, job)


def make_ingest(profile: str, **given: Any) -> Vendor:
    path = "/services/data/v64.0/jobs/ingest"
    return Vendor(
        profile=profile,
        routes=(
            TOKEN,
            Route(
                f"POST {path}",
                create_ingest,
                required=("object", "operation"),
                optional=("contentType", "lineEnding", "externalIdFieldName"),
            ),
            Route(f"PUT {path}/{{id}}/batches", upload, body="bytes"),
            Route(f"PATCH {path}/{{id}}", change_ingest, required=("state",)),
            Route(f"GET {path}/{{id}}", on_poll(describe_ingest)),
            Route(f"GET {path}/{{id}}/successfulResults", lambda _, __: as_csv(SUCCESSFUL)),
            Route(f"GET {path}/{{id}}/failedResults", lambda _, __: as_csv(FAILED)),
        ),
        states={
            "success": ("UploadComplete", "InProgress", "JobComplete"),
            "partial": ("InProgress", "JobComplete"),
            "failed": ("InProgress", "Failed"),
        },
        submit={"variables": INGEST},
        files={"accounts.csv": RECORDS},
        cancelled=("Aborted",),
        **COMMON,
        **given,
    )


def as_csv(rows: Sequence[Mapping[str, str]]) -> Answer:
    text = "".join(",".join(row) + "\n" for row in [list(rows[0]), *(list(row.values()) for row in rows)])
    return Answer(text.encode(), headers={"content-type": "text/csv"})


RECORDS = "Name\nAnn\n"
INGEST = {"object": "Account", "records": "s3://my-bucket/accounts.csv"}
SUCCESSFUL = [{"sf__Id": "001A", "sf__Created": "true", "Name": "Ann"}]
FAILED = [{"sf__Id": "", "sf__Error": "DUPLICATES_DETECTED", "Name": "Ben"}]
TOKEN = Route(
    "POST /services/oauth2/token",
    token,
    required=("grant_type", "client_id", "client_secret"),
    body="form",
    is_public=True,
)
COMMON: dict[str, Any] = {
    "page": "salesforce",
    "check_auth": last_token(message="Session expired or invalid"),
    "error": error,
    "logs_in": True,
}
JOB = "/services/data/v64.0/jobs/query/{id}"
VENDORS = (
    Vendor(
        profile="salesforce/bulk_queries",
        routes=(
            TOKEN,
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
        **COMMON,
    ),
    make_ingest(
        "salesforce/bulk_ingests",
        expected=SUCCESSFUL,
        results={"partial": SUCCESSFUL},
        failures={"failed": "InvalidBatch : Field name not found : Owner__c"},
        rejected=({"variables": {**INGEST, "operation": "merge"}}, "Invalid operation: merge"),
    ),
    make_ingest("salesforce/bulk_ingest_errors", expected=FAILED, scenario="partial", no_data=("success",)),
)
