"""
Play Cloud Elements: asynchronous requests and bulk jobs.

Documented (D): ``Authorization: User <secret>, Element <secret>``; ``Elements-Async-Request`` and its reply
``{"eventId": 1028, "eventStatus": "dispatched"}``; the error without any callback URL; ``POST
/hubs/{hub}/bulk/query``, its status under ``status`` or ``jobStatus`` with two spellings of some words;
results as CSV or JSON; the error shape. Seen (C): ``PUT /bulk/{id}/cancel`` and the header
``elements-next-page-token``. Assumed (A): the query parameter ``nextPage``, ``recordsCount`` and
``errorsCount`` of a status, that the hub decides about its spelling (here ``erp`` says ``jobStatus``,
``COMPLETE`` and ``CANCELED``, every other hub ``status``, ``COMPLETED`` and ``CANCELLED``).

The queried object chooses the outcome: see :data:`OBJECTS`. The secrets are ``user-secret`` and
``element-secret``.

An accepted request is called back once its job is over (D: the body, the signature ``Elements-Webhook-Signature``,
nine more tries 4^x s apart); the event is in :attr:`CloudElements.outbox` too. The signature's key is
:data:`SIGNATURE_KEY`.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import web

from demo.server.deliveries import Deliveries
from demo.server.jobs import Job, JobStore, Phase
from demo.server.web import JSON, JsonObject, RefusedError, accepted, read_json, read_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.server.settings import Settings

SECRETS = {"user": "user-secret", "element": "element-secret"}
OBJECTS = {
    "contacts": "ok",
    "accounts": "ok",
    "partial": "partial",
    "empty": "empty",
    "aborting": "abort",
    "failing": "error",
    "stuck": "stuck",
}
QUERY = re.compile(r"\s*select\s+\S.*\s+from\s+(?P<object>\w+)\b.*", re.IGNORECASE | re.DOTALL)
CSV = "text/csv"
RECORDS = 6
ERRORS = 3
FIRST_EVENT, FIRST_BULK, INSTANCE = 1028, 1234, 30
CANCELLATION_SECONDS = 1.0
SIGNATURE_KEY = "MySecretEventSignatureKey"
FIRST_NOTIFICATION = 1084


def refuse(status: int, message: str, provider_message: str = "") -> RefusedError:
    """Wrap an error in the documented shape."""
    body = {"requestId": uuid.uuid4().hex, "message": message, "providerMessage": provider_message or message}
    return RefusedError(status, body)


def records(outcome: str) -> list[JsonObject]:
    """Make the records of a result."""
    if outcome == "empty":
        return []
    count = RECORDS - (ERRORS if outcome == "partial" else 0)
    return [{"id": n, "name": f"Contact {n}", "note": 'said "hello", left'} for n in range(1, count + 1)]


def to_csv(rows: Sequence[JsonObject]) -> str:
    """Write records as CSV, with a header line even if there are none."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=["id", "name", "note"])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@dataclass(frozen=True, slots=True)
class Event:
    """
    Hold an accepted asynchronous request until its callback is delivered.

    :param response: What belongs under ``response.events`` of the callback.
    """

    event_id: int
    callback_url: str
    response: list[JsonObject]


