"""Meta: reports of ads, whose rows are pages."""

from __future__ import annotations

from typing import Any

from tests.unit.vendors.vendor import Answer, Call, Job, RefusedError, Route, Vendor, VendorServer, key_in, on_poll

ROWS = [{"campaign_id": "1", "clicks": "7"}, {"campaign_id": "2", "clicks": "9"}, {"campaign_id": "3", "clicks": "2"}]
REPORT = {
    "level": "campaign",
    "fields": "campaign_id,clicks",
    "time_range": {"since": "2026-01-01", "until": "2026-01-31"},
}


def start(server: VendorServer, call: Call) -> Any:
    if server.busy:
        server.busy -= 1
        return Answer({"error": {"code": 80000, "message": "There have been too many calls to this ad-account."}}, 400)
    if call.json["level"] not in ("ad", "adset", "campaign", "account"):
        raise RefusedError(400, "(#100) level must be one of: ad, adset, campaign, account")
    return {"report_run_id": server.new_job("602{}").id}


def describe(_server: VendorServer, job: Job) -> Any:
    status, percent = job.state.split(": ")
    described = {"id": job.id, "async_status": status, "async_percent_completion": int(percent)}
    return described | ({"error_message": "Please reduce the amount of data"} if status == "Job Failed" else {})


def insights(server: VendorServer, call: Call) -> Any:
    server.find_job(call)
    rows = [] if server.scenario == "empty" else ROWS
    start = int(call.query.get("after", "MZD0").removeprefix("MZD"))
    end = start + 2
    paging: dict[str, Any] = {"cursors": {"before": f"MZD{start}", "after": f"MZD{end}"}}
    if end < len(rows):
        paging["next"] = f"{server.url}{call.path}?access_token=x&limit=2&after=MZD{end}"
    return {"data": rows[start:end]} | ({"paging": paging} if rows else {})


VENDORS = (
    Vendor(
        profile="meta/ads_insights",
        page="meta",
        check_auth=key_in("authorization", "Bearer EAAB-example", message="Error validating access token"),
        error=lambda status, message: {
            "error": {"message": message, "type": "OAuthException", "code": {401: 190}.get(status, 100)}
        },
        routes=(
            Route(
                "POST /v24.0/act_123/insights",
                start,
                required=("level", "fields"),
                optional=("time_range", "breakdowns", "time_increment", "filtering"),
            ),
            Route("GET /v24.0/{id}", on_poll(describe), query=("fields",)),
            Route("GET /v24.0/{id}/insights", insights, query=("limit", "after")),
        ),
        states={
            "success": ("Job Not Started: 0", "Job Running: 50", "Job Completed: 90", "Job Completed: 100"),
            "empty": ("Job Started: 0", "Job Completed: 100"),
            "failed": ("Job Running: 50", "Job Failed: 50"),
            "skipped": ("Job Running: 50", "Job Skipped: 0"),
        },
        submit={"variables": {"ad_account": "123"}, "json": REPORT},
        expected=ROWS,
        results={"empty": []},
        failures={"failed": "Please reduce the amount of data", "skipped": "Job Skipped"},
        rejected=({"json": {**REPORT, "level": "pixel"}}, "level must be one of"),
        busy=1,
        progress=0.5,
    ),
)
