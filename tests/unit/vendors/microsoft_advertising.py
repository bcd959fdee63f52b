"""Microsoft Advertising: reports, which are polled by POST, and their archives on another host."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from tests.unit.vendors.vendor import Answer, Call, RefusedError, Route, Vendor, VendorServer, last_token

REPORT = {
    "ReportRequest": {
        "Type": "CampaignPerformanceReportRequest",
        "Aggregation": "Daily",
        "Columns": ["TimePeriod", "CampaignName", "Clicks"],
        "Scope": {"AccountIds": ["456"]},
        "Time": {"PredefinedTime": "LastSevenDays"},
    }
}
CSV = "TimePeriod,CampaignName,Clicks\n2026-01-31,Shoes,7\n"
SCOPE = "https://ads.microsoft.com/msads.manage offline_access"


def token(server: VendorServer, call: Call) -> Any:
    given = call.form
    if (given["client_id"], given["client_secret"], given["scope"]) != ("client-example", "s3cret-word", SCOPE):
        raise RefusedError(401, "", {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid secret"})
    # The next request has to have the refresh token of the last response.
    if given["refresh_token"].encode() != server.files.get("refresh token", b"M.C1_0"):
        raise RefusedError(400, "", {"error": "invalid_grant", "error_description": "AADSTS70000: expired"})
    access_token = server.new_token()
    server.files["refresh token"] = f"M.C1_{len(server.tokens)}".encode()
    return {
        "access_token": access_token,
        "refresh_token": server.files["refresh token"].decode(),
        "token_type": "Bearer",
        "expires_in": 3600,
    }


def check_headers(call: Call) -> None:
    for name, value in (("developertoken", "dev-example"), ("customerid", "123"), ("customeraccountid", "456")):
        if call.headers.get(name) != value:
            raise RefusedError(400, f"The header {name} is missing or isn't valid.")


def submit(server: VendorServer, call: Call) -> Any:
    check_headers(call)
    if not call.json["ReportRequest"].get("Columns"):
        raise RefusedError(400, "Columns must be specified.")
    if server.busy:
        server.busy -= 1
        errors = [{"Code": 207, "ErrorCode": "ConcurrentRequestOverLimit", "Message": "Too many reports at a time."}]
        return Answer({"TrackingId": "t-1", "Type": "ApiFaultDetail", "OperationErrors": errors}, 400)
    return {"ReportRequestId": server.new_job("3000{}").id}


def poll(server: VendorServer, call: Call) -> Any:
    check_headers(call)
    job = server.jobs.get(call.json["ReportRequestId"])
    if job is None:
        raise RefusedError(400, "The specified report request id isn't valid.")
    state = job.poll()
    has_file = state == "Success" and server.scenario != "empty"
    url = f"{server.signed_url}/report.zip?sig=abc" if has_file else None
    return {"ReportRequestStatus": {"Status": state, "ReportDownloadUrl": url}}


def download(_server: VendorServer, _call: Call) -> Any:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("report.csv", CSV)
    return Answer(content.getvalue())


VENDORS = (
    Vendor(
        profile="microsoft_advertising/reports",
        page="microsoft_advertising",
        check_auth=last_token(message="Authentication failed."),
        error=lambda status, message: {
            "TrackingId": "t-1",
            "Type": "AdApiFaultDetail",
            "Errors": [{"Code": {401: 109, 429: 117}.get(status, 100), "ErrorCode": "x", "Message": message}],
        },
        routes=(
            Route(
                "POST /common/oauth2/v2.0/token",
                token,
                required=("grant_type", "client_id", "client_secret", "refresh_token", "scope"),
                body="form",
                is_public=True,
            ),
            Route("POST /Reporting/v13/GenerateReport/Submit", submit, required=("ReportRequest",)),
            Route("POST /Reporting/v13/GenerateReport/Poll", poll, required=("ReportRequestId",)),
            Route("GET /report.zip", download, query=("sig",), is_public=True),
        ),
        states={
            "success": ("Pending", "Pending", "Success"),
            "empty": ("Pending", "Success"),
            "failed": ("Pending", "Error"),
        },
        submit={"variables": {"customer": "123", "account": "456"}, "json": REPORT},
        expected={"report.csv": CSV},
        failures={"failed": "Error"},
        no_data=("empty",),
        rejected=({"json": {"ReportRequest": {"Columns": []}}}, "Columns must be specified"),
        rate_limit=({"retry-after": "60"}, 60),
        hosts=("https://login.microsoftonline.com",),
        logs_in=True,
        busy=1,
        is_written=True,
    ),
)
