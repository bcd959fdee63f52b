"""Amazon: reports for selling partners and for advertisers, and their files on another host."""

from __future__ import annotations

import gzip
import json
from typing import Any

from tests.unit.vendors.vendor import Answer, Call, Job, RefusedError, Route, Vendor, VendorServer, on_cancel, on_poll

REPORT = {"reportType": "GET_MERCHANT_LISTINGS_ALL_DATA", "marketplaceIds": ["A1PA6795UKMFR9"]}
TEXT = "sku\tquantity\nA-1\t42\n"
ADS_REPORT = {
    "name": "campaigns",
    "startDate": "2026-01-01",
    "endDate": "2026-01-31",
    "configuration": {
        "adProduct": "SPONSORED_PRODUCTS",
        "reportTypeId": "spCampaigns",
        "groupBy": ["campaign"],
        "columns": ["campaignId", "clicks"],
        "timeUnit": "SUMMARY",
        "format": "GZIP_JSON",
    },
}
ROWS = json.dumps([{"campaignId": 1, "clicks": 7}])
#: The type of the body that creates a report for advertisers.
CREATE_ADS_REPORT = "application/vnd.createasyncreportrequest.v3+json"


def token(server: VendorServer, call: Call) -> Any:
    given = call.form
    if (given["client_id"], given["client_secret"]) != ("amzn1.application-oa2-client.example", "s3cret-word"):
        raise RefusedError(401, "", {"error": "invalid_client", "error_description": "Client authentication failed"})
    if (given["grant_type"], given["refresh_token"]) != ("refresh_token", "Atzr|example"):
        raise RefusedError(400, "", {"error": "invalid_grant"})
    return {"access_token": server.new_token(), "refresh_token": "Atzr|example", "expires_in": 3600}


def token_in(header: str, prefix: str, status: int) -> Any:
    """Return the check of the last token in a header."""

    def check(server: VendorServer, call: Call) -> None:
        if not server.tokens or call.headers.get(header) != f"{prefix}{server.tokens[-1]}":
            raise RefusedError(status, "The access token you provided has expired.")

    return check


def create(server: VendorServer, call: Call) -> Any:
    if not call.json["reportType"].startswith("GET_"):
        raise RefusedError(400, "Invalid Report Type")
    return Answer({"reportId": server.new_job("5002{}").id}, 202)


def describe(server: VendorServer, job: Job) -> Any:
    described = {"reportId": job.id, "reportType": REPORT["reportType"], "processingStatus": job.state}
    has_document = job.state == "DONE" or (job.state == "FATAL" and server.scenario == "fatal")
    return described | ({"reportDocumentId": f"amzn1.spdoc.{job.id}"} if has_document else {})


def locate(server: VendorServer, call: Call) -> Any:
    job = next(iter(server.jobs.values()))
    if call.names["id"] != f"amzn1.spdoc.{job.id}":
        raise RefusedError(404, "The document doesn't exist")
    name = "error.json" if job.state == "FATAL" else "report.txt"
    answer = {"reportDocumentId": call.names["id"], "url": f"{server.signed_url}/{name}?X-Amz-Signature=abc"}
    return answer if server.scenario == "plain" else answer | {"compressionAlgorithm": "GZIP"}


def download(server: VendorServer, call: Call) -> Any:
    if call.names["name"] == "error.json":
        return {"errorDetails": "The report type doesn't support this marketplace"}
    text = ROWS if server.vendor.profile == "amazon/ads_reports" else TEXT
    return Answer(text.encode() if server.scenario == "plain" else gzip.compress(text.encode()))


def check_headers(call: Call) -> None:
    if call.headers.get("amazon-advertising-api-clientid") != "amzn1.application-oa2-client.example":
        raise RefusedError(401, "Missing or invalid Amazon-Advertising-API-ClientId")
    if call.headers.get("amazon-advertising-api-scope") != "123456789":
        raise RefusedError(401, "Not authorized to access scope")


