"""HubSpot: exports of the CRM, and their files on another host."""

from __future__ import annotations

from typing import Any

from tests.unit.vendors.vendor import Answer, Call, Job, RefusedError, Route, Vendor, VendorServer, key_in, on_poll

CSV = "Record ID,Email\n1,ann@example.com\n"
EXPORT = {
    "exportType": "VIEW",
    "exportName": "contacts",
    "format": "CSV",
    "objectType": "CONTACT",
    "objectProperties": ["email"],
}


def start(server: VendorServer, call: Call) -> Any:
    if call.json["format"] not in ("XLS", "XLSX", "CSV"):
        raise RefusedError(400, f"Cannot deserialize value {call.json['format']!r} of format")
    return Answer({"id": server.new_job("90{}").id, "links": {}}, 202)


def describe(server: VendorServer, job: Job) -> Any:
    described: dict[str, Any] = {"status": job.state, "requestedAt": "2026-01-31T00:00:00Z", "numErrors": 0}
    if job.state == "COMPLETE" and server.scenario == "forbidden":
        return described | {"numErrors": 1, "errors": [{"message": "The list doesn't exist", "category": "NOT_FOUND"}]}
    url = f"{server.signed_url}/files/contacts.csv?signature=abc{job.polls}"
    return described | ({"result": url} if job.state == "COMPLETE" else {})


STATUS = "/crm/v3/exports/export/async/tasks/{id}/status"
VENDORS = (
    Vendor(
        profile="hubspot/exports",
        page="hubspot",
        check_auth=key_in("authorization", "Bearer pat-eu1-example", message="Authentication credentials not found"),
        error=lambda _, message: {"status": "error", "message": message, "category": "VALIDATION_ERROR"},
        routes=(
            Route(
                "POST /crm/v3/exports/export/async",
                start,
                required=("exportType", "exportName", "format", "objectType", "objectProperties"),
                optional=("associatedObjectType", "language", "listId", "publicCrmSearchRequest"),
            ),
            Route(f"GET {STATUS}", on_poll(describe)),
            Route("GET /files/{name}", lambda _, __: Answer(CSV.encode()), query=("signature",), is_public=True),
        ),
        states={
            "success": ("PENDING", "PROCESSING", "COMPLETE"),
            "forbidden": ("PROCESSING", "COMPLETE"),
            "canceled": ("PENDING", "CANCELED"),
        },
        submit={"json": EXPORT},
        expected={"contacts.csv": CSV},
        failures={"forbidden": "The list doesn't exist", "canceled": "CANCELED"},
        rejected=({"json": {**EXPORT, "format": "PDF"}}, "Cannot deserialize value 'PDF'"),
        rate_limit=({"retry-after": "10"}, 10),
        is_written=True,
    ),
)
