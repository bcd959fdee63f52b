"""Snowflake: statements of the SQL API, whose status is the HTTP status code."""

from __future__ import annotations

from typing import Any

from tests.unit.vendors.vendor import Answer, Call, Job, RefusedError, Route, Vendor, VendorServer, key_in

PARTITIONS = [[["1", "Ann"], ["2", "Ben"]], [["3", "Cid"]]]
MESSAGES = {422: "SQL compilation error: Object 'ORDERS' does not exist", 408: "Statement reached its timeout"}


def error(status: int, message: str) -> Any:
    return {"code": {401: "390303", 429: "391902"}.get(status, "391917"), "message": message}


def submit(server: VendorServer, call: Call) -> Any:
    given = call.json
    if ";" in given["statement"]:
        raise RefusedError(422, "Actual statement count 2 did not match the desired statement count 1.")
    for job in server.jobs.values():
        if job.facts["request"] == call.query.get("requestId") and call.query.get("retry") == "true":
            return describe(server, job)
    if call.query.get("async") != "true":
        raise RefusedError(400, "this test waits for no statement")
    return describe(server, server.new_job("019c-{}", request=call.query.get("requestId")))


def describe(server: VendorServer, job: Job, partition: int = 0) -> Any:
    code = int(job.state)
    body: dict[str, Any] = {
        "code": "333334",
        "message": "Asynchronous execution in progress.",
        "statementHandle": job.id,
        "statementStatusUrl": f"/api/v2/statements/{job.id}",
    }
    if code in MESSAGES:
        body |= {"code": "002003", "sqlState": "42S02", "message": MESSAGES[code]}
    if code == 200:
        rows = [[]] if server.scenario == "empty" else PARTITIONS
        body |= {"code": "090001", "message": "Statement executed successfully.", "data": rows[partition]}
        info = [{"rowCount": len(each), "uncompressedSize": 99} for each in rows]
        body["resultSetMetaData"] = {"numRows": sum(map(len, rows)), "format": "jsonv2", "partitionInfo": info}
    return Answer(body, code)


def status(server: VendorServer, call: Call) -> Any:
    job = server.find_job(call)
    partition = int(call.query.get("partition", 0))
    if partition >= len(PARTITIONS):
        raise RefusedError(400, f"Invalid partition {partition}")
    answer = describe(server, job, partition)
    job.poll()
    return answer


def cancel(server: VendorServer, call: Call) -> Any:
    job = server.find_job(call)
    if job.is_over:
        raise RefusedError(422, "the statement has ended")
    server.cancel(job)
    return {"code": "000604", "message": "SQL execution canceled", "statementHandle": job.id}


VENDORS = (
    Vendor(
        profile="snowflake/sql_statements",
        page="snowflake",
        check_auth=key_in("authorization", "Bearer pat-example", message="Programmatic access token is invalid."),
        error=error,
        headers={"x-snowflake-authorization-token-type": "PROGRAMMATIC_ACCESS_TOKEN"},
        routes=(
            Route(
                "POST /api/v2/statements",
                submit,
                required=("statement",),
                optional=("warehouse", "database", "schema", "role", "timeout", "bindings", "parameters"),
                query=("requestId", "async", "retry", "nullable"),
            ),
            Route("GET /api/v2/statements/{id}", status, query=("partition", "requestId")),
            Route("POST /api/v2/statements/{id}/cancel", cancel),
        ),
        states={
            "success": ("202", "202", "200"),
            "empty": ("202", "200"),
            "failed": ("202", "422"),
            "too_long": ("202", "408"),
        },
        submit={
            "json": {"statement": "SELECT * FROM orders", "warehouse": "WH", "database": "SHOP", "schema": "PUBLIC"},
        },
        expected=[row for rows in PARTITIONS for row in rows],
        results={"empty": []},
        failures={"failed": "Object 'ORDERS' does not exist", "too_long": "reached its timeout"},
        rejected=({"json": {"statement": "SELECT 1; SELECT 2"}}, "did not match the desired statement count"),
        cancelled=("422",),
        rate_limit=({"retry-after": "5"}, 5),
    ),
)
