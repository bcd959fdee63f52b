"""OGC API - Processes: a server that sends the status of a job, and one that sends only its address."""

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
    key_in,
    on_cancel,
    on_poll,
)

RESULT = {"area": {"value": 12.5, "unit": "km2"}}


def execute(server: VendorServer, call: Call) -> Any:
    if call.headers.get("prefer") != "respond-async":
        raise RefusedError(400, "this process is executed asynchronously only")
    if call.names["process"] != "buffer":
        raise RefusedError(404, "the requested process does not exist")
    if "distance" not in call.json["inputs"]:
        raise RefusedError(400, "the input distance is missing")
    job = server.new_job("a0b1-{}")
    body = None if server.scenario == "address_only" else describe(server, job)
    return Answer(body, 201, {"location": f"{server.url}/ogc/jobs/{job.id}?f=json"})


def describe(_: VendorServer, job: Job) -> Any:
    described = {"jobID": job.id, "processID": "buffer", "type": "process", "status": job.state, "progress": 0}
    if job.state == "running":
        described["progress"] = 50
    if job.state == "failed":
        described["message"] = "the geometry is not valid"
    return described


def results(server: VendorServer, call: Call) -> Any:
    if server.find_job(call).state != "successful":
        raise RefusedError(404, "the result is not ready")
    return RESULT


VENDORS = (
    Vendor(
        profile="ogc/processes",
        page="ogc",
        check_auth=key_in("authorization", "Bearer ogc-example", message="not signed in"),
        error=lambda _, message: {
            "type": "http://www.opengis.net/def/exceptions/ogcapi-processes-1",
            "detail": message,
        },
        routes=(
            Route(
                "POST /ogc/processes/{process}/execution",
                execute,
                required=("inputs",),
                optional=("outputs", "response", "subscriber"),
            ),
            Route("GET /ogc/jobs/{id}", on_poll(describe), query=("f",)),
            Route("GET /ogc/jobs/{id}/results", results, query=("f",)),
            Route("DELETE /ogc/jobs/{id}", on_cancel(describe), query=("f",)),
        ),
        states={
            "success": ("accepted", "running", "successful"),
            "address_only": ("running", "successful"),
            "failed": ("running", "failed"),
        },
        submit={"variables": {"process": "buffer", "inputs": {"distance": 10}}},
        expected=RESULT,
        results={"address_only": RESULT},
        failures={"failed": "the geometry is not valid"},
        rejected=({"variables": {"process": "buffer"}}, "the input distance is missing"),
        cancelled=("dismissed",),
        has_base_path=True,
        progress=0.5,
    ),
)
