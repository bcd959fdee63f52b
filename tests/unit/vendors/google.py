"""Google: operations, BigQuery, Vertex AI and Cloud Run, for a service account whose signature is verified."""

from __future__ import annotations

import re
from typing import Any

import jwt

from tests.unit.vendors.keys import make_key
from tests.unit.vendors.vendor import (
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

EMAIL = "robot@project-example.iam.gserviceaccount.com"
RESULT = {"@type": "type.googleapis.com/google.cloud.example.v1.Export", "uri": "gs://bucket/export"}
ROWS = [{"f": [{"v": "1"}, {"v": "Ann"}]}, {"f": [{"v": "2"}, {"v": None}]}, {"f": [{"v": "3"}, {"v": "Cid"}]}]
LARGE = [{"f": [{"v": str(row)}, {"v": "x" * 1100}]} for row in range(2_400)]
JOB_FIELDS = frozenset({"kind", "configuration", "jobReference", "statistics", "status", "id", "etag", "selfLink"})
MIB = 1024 * 1024
SCHEMA = {"fields": [{"name": "id", "type": "INTEGER"}, {"name": "name", "type": "STRING"}]}


def token(server: VendorServer, call: Call) -> Any:
    given = call.form
    if given["grant_type"] != "urn:ietf:params:oauth:grant-type:jwt-bearer":
        raise RefusedError(400, "", {"error": "unsupported_grant_type"})
    try:
        claims = jwt.decode(
            given["assertion"], make_key().public_key(), ["RS256"], audience=f"{server.url}/token", issuer=EMAIL
        )
    except jwt.PyJWTError as error:
        raise RefusedError(400, "", {"error": "invalid_grant", "error_description": str(error)}) from None
    if not claims["scope"].startswith("https://www.googleapis.com/auth/"):
        raise RefusedError(400, "", {"error": "invalid_scope"})
    return {"access_token": server.new_token(), "expires_in": 3599, "token_type": "Bearer"}


def error(status: int, message: str) -> Any:
    names = {401: "UNAUTHENTICATED", 404: "NOT_FOUND", 409: "ALREADY_EXISTS"}
    return {"error": {"code": status, "message": message, "status": names.get(status, "INVALID_ARGUMENT")}}


def export(server: VendorServer, call: Call) -> Any:
    if not call.json["outputUri"].startswith("gs://"):
        raise RefusedError(400, "Invalid value at 'output_uri'")
    return operation(server, server.new_job("op-{}"))


def operation(_: VendorServer, job: Job) -> Any:
    described: dict[str, Any] = {"name": f"projects/p/locations/eu/operations/{job.id}", "metadata": {"@type": "x"}}
    if job.state == "running":
        return described
    described["done"] = True
    problem = {"failed": (9, "The bucket doesn't exist"), "cancelled": (1, "Operation was cancelled")}.get(job.state)
    return described | ({"error": {"code": problem[0], "message": problem[1]}} if problem else {"response": RESULT})


def insert(server: VendorServer, call: Call) -> Any:
    given = call.json
    job_id = given["jobReference"]["jobId"]
    if job_id in server.jobs:
        raise RefusedError(409, f"Already Exists: Job {job_id}")
    if given["configuration"]["query"]["useLegacySql"]:
        raise RefusedError(400, "Legacy SQL isn't supported")
    if not given["configuration"]["query"]["query"].upper().startswith(("SELECT", "CREATE")):
        raise RefusedError(400, "Syntax error: Unexpected identifier")
    job = server.new_job(job_id, location=given["jobReference"].get("location", "US"))
    return select_fields(query_job(server, job), call.query.get("fields"))


def select_fields(described: dict[str, Any], fields: str | None) -> dict[str, Any]:
    """Return the fields of a job that a request wants; it may name a part of a field in parentheses."""
    names = set(re.sub(r"\([^)]*\)", "", fields).split(",")) if fields else described.keys()
    if unknown := names - JOB_FIELDS:
        raise RefusedError(400, f"Invalid field selection {min(unknown)}")
    return {name: value for name, value in described.items() if name in names}


def get_query_job(server: VendorServer, call: Call) -> Any:
    job = server.find_job(call)
    described = select_fields(query_job(server, job), call.query.get("fields"))
    job.poll()
    return described


def query_job(server: VendorServer, job: Job) -> Any:
    state, _, problem = job.state.partition(" ")
    status: dict[str, Any] = {"state": state}
    if problem:
        status["errorResult"] = {
            "reason": problem,
            "message": {"stopped": "Job execution was cancelled"}.get(problem, "Division by zero"),
        }
    reference = {"jobId": job.id, "location": job.facts["location"]}
    # The text and the plan of a large query.
    configuration = {"query": {"query": "SELECT 1 " + "-" * (2 * MIB if server.scenario == "large" else 9)}}
    statistics = {"creationTime": "1764500000000", "query": {"queryPlan": []}}
    return {
        "kind": "bigquery#job",
        "configuration": configuration,
        "jobReference": reference,
        "statistics": statistics,
        "status": status,
    }


def cancel_query(server: VendorServer, call: Call) -> Any:
    job = server.find_job(call)
    if not job.is_over:
        server.cancel(job)
    return {"kind": "bigquery#jobCancelResponse", "job": query_job(server, job)}


def rows(server: VendorServer, call: Call) -> Any:
    if call.query["location"] != server.find_job(call).facts["location"]:
        raise RefusedError(404, f"Not found: Job {call.names['id']}")
    if server.scenario == "empty":
        return {"jobComplete": True, "totalRows": "0"}
    found, size = (LARGE, 1_000) if server.scenario == "large" else (ROWS, 2)
    if int(call.query["maxResults"]) < size:
        raise RefusedError(400, "this test has larger pages")
    start = int(call.query.get("pageToken", "page-0").removeprefix("page-"))
    page = {"jobComplete": True, "schema": SCHEMA, "totalRows": str(len(found)), "rows": found[start : start + size]}
    return page | ({"pageToken": f"page-{start + size}"} if start + size < len(found) else {})


def predict(server: VendorServer, call: Call) -> Any:
    if not call.json["model"].startswith(("publishers/", "projects/")):
        raise RefusedError(400, "Invalid resource field value in the request.")
    return prediction(server, server.new_job("{}"))


def prediction(_: VendorServer, job: Job) -> Any:
    described: dict[str, Any] = {"name": f"projects/p/locations/eu/batchPredictionJobs/{job.id}", "state": job.state}
    if job.state == "JOB_STATE_FAILED":
        described["error"] = {"code": 3, "message": "The input file is empty"}
    if job.state == "JOB_STATE_SUCCEEDED":
        described["outputInfo"] = {"gcsOutputDirectory": "gs://bucket/predictions"}
    return described


def run_job(server: VendorServer, call: Call) -> Any:
    if call.json.get("overrides", {}).get("taskCount", 1) < 1:
        raise RefusedError(400, "Violation in RunJobRequest.overrides.task_count")
    return execution_operation(server, server.new_job("op-{}"))


def execution_operation(server: VendorServer, job: Job) -> Any:
    return operation(server, job) | {
        "metadata": {"@type": "x", "name": f"projects/p/locations/eu/jobs/j/executions/{job.id}"}
    }


TOKEN = Route("POST /token", token, required=("grant_type", "assertion"), body="form", is_public=True)
COMMON: dict[str, Any] = {
    "page": "google",
    "check_auth": last_token(message="Request had invalid authentication credentials."),
    "error": error,
    "hosts": ("https://oauth2.googleapis.com",),
    "logs_in": True,
}
OPERATION = "/v1/projects/p/locations/eu/operations/{id}"
PREDICTIONS = "/v1/projects/p/locations/eu/batchPredictionJobs"
PREDICTION = {
    "displayName": "daily",
    "model": "publishers/google/models/gemini-2.5-flash",
    "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": ["gs://bucket/requests.jsonl"]}},
    "outputConfig": {
        "predictionsFormat": "jsonl",
        "gcsDestination": {"outputUriPrefix": "gs://bucket/predictions"},
    },
}
PROJECT = "/bigquery/v2/projects/{project}"
VENDORS = (
    Vendor(
        profile="google/operations",
        routes=(
            TOKEN,
            Route("POST /v1/projects/p/locations/eu/stores/s:export", export, required=("outputUri",)),
            Route(f"GET {OPERATION}", on_poll(operation)),
            Route(f"POST {OPERATION}:cancel", on_cancel(lambda _, __: {})),
        ),
        states={"success": ("running", "running", "succeeded"), "failed": ("running", "failed")},
        submit={"endpoint": "/v1/projects/p/locations/eu/stores/s:export", "json": {"outputUri": "gs://bucket/export"}},
        expected=RESULT,
        failures={"failed": "The bucket doesn't exist"},
        rejected=({"json": {"outputUri": "/tmp"}}, "Invalid value at 'output_uri'"),
        cancelled=("cancelled",),
        **COMMON,
    ),
    Vendor(
        profile="google/bigquery_queries",
        routes=(
            TOKEN,
            Route(f"POST {PROJECT}/jobs", insert, ("configuration",), ("jobReference",), query=("fields",)),
            Route(f"GET {PROJECT}/jobs/{{id}}", get_query_job, query=("location", "projection", "fields")),
            Route(f"POST {PROJECT}/jobs/{{id}}/cancel", cancel_query, query=("location",)),
            Route(f"GET {PROJECT}/queries/{{id}}", rows, query=("location", "maxResults", "pageToken", "startIndex")),
        ),
        states={
            "success": ("PENDING", "RUNNING", "DONE"),
            "empty": ("RUNNING", "DONE"),
            "large": ("RUNNING", "DONE"),
            "failed": ("RUNNING", "DONE invalidQuery"),
        },
        submit={"variables": {"project": "project-example", "query": "SELECT 1", "location": "EU"}},
        fetch={"max_xcom_bytes": 16 * 1024 * 1024},
        expected=[{"id": "1", "name": "Ann"}, {"id": "2", "name": None}, {"id": "3", "name": "Cid"}],
        results={"large": [{"id": str(row), "name": "x" * 1100} for row in range(2_400)]},
        skipped=("empty",),
        failures={"failed": "Division by zero"},
        rejected=({"variables": {"project": "p", "query": "CHOOSE 1"}}, "Syntax error"),
        cancelled=("RUNNING", "DONE stopped"),
        **COMMON,
    ),
    Vendor(
        profile="google/vertex_batch_predictions",
        routes=(
            TOKEN,
            Route(
                f"POST {PREDICTIONS}",
                predict,
                required=("displayName", "model", "inputConfig", "outputConfig"),
            ),
            Route(f"GET {PREDICTIONS}/{{id}}", on_poll(prediction)),
            Route(f"POST {PREDICTIONS}/{{id}}:cancel", on_cancel(lambda _, __: {})),
        ),
        states={
            "success": ("JOB_STATE_PENDING", "JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"),
            "failed": ("JOB_STATE_RUNNING", "JOB_STATE_FAILED"),
        },
        submit={"variables": {"project": "p", "location": "eu"}, "json": PREDICTION},
        expected={
            "name": "projects/p/locations/eu/batchPredictionJobs/1",
            "state": "JOB_STATE_SUCCEEDED",
            "outputInfo": {"gcsOutputDirectory": "gs://bucket/predictions"},
        },
        failures={"failed": "The input file is empty"},
        rejected=({"json": {**PREDICTION, "model": "gemini"}}, "Invalid resource field value"),
        cancelled=("JOB_STATE_CANCELLING", "JOB_STATE_CANCELLED"),
        rate_limit=({"retry-after": "25"}, 25),
        **COMMON,
    ),
    Vendor(
        profile="google/cloud_run_jobs",
        routes=(
            TOKEN,
            Route("POST /v2/projects/p/locations/eu/jobs/j:run", run_job, optional=("overrides", "etag")),
            Route("GET /v2/projects/p/locations/eu/operations/{id}", on_poll(execution_operation)),
            Route("POST /v2/projects/p/locations/eu/jobs/j/executions/{id}:cancel", on_cancel(lambda _, __: {})),
        ),
        states={"success": ("running", "running", "succeeded"), "failed": ("running", "failed")},
        submit={"variables": {"project": "p", "location": "eu", "job": "j"}},
        expected=RESULT,
        failures={"failed": "The bucket doesn't exist"},
        rejected=({"json": {"overrides": {"taskCount": 0}}}, "task_count"),
        cancelled=("cancelled",),
        **COMMON,
    ),
)
