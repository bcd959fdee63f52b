"""Power BI: refreshes of semantic models, one of a model at a time."""

from __future__ import annotations

from typing import Any

from tests.unit.vendors.azure import entra_token
from tests.unit.vendors.vendor import (
    Answer,
    Call,
    Job,
    RefusedError,
    Route,
    Vendor,
    VendorServer,
    last_token,
    on_cancel,
    on_poll,
)

PATH = "/v1.0/myorg/groups/workspace-1/datasets/model-1/refreshes"


def start(server: VendorServer, call: Call) -> Any:
    if call.json["type"] not in ("Full", "ClearValues", "Calculate", "DataOnly", "Automatic", "Defragment"):
        raise RefusedError(400, "Invalid value for type")
    if server.busy:
        server.busy -= 1
        message = "Invalid dataset refresh request. Another refresh request is already executing"
        return Answer({"error": {"code": "InvalidRequest", "message": message}}, 400)
    job = server.new_job("87f31ef7-{}")
    return Answer(None, 202, {"Location": f"{server.url}{PATH}/{job.id}", "RequestId": "another-id"})


def describe(_: VendorServer, job: Job) -> Any:
    status = "Unknown" if job.state in ("NotStarted", "InProgress") else job.state
    messages = [{"code": "0xC11C0020", "message": "Column 'X' wasn't found", "type": "Error"}]
    body = {
        "type": "Full",
        "status": status,
        "extendedStatus": job.state,
        "objects": [{"table": "Sales", "partition": "Sales-1", "status": job.state}],
        "messages": messages if job.state == "Failed" else [],
    }
    return Answer(body, 202 if status == "Unknown" else 200)


RESULT = {
    "type": "Full",
    "status": "Completed",
    "extendedStatus": "Completed",
    "objects": [{"table": "Sales", "partition": "Sales-1", "status": "Completed"}],
    "messages": [],
}
VENDORS = (
    Vendor(
        profile="powerbi/refreshes",
        page="powerbi",
        check_auth=last_token(message="Access token has expired, resubmit with a new access token"),
        error=lambda status, message: {
            "error": {"code": {401: "TokenExpired"}.get(status, "InvalidRequest"), "message": message}
        },
        routes=(
            entra_token("https://analysis.windows.net/powerbi/api/.default"),
            Route(f"POST {PATH}", start, required=("type",), optional=("commitMode", "objects", "applyRefreshPolicy")),
            Route(f"GET {PATH}/{{id}}", on_poll(describe)),
            Route(f"DELETE {PATH}/{{id}}", on_cancel(lambda _, __: None)),
        ),
        states={
            "success": ("NotStarted", "InProgress", "Completed"),
            "failed": ("InProgress", "Failed"),
            "timed out": ("InProgress", "TimedOut"),
        },
        submit={"variables": {"workspace": "workspace-1", "model": "model-1"}},
        expected=RESULT,
        failures={"failed": "Column 'X' wasn't found", "timed out": "TimedOut"},
        rejected=({"json": {"type": "Half"}}, "Invalid value for type"),
        cancelled=("Cancelled",),
        rate_limit=({"retry-after": "40"}, 40),
        hosts=("https://login.microsoftonline.com",),
        logs_in=True,
        busy=1,
    ),
)
