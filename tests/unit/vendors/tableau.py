"""Tableau: refreshes of extracts, after a sign-in with a personal access token."""

from __future__ import annotations

from typing import Any

from tests.unit.vendors.vendor import Answer, Call, Job, RefusedError, Route, Vendor, VendorServer, on_cancel, on_poll

SITE = "/api/3.24/sites/9a8b7c6d"
CODES = {401: "401002", 404: "404002", 400: "400000"}


def sign_in(server: VendorServer, call: Call) -> Any:
    given = call.json["credentials"]
    if given["personalAccessTokenSecret"] != "s3cret-word" or given["site"]["contentUrl"] != "acme":
        raise RefusedError(401, "The personal access token you provided is invalid.")
    return {"credentials": {"token": server.new_token(), "site": {"id": "9a8b7c6d", "contentUrl": "acme"}}}


def check_token(server: VendorServer, call: Call) -> None:
    if call.headers.get("accept") != "application/json":
        raise RefusedError(406, "only JSON is pretended")
    if not server.tokens or call.headers.get("x-tableau-auth") != server.tokens[-1]:
        raise RefusedError(401, "Your authentication credentials are invalid.")


def refresh(server: VendorServer, call: Call) -> Any:
    if call.json != {}:
        raise RefusedError(400, "Payload is either malformed or incomplete")
    job = server.new_job("1bac39fd-{}")
    return Answer({"job": {"id": job.id, "mode": "Asynchronous", "type": "RefreshExtract"}}, 202)


def describe(_: VendorServer, job: Job) -> Any:
    described: dict[str, Any] = {"id": job.id, "mode": "Asynchronous", "type": "RefreshExtract"}
    described["progress"] = "100" if job.is_over else "50"
    if job.state not in ("pending", "running"):
        described["finishCode"] = job.state
        described["extractRefreshJob"] = {"notes": "Login failed for user." if job.state == "1" else "Finished."}
    return {"job": described}


VENDORS = (
    Vendor(
        profile="tableau/jobs",
        page="tableau",
        check_auth=check_token,
        error=lambda status, message: {
            "error": {"summary": "Error", "detail": message, "code": CODES.get(status, "500000")}
        },
        routes=(
            Route("POST /api/3.24/auth/signin", sign_in, required=("credentials",), is_public=True),
            Route(f"POST {SITE}/workbooks/w-1/refresh", refresh, optional=None),
            Route(f"GET {SITE}/jobs/{{id}}", on_poll(describe)),
            Route(f"PUT {SITE}/jobs/{{id}}", on_cancel(lambda _, __: None)),
        ),
        states={"success": ("pending", "running", "0"), "failed": ("running", "1")},
        submit={"variables": {"extract": "workbooks/w-1"}},
        expected={
            "id": "1bac39fd-1",
            "mode": "Asynchronous",
            "type": "RefreshExtract",
            "progress": "100",
            "finishCode": "0",
            "extractRefreshJob": {"notes": "Finished."},
        },
        failures={"failed": "Login failed for user"},
        rejected=({"json": {"refresh": "now"}}, "malformed or incomplete"),
        cancelled=("2",),
        logs_in=True,
        progress=0.5,
    ),
)
