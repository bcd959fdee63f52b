"""SendGrid: exports of contacts, whose files are gzip files on another host."""

from __future__ import annotations

import gzip
from typing import Any

from tests.unit.vendors.vendor import Answer, Call, Job, RefusedError, Route, Vendor, VendorServer, key_in, on_poll

CSV = {"contacts_1.csv": "EMAIL\nann@example.com\n", "contacts_2.csv": "EMAIL\nben@example.com\n"}


def start(server: VendorServer, call: Call) -> Any:
    if call.json.get("file_type", "csv") not in ("csv", "json"):
        raise RefusedError(400, "file_type must be csv or json")
    return Answer({"id": server.new_job("e27e-{}").id, "_metadata": {}}, 202)


def describe(server: VendorServer, job: Job) -> Any:
    described: dict[str, Any] = {"id": job.id, "status": job.state, "contact_count": 2}
    if job.state == "failure":
        described["message"] = "The segment is too complex"
    urls = [f"{server.signed_url}/exports/{name}.gz?signature=abc" for name in CSV]
    return described | ({"urls": urls} if job.state == "ready" else {})


VENDORS = (
    Vendor(
        profile="sendgrid/contact_exports",
        page="sendgrid",
        check_auth=key_in("authorization", "Bearer SG.example", message="authorization required"),
        error=lambda _, message: {"errors": [{"field": None, "message": message}]},
        routes=(
            Route(
                "POST /v3/marketing/contacts/exports",
                start,
                required=("file_type",),
                optional=("list_ids", "segment_ids", "max_file_size", "notifications"),
            ),
            Route("GET /v3/marketing/contacts/exports/{id}", on_poll(describe)),
            Route(
                "GET /exports/{name}.gz",
                lambda _, call: Answer(gzip.compress(CSV[call.names["name"]].encode())),
                query=("signature",),
                is_public=True,
            ),
        ),
        states={"success": ("pending", "pending", "ready"), "failed": ("pending", "failure")},
        submit={},
        expected=CSV,
        failures={"failed": "The segment is too complex"},
        rejected=({"json": {"file_type": "xml"}}, "file_type must be csv or json"),
        rate_limit=({"retry-after": "12"}, 12),
        is_written=True,
    ),
)
