"""Snowflake: statements of the SQL API, whose status is the HTTP status code."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization

from tests.unit.vendors.keys import make_key
from tests.unit.vendors.vendor import Answer, Call, Job, RefusedError, Route, Vendor, VendorServer, key_in

PARTITIONS: list[list[list[str | None]]] = [[["1", "Ann"], ["2", None]], [["3", "Cid"]]]
#: A first partition of more than a MiB, which a poll doesn't read.
LARGE: list[list[list[str | None]]] = [[[str(number), "x" * 900] for number in range(1_200)], [["3", "Cid"]]]
RESULTS: dict[str, list[list[list[str | None]]]] = {"empty": [[]], "large": LARGE}
USER = "MYORG-MYACCOUNT.ROBOT"
COLUMNS = [{"name": "ID", "type": "fixed"}, {"name": "NAME", "type": "text"}]
MESSAGES = {422: "SQL compilation error: Object 'ORDERS' does not exist", 408: "Statement reached its timeout"}


def error(status: int, message: str) -> Any:
    return {"code": {401: "390303", 429: "391902"}.get(status, "391917"), "message": message}


check_access_token = key_in("authorization", "Bearer pat-example", message="Programmatic access token is invalid.")


def check_auth(server: VendorServer, call: Call) -> None:
    kind = call.headers.get("x-snowflake-authorization-token-type")
    if kind == "PROGRAMMATIC_ACCESS_TOKEN":
        return check_access_token(server, call)
    if kind != "KEYPAIR_JWT":
        raise RefusedError(400, "x-snowflake-authorization-token-type: header is required")
    der = (
        make_key()
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    fingerprint = base64.b64encode(hashlib.sha256(der).digest()).decode()
    try:
        claims = jwt.decode(
            call.headers["authorization"].removeprefix("Bearer "),
            make_key().public_key(),
            ["RS256"],
            issuer=f"{USER}.SHA256:{fingerprint}",
        )
    except jwt.PyJWTError:
        raise RefusedError(401, "JWT token is invalid.") from None
    if claims["sub"] != USER or claims["exp"] - claims["iat"] > 3600:
        raise RefusedError(401, "JWT token is invalid.")
    return None


def as_objects(partitions: list[list[list[str | None]]]) -> list[dict[str, str | None]]:
    return [dict(zip(("ID", "NAME"), row, strict=True)) for rows in partitions for row in rows]


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
    headers: dict[str, str] = {}
    body: dict[str, Any] = {
        "code": "333334",
        "message": "Asynchronous execution in progress.",
        "statementHandle": job.id,
        "statementStatusUrl": f"/api/v2/statements/{job.id}",
    }
    if code in MESSAGES:
        body |= {"code": "002003", "sqlState": "42S02", "message": MESSAGES[code]}
    if code == 200:
        rows = RESULTS.get(server.scenario, PARTITIONS)
        links = {"first": 0, "last": len(rows) - 1} | ({"next": partition + 1} if partition + 1 < len(rows) else {})
        path = f"/api/v2/statements/{job.id}?requestId=r-1"
        headers = {"link": ", ".join(f'<{path}&partition={number}>;rel="{rel}"' for rel, number in links.items())}
        body |= {"code": "090001", "message": "Statement executed successfully.", "data": rows[partition]}
        info = [{"rowCount": len(each), "uncompressedSize": 99} for each in rows]
        metadata = {"numRows": sum(map(len, rows)), "format": "jsonv2", "rowType": COLUMNS, "partitionInfo": info}
        # Only the first partition comes with the metadata.
        body |= {} if partition else {"resultSetMetaData": metadata}
    return Answer(body, code, headers)


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
        check_auth=check_auth,
        error=error,
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
            "large": ("202", "200"),
            "failed": ("202", "422"),
            "too_long": ("202", "408"),
        },
        submit={
            "json": {"statement": "SELECT * FROM orders", "warehouse": "WH", "database": "SHOP", "schema": "PUBLIC"},
        },
        fetch={"max_xcom_bytes": 4 * 1024 * 1024},
        expected=as_objects(PARTITIONS),
        results={"empty": [], "large": as_objects(LARGE)},
        failures={"failed": "Object 'ORDERS' does not exist", "too_long": "reached its timeout"},
        rejected=({"json": {"statement": "SELECT 1; SELECT 2"}}, "did not match the desired statement count"),
        cancelled=("422",),
        rate_limit=({"retry-after": "5"}, 5),
    ),
)
