"""FHIR bulk data exports, for a client that signs in as a SMART backend service."""

from __future__ import annotations

from typing import Any

import jwt

from tests.unit.vendors.keys import make_key
from tests.unit.vendors.vendor import (
    Answer,
    Call,
    RefusedError,
    Route,
    Vendor,
    VendorServer,
    last_token,
    lines,
    on_cancel,
)

FILES = {
    "Patient_1.ndjson": lines({"resourceType": "Patient", "id": "p-1"}, {"resourceType": "Patient", "id": "p-2"}),
    "Observation_1.ndjson": lines({"resourceType": "Observation", "id": "o-1"}),
}


def token(server: VendorServer, call: Call) -> Any:
    given = call.form
    if given["client_assertion_type"] != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer":
        raise RefusedError(400, "", {"error": "invalid_client"})
    try:
        assertion = given["client_assertion"]
        claims = jwt.decode(
            assertion, make_key().public_key(), ["RS384"], audience=f"{server.url}/token", issuer="the-client-id"
        )
    except jwt.PyJWTError as error:
        raise RefusedError(400, "", {"error": "invalid_client", "error_description": str(error)}) from None
    if claims["sub"] != "the-client-id" or claims["exp"] - claims["iat"] > 300:
        raise RefusedError(400, "", {"error": "invalid_client"})
    if not given["scope"].startswith("system/"):
        raise RefusedError(400, "", {"error": "invalid_scope"})
    return {"access_token": server.new_token(), "token_type": "bearer", "expires_in": 300, "scope": given["scope"]}


def error(_: int, message: str, code: str = "processing") -> Any:
    issue = {"severity": "error", "code": code, "diagnostics": message}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def export(server: VendorServer, call: Call) -> Any:
    if call.headers.get("prefer") != "respond-async" or call.headers.get("accept") != "application/fhir+json":
        raise RefusedError(400, "Prefer: respond-async and Accept: application/fhir+json are required")
    if "Planet" in call.query.get("_type", ""):
        raise RefusedError(400, "The resource type Planet is not supported")
    return Answer(None, 202, {"content-location": f"{server.url}/jobs/{server.new_job('j-{}').id}"})


def poll(server: VendorServer, call: Call) -> Any:
    job = server.find_job(call)
    state = job.poll()
    if state == "running":
        return Answer(None, 202, {"x-progress": "40% of the patients", "retry-after": "2"})
    if state == "busy":
        return Answer(error(503, "busy", "transient"), 503)
    if state == "failed":
        return Answer(error(500, "The export failed: the group has too many patients"), 500)
    if state == "deleted":
        return Answer(error(404, "the export was deleted", "not-found"), 404)
    output = [
        {"type": name.partition("_")[0], "url": f"{server.url}/files/{name}"}
        for name in (FILES if server.scenario != "empty" else ())
    ]
    return {
        "transactionTime": "2026-01-31T00:00:00Z",
        "request": f"{server.url}/Patient/$export",
        "requiresAccessToken": True,
        "output": output,
        "error": [],
    }


def cancel(server: VendorServer, call: Call) -> Any:
    on_cancel(lambda _, __: None)(server, call)
    return Answer(None, 202)


VENDORS = (
    Vendor(
        profile="fhir/bulk_exports",
        page="fhir",
        check_auth=last_token(message="the token is not valid"),
        error=error,
        hosts=("https://health.example.com",),
        logs_in=True,
        routes=(
            Route(
                "POST /token",
                token,
                required=("grant_type", "scope", "client_assertion_type", "client_assertion"),
                body="form",
                is_public=True,
            ),
            Route("GET /Patient/$export", export, query=("_type", "_since", "_typeFilter", "_outputFormat")),
            Route("GET /jobs/{id}", poll),
            Route("DELETE /jobs/{id}", cancel),
            Route("GET /files/{name}", lambda _, call: Answer(FILES[call.names["name"]])),
        ),
        states={
            "success": ("running", "running", "complete"),
            "busy": ("running", "busy", "complete"),
            "empty": ("running", "complete"),
            "failed": ("running", "failed"),
        },
        submit={"query_params": {"_type": "Patient,Observation", "_since": "2026-01-01T00:00:00Z"}},
        expected={name: content.decode() for name, content in FILES.items()},
        results={"busy": {name: content.decode() for name, content in FILES.items()}},
        no_data=("empty",),
        failures={"failed": "the group has too many patients"},
        rejected=({"query_params": {"_type": "Planet"}}, "Planet is not supported"),
        cancelled=("deleted",),
        is_written=True,
        progress=0.4,
    ),
)