def create_ads_report(server: VendorServer, call: Call) -> Any:
    check_headers(call)
    if call.headers["content-type"] != CREATE_ADS_REPORT:
        raise RefusedError(415, f"Cannot consume content type {call.headers['content-type']}")
    if call.json["configuration"]["format"] != "GZIP_JSON":
        raise RefusedError(400, "configuration format is invalid")
    job = server.new_job("a15115d8-3da4-{}")
    if server.scenario == "duplicate":
        return Answer({"code": "425", "detail": f"The Request is a duplicate of : {job.id}"}, 425)
    return describe_ads_report(server, job)


def describe_ads_report(server: VendorServer, job: Job) -> Any:
    is_done = job.state == "COMPLETED"
    return {
        "reportId": job.id,
        "status": job.state,
        "failureReason": "Internal Server Error" if job.state == "FAILED" else None,
        "url": f"{server.signed_url}/report.json.gz?X-Amz-Signature=abc" if is_done else None,
        "configuration": ADS_REPORT["configuration"],
    }


def with_headers(handler: Any) -> Any:
    """Return a handler that refuses a request without the headers of an advertiser."""

    def answer(server: VendorServer, call: Call) -> Any:
        check_headers(call)
        return handler(server, call)

    return answer


COMMON: dict[str, Any] = {
    "page": "amazon",
    "variables": {"token_url": "/auth/o2/token"},
    "logs_in": True,
    "is_written": True,
}
TOKEN = Route(
    "POST /auth/o2/token",
    token,
    required=("grant_type", "refresh_token", "client_id", "client_secret"),
    body="form",
    is_public=True,
)
FILE = Route("GET /{name}", download, query=("X-Amz-Signature",), is_public=True)
PATH = "/reports/2021-06-30"
VENDORS = (
    Vendor(
        profile="amazon/reports",
        check_auth=token_in("x-amz-access-token", "", 403),
        error=lambda _, message: {"errors": [{"code": "InvalidInput", "message": message, "details": ""}]},
        routes=(
            TOKEN,
            Route(
                f"POST {PATH}/reports",
                create,
                required=("reportType", "marketplaceIds"),
                optional=("dataStartTime", "dataEndTime", "reportOptions"),
            ),
            Route(f"GET {PATH}/reports/{{id}}", on_poll(describe)),
            Route(f"DELETE {PATH}/reports/{{id}}", on_cancel(lambda _, __: {})),
            Route(f"GET {PATH}/documents/{{id}}", locate),
            FILE,
        ),
        states={
            "success": ("IN_QUEUE", "IN_PROGRESS", "DONE"),
            "plain": ("IN_PROGRESS", "DONE"),
            "empty": ("IN_QUEUE", "CANCELLED"),
            "fatal": ("IN_PROGRESS", "FATAL"),
            "fatal without a reason": ("IN_PROGRESS", "FATAL"),
        },
        submit={"json": REPORT},
        expected={"report.txt": TEXT},
        results={"plain": {"report.txt": TEXT}},
        failures={"fatal": "doesn't support this marketplace", "fatal without a reason": "FATAL"},
        no_data=("empty",),
        rejected=({"json": {**REPORT, "reportType": "LISTINGS"}}, "Invalid Report Type"),
        cancelled=("CANCELLED",),
        **COMMON,
    ),
    Vendor(
        profile="amazon/ads_reports",
        check_auth=token_in("authorization", "Bearer ", 401),
        error=lambda status, message: {"code": str(status), "detail": message},
        routes=(
            TOKEN,
            Route("POST /reporting/reports", create_ads_report, required=tuple(ADS_REPORT)),
            Route("GET /reporting/reports/{id}", with_headers(on_poll(describe_ads_report))),
            Route("DELETE /reporting/reports/{id}", with_headers(on_cancel(describe_ads_report))),
            FILE,
        ),
        states={
            "success": ("PENDING", "PROCESSING", "COMPLETED"),
            "duplicate": ("PROCESSING", "COMPLETED"),
            "failed": ("PROCESSING", "FAILED"),
        },
        submit={"variables": {"profile": "123456789"}, "json": ADS_REPORT},
        expected={"report.json": ROWS},
        results={"duplicate": {"report.json": ROWS}},
        failures={"failed": "Internal Server Error"},
        rejected=({"json": {**ADS_REPORT, "configuration": {"format": "CSV"}}}, "configuration format is invalid"),
        cancelled=("FAILED",),
        rate_limit=({"retry-after": "20"}, 20),
        **COMMON,
    ),
)
