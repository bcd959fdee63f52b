"""Shopify: bulk queries, at one GraphQL endpoint, and their files on another host."""

from __future__ import annotations

from typing import Any

from tests.unit.vendors.vendor import Answer, Call, Job, Route, Vendor, VendorServer, key_in, lines

ROWS = [{"id": "gid://shopify/Product/1", "title": "Pen"}, {"id": "gid://shopify/Product/2", "title": "Ink"}]
QUERY = "{ products { edges { node { id title } } } }"


def answer(server: VendorServer, call: Call) -> Any:
    given = call.json
    query, variables = given["query"], given.get("variables", {})
    if query.count("{") != query.count("}"):
        return {"errors": [{"message": "syntax error, unexpected end of file"}]}
    if "bulkOperationRunQuery" in query:
        return run(server, variables["query"])
    job = server.jobs.get(variables["id"])
    if job is None:
        return {"data": {"node": None}, "errors": [{"message": "invalid id"}]}
    if "bulkOperationCancel" in query:
        if job.is_over:
            errors = [{"field": None, "message": "A bulk operation cannot be canceled when it is completed"}]
            return {"data": {"bulkOperationCancel": {"bulkOperation": None, "userErrors": errors}}}
        return {
            "data": {"bulkOperationCancel": {"bulkOperation": {"status": server.cancel(job).state}, "userErrors": []}}
        }
    described = describe(server, job)
    if "status" in query:
        job.poll()
    return {"data": {"node": described}}


def run(server: VendorServer, query: str) -> Any:
    problem = None
    if server.busy:
        server.busy -= 1
        problem = {"code": "OPERATION_IN_PROGRESS", "message": "A bulk query operation for this app is in progress"}
    elif "edges" not in query:
        problem = {"code": "INVALID", "message": "Bulk queries must contain at least one connection."}
    if problem:
        return {"data": {"bulkOperationRunQuery": {"bulkOperation": None, "userErrors": [problem]}}}
    job = server.new_job("gid://shopify/BulkOperation/{}")
    return {"data": {"bulkOperationRunQuery": {"bulkOperation": {"id": job.id, "status": job.state}, "userErrors": []}}}


def describe(server: VendorServer, job: Job) -> Any:
    has_file = job.state == "COMPLETED" and server.scenario != "empty"
    return {
        "status": job.state,
        "errorCode": "ACCESS_DENIED" if job.state == "FAILED" else None,
        "objectCount": "2",
        "url": f"{server.signed_url}/bulk/1?signature=abc" if has_file else None,
    }


VENDORS = (
    Vendor(
        profile="shopify/bulk_queries",
        page="shopify",
        check_auth=key_in("x-shopify-access-token", "shpat_example", message="[API] Invalid API key or access token"),
        error=lambda _, message: {"errors": message},
        routes=(
            Route("POST /admin/api/2026-07/graphql.json", answer, required=("query",), optional=("variables",)),
            Route("GET /bulk/1", lambda _, __: Answer(lines(*ROWS)), query=("signature",), is_public=True),
        ),
        states={
            "success": ("CREATED", "RUNNING", "COMPLETED"),
            "empty": ("RUNNING", "COMPLETED"),
            "failed": ("RUNNING", "FAILED"),
            "expired": ("EXPIRED",),
        },
        submit={"variables": {"query": QUERY}},
        expected=ROWS,
        failures={"failed": "ACCESS_DENIED", "expired": "EXPIRED"},
        no_data=("empty",),
        rejected=({"variables": {"query": "{ shop { name } }"}}, "at least one connection"),
        cancelled=("CANCELING", "CANCELED"),
        rate_limit=({"retry-after": "4"}, 4),
        busy=2,
        has_base_path=True,
    ),
)
