"""IVOA TAP: queries in ADQL as jobs of a UWS, whose documents are XML."""

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
)

XML = {"content-type": "application/xml"}
ROWS = [{"source_id": "4658", "ra": "80.2"}, {"source_id": "4659", "ra": "81.9"}]


def votable(_: int, message: str) -> str:
    info = f'<INFO name="QUERY_STATUS" value="ERROR">{message}</INFO>'
    namespace = "http://www.ivoa.net/xml/VOTable/v1.3"
    return f'<VOTABLE version="1.4" xmlns="{namespace}"><RESOURCE type="results">{info}</RESOURCE></VOTABLE>'


def create(server: VendorServer, call: Call) -> Any:
    given = call.form
    if (given["LANG"], given["RESPONSEFORMAT"], given["PHASE"]) != ("ADQL", "csv", "RUN"):
        raise RefusedError(400, "LANG, RESPONSEFORMAT or PHASE is not supported")
    if not given["QUERY"].startswith("SELECT"):
        raise RefusedError(400, "Incorrect ADQL query")
    if not given["MAXREC"].isdigit():
        raise RefusedError(400, "MAXREC has to be an integer")
    return lead_to(server, server.new_job("job{}"))


def lead_to(server: VendorServer, job: Job) -> Answer:
    return Answer(None, 303, {"location": f"{server.url}/tap/async/{job.id}"})


def describe(server: VendorServer, call: Call) -> Answer:
    job = server.find_job(call)
    state = job.poll()
    summary = "<errorSummary type='fatal'><message>No such table: gaia.nowhere</message></errorSummary>"
    prefix = "uws:" if server.scenario == "prefixed" else ""
    declared = f"xmlns{':uws' if prefix else ''}='http://www.ivoa.net/xml/UWS/v1.0'"
    return Answer(
        f"<?xml version='1.0' encoding='UTF-8'?><{prefix}job version='1.1' {declared}>"
        f"<{prefix}jobId>{job.id}</{prefix}jobId><{prefix}phase>{state}</{prefix}phase>"
        f"{summary if state == 'ERROR' else ''}</{prefix}job>",
        headers=XML,
    )


def abort(server: VendorServer, call: Call) -> Any:
    if call.form != {"PHASE": "ABORT"}:
        raise RefusedError(400, "only PHASE=ABORT is expected")
    return lead_to(server, server.cancel(server.find_job(call)))


def result(server: VendorServer, call: Call) -> Answer:
    server.find_job(call)
    rows = [] if server.scenario == "empty" else ROWS
    lines = [",".join(ROWS[0]), *(",".join(row.values()) for row in rows), ""]
    text = "\r\n".join(lines)
    return Answer(text, headers={"content-type": "text/csv;header=present"})


VENDORS = (
    Vendor(
        profile="ivoa/tap_queries",
        page="ivoa",
        check_auth=key_in("authorization", "Basic YW5uOnMzY3JldC13b3Jk", message="not signed in"),
        error=votable,
        routes=(
            Route(
                "POST /tap/async",
                create,
                required=("LANG", "QUERY", "RESPONSEFORMAT", "PHASE"),
                optional=("MAXREC", "UPLOAD", "RUNID"),
                body="form",
            ),
            Route("GET /tap/async/{id}", describe, query=("WAIT",)),
            Route("POST /tap/async/{id}/phase", abort, required=("PHASE",), body="form"),
            Route("GET /tap/async/{id}/results/result", result),
        ),
        states={
            "success": ("QUEUED", "EXECUTING", "COMPLETED"),
            "prefixed": ("PENDING", "EXECUTING", "COMPLETED"),
            "empty": ("EXECUTING", "COMPLETED"),
            "failed": ("EXECUTING", "ERROR"),
        },
        submit={"variables": {"query": "SELECT TOP 2 source_id, ra FROM gaia.dr3lite"}},
        expected=ROWS,
        results={"prefixed": ROWS, "empty": []},
        failures={"failed": "No such table: gaia.nowhere"},
        rejected=({"variables": {"query": "CHOOSE 1"}}, "Incorrect ADQL query"),
        cancelled=("EXECUTING", "ABORTED"),
        has_base_path=True,
    ),
)
