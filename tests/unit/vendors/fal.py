"""fal: requests in the queue of a model, whose paths don't contain the model's own path below its name."""

from __future__ import annotations

from typing import Any

from tests.unit.vendors.vendor import Answer, Call, Job, RefusedError, Route, Vendor, VendorServer, key_in, on_poll

RESULT = {"images": [{"url": "https://files.example.com/cat.png", "width": 512}], "seed": 7}
REQUEST = "/fal-ai/flux/requests/{id}"


def submit(server: VendorServer, call: Call) -> Any:
    if "prompt" not in call.json:
        raise RefusedError(422, "", {"detail": [{"loc": ["body", "prompt"], "msg": "field required"}]})
    job = server.new_job("764cabcf-{}")
    return {"request_id": job.id, **urls(server, job)}


def urls(server: VendorServer, job: Job) -> dict[str, str]:
    url = f"{server.url}/fal-ai/flux/requests/{job.id}"
    return {"response_url": url, "status_url": f"{url}/status", "cancel_url": f"{url}/cancel"}


def describe(server: VendorServer, job: Job) -> Any:
    state, _, problem = job.state.partition(" ")
    body: dict[str, Any] = {"status": state, "request_id": job.id, **urls(server, job)}
    if state == "IN_QUEUE":
        body["queue_position"] = 1
    if problem:
        body |= {"error": "The runner has crashed", "error_type": "runner_disconnected"}
    return Answer(body, 200 if state == "COMPLETED" else 202)


def result(server: VendorServer, call: Call) -> Any:
    if not server.find_job(call).is_over:
        raise RefusedError(400, "Request is still in progress")
    return RESULT


def cancel(server: VendorServer, call: Call) -> Any:
    job = server.find_job(call)
    if job.is_over:
        raise RefusedError(400, "", {"status": "ALREADY_COMPLETED"})
    server.cancel(job)
    return Answer({"status": "CANCELLATION_REQUESTED"}, 202)


VENDORS = (
    Vendor(
        profile="fal/queue",
        page="fal",
        check_auth=key_in("authorization", "Key 0000:fal-example", message="Cannot access application"),
        error=lambda _, message: {"detail": message},
        routes=(
            Route("POST /fal-ai/flux/dev", submit, optional=None, query=("fal_webhook",)),
            Route(f"GET {REQUEST}/status", on_poll(describe), query=("logs",)),
            Route(f"GET {REQUEST}", result),
            Route(f"PUT {REQUEST}/cancel", cancel),
        ),
        states={
            "success": ("IN_QUEUE", "IN_PROGRESS", "COMPLETED"),
            "failed": ("IN_PROGRESS", "COMPLETED error"),
        },
        submit={"variables": {"model": "fal-ai/flux/dev"}, "json": {"prompt": "a cat"}},
        expected=RESULT,
        failures={"failed": "The runner has crashed"},
        rejected=({"json": {"text": "a cat"}}, "field required"),
        cancelled=("COMPLETED error",),
    ),
)