class CloudElements:
    """Answer for one element instance."""

    def __init__(self, settings: Settings) -> None:
        self.outbox: list[Event] = []
        self.deliveries = Deliveries(SIGNATURE_KEY, settings.callback_retry_seconds)
        self._job_seconds = settings.job_seconds
        self._notification_ids = itertools.count(FIRST_NOTIFICATION)
        self._clock = settings.clock
        self._callback_url = settings.elements_callback_url
        self._event_ids = itertools.count(FIRST_EVENT)
        self._jobs = JobStore(settings.clock, settings.job_seconds, lambda n: str(FIRST_BULK + n - 1))

    def routes(self) -> Sequence[web.RouteDef]:
        """List the paths it answers."""
        bulk = "/hubs/{hub}/bulk/{id}"
        return [
            web.get("/hubs/crm/contacts", self.contacts),
            web.post("/hubs/crm/contacts", self.contacts),
            web.post("/hubs/{hub}/bulk/query", self.query),
            web.get(bulk + "/status", self.status),
            web.get(bulk + "/errors", self.errors),
            web.put(bulk + "/cancel", self.cancel),
            web.put("/bulk/{id}/cancel", self.cancel),
            web.get(bulk + "/{object}", self.result),
        ]

    async def contacts(self, request: web.Request) -> web.Response:
        """List or create contacts, at once or by an event."""
        self._authorize(request)
        rows = records("ok")
        if request.method == "POST":
            rows = [{"id": RECORDS + 1, **await read_json(request, refuse)}]
        if request.headers.get("Elements-Async-Request", "").lower() != "true":
            return web.json_response(rows if request.method == "GET" else rows[0])
        event = Event(next(self._event_ids), self._callback(request), rows)
        self.outbox.append(event)
        self.deliveries.deliver(event.callback_url, self._notification(event), self._job_seconds)
        return web.json_response({"eventId": event.event_id, "eventStatus": "dispatched"})

    def _notification(self, event: Event) -> JsonObject:
        return {
            "eventId": event.event_id,
            "instanceId": INSTANCE,
            "response": {"events": event.response},
            "notificationId": next(self._notification_ids),
        }

    async def close(self) -> None:
        """Give up what hasn't been called back."""
        await self.deliveries.close()

    async def query(self, request: web.Request) -> web.Response:
        """Start a bulk query."""
        self._authorize(request)
        await read_json(request, refuse, optional=True)
        match = QUERY.fullmatch(request.query.get("q", ""))
        if match is None:
            raise refuse(400, "The parameter q must be: select ... from an object.")
        name = match["object"]
        if name not in OBJECTS:
            raise refuse(400, f"The object {name} does not exist.", "INVALID_TYPE")
        job = self._jobs.add(OBJECTS[name], facts={"object": name, "hub": request.match_info["hub"]})
        return web.json_response({"id": job.id, "status": "CREATED"})

    async def status(self, request: web.Request) -> web.Response:
        """Return how far a bulk job is."""
        job = self._job(request)
        over = self._jobs.phase(job) is Phase.DONE
        spelling = "jobStatus" if job.facts["hub"] == "erp" else "status"
        found = len(records(job.outcome)) * self._jobs.progress(job) // 100
        body: JsonObject = {"id": job.id, "objectName": job.facts["object"], spelling: self._word(job)}
        body["recordsCount"] = 0 if job.outcome in ("abort", "error") else found
        body["errorsCount"] = ERRORS if over and job.outcome == "partial" else 0
        return web.json_response(body)

    async def result(self, request: web.Request) -> web.Response:
        """Hand out the records."""
        job = self._job(request)
        name = request.match_info["object"]
        if name != job.facts["object"]:
            raise refuse(404, f"Bulk job {job.id} has no object {name}.")
        kind = accepted(request, CSV, JSON)
        if kind is None:
            raise refuse(406, f"Accept must be {CSV} or {JSON}.")
        if self._word(job) not in ("COMPLETED", "COMPLETE"):
            raise refuse(400, f"Bulk job {job.id} is {self._word(job)}, not completed.")
        rows = records(job.outcome)
        if kind == CSV:
            return web.Response(text=to_csv(rows), content_type=CSV)
        return web.json_response(rows)

    async def errors(self, request: web.Request) -> web.Response:
        """List the errors of a bulk job, two to a page; the next page is in a header."""
        job = self._job(request)
        start = read_number(request, "nextPage", 0, refuse)
        total = ERRORS if job.outcome == "partial" and self._jobs.phase(job) is Phase.DONE else 0
        shown = range(start, min(start + 2, total))
        headers = {"elements-next-page-token": str(start + 2)} if start + 2 < total else {}
        return web.json_response([{"row": n + 1, "message": "Email is malformed."} for n in shown], headers=headers)

    async def cancel(self, request: web.Request) -> web.Response:
        """Ask a bulk job to stop; it takes a moment."""
        job = self._job(request)
        if self._jobs.phase(job) is Phase.DONE:
            raise refuse(409, f"Bulk job {job.id} is over and cannot be cancelled.")
        if job.cancelled is None:
            job = self._jobs.cancel(job)
        return web.json_response({"id": job.id, "status": self._word(job)})

    def _authorize(self, request: web.Request) -> None:
        given = {}
        for part in request.headers.get("Authorization", "").split(","):
            name, _, secret = part.strip().partition(" ")
            given[name.lower()] = secret
        if any(given.get(name) != secret for name, secret in SECRETS.items()):
            raise refuse(401, "Send Authorization: User <secret>, Element <secret>.")

    def _callback(self, request: web.Request) -> str:
        url = request.headers.get("Elements-Async-Callback-Url") or self._callback_url
        if not url:
            raise refuse(400, "No callback URL: set Elements-Async-Callback-Url, or one for the instance.")
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            raise refuse(400, "The callback URL must be an absolute http or https URL.")
        return url

    def _job(self, request: web.Request) -> Job:
        self._authorize(request)
        job = self._jobs.get(request.match_info["id"])
        if job is None or request.match_info.get("hub", job.facts["hub"]) != job.facts["hub"]:
            raise refuse(404, f"There is no bulk job {request.match_info['id']}.")
        return job

    def _word(self, job: Job) -> str:
        erp = job.facts["hub"] == "erp"
        phase = self._jobs.phase(job)
        if job.cancelled is not None:
            if self._clock() < job.cancelled + CANCELLATION_SECONDS:
                return "CANCELLATION_PENDING"
            return "CANCELED" if erp else "CANCELLED"
        if phase is Phase.DONE:
            completed = "COMPLETE" if erp else "COMPLETED"
            return {"abort": "ABORTED", "error": "ERROR"}.get(job.outcome, completed)
        if phase is Phase.QUEUED:
            return "CREATED"
        return "STARTED" if self._jobs.progress(job) < 33 else "RUNNING"
