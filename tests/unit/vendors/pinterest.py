"""Pinterest: reports, for a refresh token that can be used once, and their files on another host."""

from __future__ import annotations

import base64
from typing import Any

from tests.unit.vendors.vendor import Answer, Call, RefusedError, Route, Vendor, VendorServer, last_token

REPORT = {
    "start_date": "2026-01-01",
    "end_date": "2026-01-31",
    "granularity": "DAY",
    "columns": ["CAMPAIGN_ID", "SPEND_IN_DOLLAR"],
    "level": "CAMPAIGN",
    "report_format": "CSV",
}
CSV = "Campaign ID,Spend\n549,7.5\n"
CLIENT = "Basic " + base64.b64encode(b"1234567:s3cret-word").decode()


def token(server: VendorServer, call: Call) -> Any:
    if call.headers.get("authorization") != CLIENT:
        raise RefusedError(401, "", {"code": 1, "message": "Authentication failed."})
    # Each refresh token can be used once.
    if call.form["refresh_token"].encode() != server.files.get("refresh token", b"pinr.0"):
        raise RefusedError(400, "", {"error": "invalid_grant"})
    access_token = server.new_token()
    server.files["refresh token"] = f"pinr.{len(server.tokens)}".encode()
    return {
        "access_token": access_token,
        "refresh_token": server.files["refresh token"].decode(),
        "token_type": "bearer",
        "expires_in": 2592000,
    }


def create(server: VendorServer, call: Call) -> Any:
    if call.json["granularity"] not in ("TOTAL", "DAY", "HOUR", "WEEK", "MONTH"):
        raise RefusedError(400, f"Invalid granularity: {call.json['granularity']}")
    job = server.new_job("RC{}")
    return {"report_status": "IN_PROGRESS", "token": job.id, "message": None}


def poll(server: VendorServer, call: Call) -> Any:
    job = server.jobs.get(call.query["token"])
    if job is None:
        return {"report_status": "DOES_NOT_EXIST", "url": None, "size": None}
    state = job.poll()
    url = f"{server.signed_url}/report.csv?Signature=abc" if state == "FINISHED" else None
    return {"report_status": state, "url": url, "size": len(CSV) if url else None}


VENDORS = (
    Vendor(
        profile="pinterest/reports",
        page="pinterest",
        check_auth=last_token(message="Authentication failed."),
        error=lambda status, message: {"code": status, "message": message},
        routes=(
            Route(
                "POST /v5/oauth/token", token, required=("grant_type", "refresh_token"), body="form", has_own_auth=True
            ),
            Route(
                "POST /v5/ad_accounts/549755885175/reports",
                create,
                required=("start_date", "end_date", "granularity", "columns", "level"),
                optional=("report_format",),
            ),
            Route("GET /v5/ad_accounts/549755885175/reports", poll, query=("token",)),
            Route("GET /report.csv", lambda _, __: Answer(CSV.encode()), query=("Signature",), is_public=True),
        ),
        states={
            "success": ("IN_PROGRESS", "IN_PROGRESS", "FINISHED"),
            "failed": ("IN_PROGRESS", "FAILED"),
            "expired": ("IN_PROGRESS", "EXPIRED"),
        },
        submit={"variables": {"ad_account": "549755885175"}, "json": REPORT},
        expected={"report.csv": CSV},
        failures={"failed": "FAILED", "expired": "EXPIRED"},
        rejected=({"json": {**REPORT, "granularity": "YEAR"}}, "Invalid granularity: YEAR"),
        rate_limit=({"x-ratelimit-reset": "45"}, 45),
        logs_in=True,
        is_written=True,
    ),
)
