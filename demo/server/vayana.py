"""
Play the long-running tasks of Vayana's enriched APIs ("Flynn").

Documented (D): the paths under ``/enriched``, the headers ``X-FLYNN-N-USER-TOKEN`` and ``X-FLYNN-N-ORG-ID``,
the reply of a submit, both bodies of a status, the only ``Accept`` of status and download, ``result.json``
and its files in the archive, pages from 0, 400 for an unfinished task, 404 with ``err-resource-not-found``, 7
days of storage. Seen (C): the login and its reply, 403 ``err-expired-token``, a 200 with ``"status": "0"``.
Assumed (A): ``data.pages``, ``failed`` as the status of a failed task, the other error names, that a task's
status keeps one of the two bodies.

The ``gstin`` (or the ``pan`` in the path) chooses the outcome by how it begins: ``BAD`` answers 200 with an
error inside, ``FAIL`` fails, ``PARTIAL`` completes with an error in one file, ``EMPTY`` has no data,
``STUCK`` never ends, anything else completes. Log in as ``demo@example.com`` with ``vayana-secret``; the
organisation is ``org-1``.
"""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from typing import TYPE_CHECKING

from aiohttp import web

from demo.server.jobs import Job, JobStore, Phase
from demo.server.web import JSON, JsonObject, RefusedError, accepts_only, read_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.server.settings import Settings

HANDLE, PASSWORD, ORG = "demo@example.com", "vayana-secret", "org-1"
TOKEN_HEADER, ORG_HEADER = "X-FLYNN-N-USER-TOKEN", "X-FLYNN-N-ORG-ID"
MAX_TOKENS = 10
JOBS_IN_TASK = 5
PAGES = 3
KEPT_SECONDS = 7 * 24 * 3600
OUTCOMES = {"BAD": "refused", "FAIL": "fail", "PARTIAL": "partial", "EMPTY": "empty", "STUCK": "stuck"}
LARGE_FILE_ROWS = 5000


def refuse(status: int, message: str, kind: str = "", **args: str) -> RefusedError:
    """Wrap an error in the documented shape; the type is the message without ``err-``, unless it is given."""
    kind = kind or message.removeprefix("err-").title().replace("-", "")
    named = {name.replace("_", "-"): value for name, value in args.items()}
    return RefusedError(status, {"error": {"message": message, "type": kind, "args": named}})


def refuse_body(status: int, message: str) -> RefusedError:
    """Refuse a body that cannot be read."""
    return refuse(status, "err-invalid-request", reason=message)


def outcome_of(identifier: str) -> str:
    """Choose the outcome by how an identifier begins."""
    for prefix, outcome in OUTCOMES.items():
        if identifier.upper().startswith(prefix):
            return outcome
    return "ok"


def rows(page: int, outcome: str) -> list[JsonObject]:
    """Make the rows of one page."""
    return [] if outcome == "empty" else [{"irn": f"irn-{page}-{n}", "amount": 100 * page + n} for n in (1, 2)]


def archive(job: Job) -> bytes:
    """Pack ``result.json`` and the files it lists; the last one is some hundred kilobytes."""
    files: dict[str, list[JsonObject]] = {}
    listed: list[JsonObject] = []
    if job.outcome != "empty":
        files = {
            "file-1.json": rows(0, job.outcome),
            "file-2.json": rows(1, job.outcome),
            "file-3.json": [
                {"irn": f"irn-{n:08d}", "amount": n, "note": "a line of the return"} for n in range(LARGE_FILE_ROWS)
            ],
        }
        listed = [{"status": "1", "data": name, "error": None} for name in files]
    if job.outcome == "partial":
        del files["file-2.json"]
        error = {"message": "err-upstream-unavailable", "type": "UpstreamUnavailable", "args": {}}
        listed[1] = {"status": "0", "data": None, "error": error}
    packed = io.BytesIO()
    # Stored, not deflated: the download shall be as large as its content.
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as target:
        target.writestr(zipfile.ZipInfo("result.json"), json.dumps({"status": "1", "data": listed}))
        for name, content in files.items():
            target.writestr(zipfile.ZipInfo(name), json.dumps(content))
    return packed.getvalue()


class Vayana:
    """Answer for one Vayana account."""

    def __init__(self, settings: Settings) -> None:
        self._clock = settings.clock
        self._token_seconds = settings.vayana_token_seconds
        self._expiry: dict[str, float] = {}
        self._jobs = JobStore(settings.clock, settings.job_seconds, lambda _: str(uuid.uuid4()))

    def routes(self) -> Sequence[web.RouteDef]:
        """List the paths it answers."""
        tasks = "/enriched/tasks/v1.0"
        return [
            web.post("/theodore/apis/v1/authtokens", self.login),
            web.post("/enriched/gstn/v1.0/einvoice/download", self.submit_invoices),
            web.get("/enriched/gstn/v3.0/search-taxpayers-from-pan/{pan}", self.submit_search),
            web.get(tasks + "/status/{id}", self.status),
            web.get(tasks + "/download/{id}", self.download),
            web.get(tasks + "/result/{id}", self.result),
            web.get(tasks + "/result/{id}/page/{page}", self.page),
        ]

    async def login(self, request: web.Request) -> web.Response:
        """Return a token for a handle and a password."""
        body = await read_json(request, refuse_body)
        minutes = body.get("tokenDurationInMins", 360)
        if body.get("handleType") != "email" or not isinstance(minutes, int | float) or minutes <= 0:
            raise refuse_body(400, "handleType must be email, tokenDurationInMins a number above 0.")
        if (body.get("handle"), body.get("password")) != (HANDLE, PASSWORD):
            raise refuse(401, "err-invalid-credentials")
        now = self._clock()
        if sum(expiry > now for expiry in self._expiry.values()) >= MAX_TOKENS:
            raise refuse(403, "err-too-many-tokens", max=str(MAX_TOKENS))
        token = uuid.uuid4().hex
        self._expiry[token] = now + min(minutes * 60, self._token_seconds)
        return web.json_response({"data": {"token": token, "expiry": int(self._expiry[token] * 1000)}})

    async def submit_invoices(self, request: web.Request) -> web.Response:
        """Start the download of a taxpayer's invoices."""
        self._authorize(request)
        body = await read_json(request, refuse_body)
        gstin = body.get("gstin")
        if not isinstance(gstin, str) or not gstin:
            raise refuse_body(400, "gstin is missing.")
        return self._submit(gstin, "flat")

    async def submit_search(self, request: web.Request) -> web.Response:
        """Start a search by PAN."""
        self._authorize(request)
        return self._submit(request.match_info["pan"], "nested")

    async def status(self, request: web.Request) -> web.Response:
        """Return how far a task is, in the body that its API is documented with."""
        job = self._job(request)
        if not accepts_only(request, JSON):
            raise refuse(406, "err-not-acceptable", accept=JSON)
        state = self._state(job)
        pending = JOBS_IN_TASK - self._jobs.progress(job) * JOBS_IN_TASK // 100
        task: JsonObject = {
            "id": job.id,
            "jobs": {"total": JOBS_IN_TASK, "pending": pending},
            "status": state,
        }
        if state == "completed":
            task["pages"] = self._pages(job)
        if state == "failed":
            task["error"] = {"message": "err-upstream-unavailable", "type": "UpstreamUnavailable", "args": {}}
        return web.json_response({"data": task if job.facts["shape"] == "flat" else {"task": task}})

    async def download(self, request: web.Request) -> web.Response:
        """Hand out the archive."""
        job = self._job(request)
        if not accepts_only(request, "application/zip"):
            raise refuse(406, "err-not-acceptable", accept="application/zip")
        self._require_completed(job)
        name = f'attachment; filename="{job.id}.zip"'
        return web.Response(body=archive(job), content_type="application/zip", headers={"Content-Disposition": name})

    async def result(self, request: web.Request) -> web.Response:
        """Hand out all rows at once."""
        job = self._job(request)
        self._require_completed(job)
        found = [row for page in range(self._pages(job)) for row in rows(page, job.outcome)]
        return web.json_response({"status": "1", "data": found, "error": None})

    async def page(self, request: web.Request) -> web.Response:
        """Hand out one page; the first is 0."""
        job = self._job(request)
        self._require_completed(job)
        page = request.match_info["page"]
        if not (page.isascii() and page.isdecimal()) or int(page) >= self._pages(job):
            raise refuse(404, "err-resource-not-found", "ResourceNotFound", task_id=job.id, page=page)
        return web.json_response({"status": "1", "data": rows(int(page), job.outcome), "error": None})

    def _authorize(self, request: web.Request) -> None:
        token = request.headers.get(TOKEN_HEADER)
        if token is None or token not in self._expiry:
            raise refuse(401, "err-invalid-token", header=TOKEN_HEADER)
        if self._expiry[token] <= self._clock():
            raise refuse(403, "err-expired-token")
        if ORG_HEADER not in request.headers:
            raise refuse(400, "err-missing-header", header=ORG_HEADER)
        if request.headers[ORG_HEADER] != ORG:
            raise refuse(403, "err-forbidden-organisation")

    def _submit(self, identifier: str, shape: str) -> web.Response:
        outcome = outcome_of(identifier)
        if outcome == "refused":
            error = {
                "message": "err-invalid-identifier",
                "type": "InvalidIdentifier",
                "args": {"id": identifier},
            }
            return web.json_response({"status": "0", "data": None, "error": error})
        job = self._jobs.add(outcome, facts={"shape": shape})
        return web.json_response({"status": "1", "data": {"task-id": job.id}, "error": None})

    def _job(self, request: web.Request) -> Job:
        self._authorize(request)
        job = self._jobs.get(request.match_info["id"])
        if job is None or self._clock() - job.created > KEPT_SECONDS:
            raise refuse(404, "err-resource-not-found", task_id=request.match_info["id"])
        return job

    def _state(self, job: Job) -> str:
        if self._jobs.phase(job) is not Phase.DONE:
            return "processing"
        return "failed" if job.outcome == "fail" else "completed"

    def _require_completed(self, job: Job) -> None:
        state = self._state(job)
        if state != "completed":
            raise refuse(400, "err-invalid-task-status", task_id=job.id, task_status=state)

    def _pages(self, job: Job) -> int:
        return 0 if job.outcome == "empty" else PAGES
