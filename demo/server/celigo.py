"""
Play the flows and jobs of Celigo integrator.io.

Documented (D): the paths under ``/v1``, the words of a job's status, ``completed`` with ``numError`` above 0,
the 429 with ``Retry-After`` and ``{"errors": [{"code", "message"}]}``, ``nextPageURL``, ``Link: <...>;
rel="next"``. Seen (C): ``{"_jobId": ...}`` and the optional body ``{"export": {"startDate": ...}}``. Assumed
(A): that other errors have the shape of the 429, ``percentComplete``, that ``nextPageURL`` is a path, the
status 422 of a disabled flow.

The flow's id chooses the outcome: see :data:`FLOWS`. The token is ``celigo-token``. The steps that keep
errors are ``export1`` (none) and ``import1`` (as many as ``numError``, one to a page).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aiohttp import web
from yarl import URL

from demo.server.jobs import Job, JobStore, Phase
from demo.server.web import JsonObject, RefusedError, absolute, bearer, read_json, read_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.server.settings import Settings

TOKEN = "celigo-token"
FLOWS = {
    "orders": "ok",
    "partial": "partial",
    "broken": "fail",
    "disabled": "disabled",
    "flaky": "retry",
    "empty": "empty",
    "stuck": "stuck",
}
STEPS = ("export1", "import1")
RECORDS = 10
ERRORS = {"partial": 2, "fail": 1}
PAGE_SIZE = 3


def refuse(status: int, message: str, code: str = "") -> RefusedError:
    """Wrap an error in the documented shape of the 429."""
    words = {400: "invalid_request", 401: "unauthorized", 404: "not_found", 415: "unsupported_media_type"}
    return RefusedError(status, {"errors": [{"code": code or words.get(status, "error"), "message": message}]})


def moment(seconds: float) -> str:
    """Write a time as the API does."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Celigo:
    """Answer for one integrator.io account."""

    def __init__(self, settings: Settings) -> None:
        self._clock = settings.clock
        self._limit_every = settings.rate_limit_every
        self._requests = 0
        self._flows = dict(FLOWS)
        self._jobs = JobStore(settings.clock, settings.job_seconds, lambda n: f"job{n:04d}")

    def routes(self) -> Sequence[web.RouteDef]:
        """List the paths it answers."""
        return [
            web.get("/v1/flows/{flow}", self.flow),
            web.post("/v1/flows/{flow}/run", self.run),
            web.post("/v1/flows/{flow}/clone", self.clone),
            web.get("/v1/flows/{flow}/{step}/errors", self.errors),
            web.get("/v1/jobs", self.list_jobs),
            web.get("/v1/jobs/{job}", self.job),
            web.put("/v1/jobs/{job}/cancel", self.cancel),
        ]

    async def flow(self, request: web.Request) -> web.Response:
        """Describe a flow."""
        return web.json_response(self._describe(self._flow(request)))

    async def run(self, request: web.Request) -> web.Response:
        """Start a flow."""
        flow = self._flow(request)
        body = await read_json(request, refuse, optional=True)
        export = body.get("export", {})
        if not isinstance(export, dict) or not isinstance(export.get("startDate", ""), str):
            raise refuse(400, "export.startDate must be an ISO 8601 time.")
        if self._flows[flow] == "disabled":
            raise refuse(422, f"Flow {flow} is disabled. Enable it before you run it.", "flow_disabled")
        job = self._jobs.add(self._flows[flow], facts={"flow": flow})
        return web.json_response({"_jobId": job.id}, status=201)

    async def clone(self, request: web.Request) -> web.Response:
        """Copy a flow; the copy has the outcome of its original."""
        flow = self._flow(request)
        await read_json(request, refuse, optional=True)
        copy = f"{flow}-{len(self._flows)}"
        self._flows[copy] = self._flows[flow]
        return web.json_response([{"model": "Flow", "_id": copy}], status=201)

    async def errors(self, request: web.Request) -> web.Response:
        """List the errors of a step, one to a page."""
        flow = self._flow(request)
        step = request.match_info["step"]
        if step not in STEPS:
            raise refuse(404, f"Flow {flow} has no step {step}.")
        page = read_number(request, "page", 1, refuse, least=1)
        total = ERRORS.get(self._flows[flow], 0) if step == "import1" else 0
        body: JsonObject = {"errors": []}
        if page <= total:
            body["errors"].append(
                {"errorId": f"e-{page}", "code": "invalid_record", "message": f"Record {page} has no price."}
            )
        if page < total:
            body["nextPageURL"] = f"{request.path}?page={page + 1}"
        return web.json_response(body)

    async def list_jobs(self, request: web.Request) -> web.Response:
        """List jobs, some to a page; the next page is in the ``Link`` header."""
        self._admit(request)
        flow, status = request.query.get("_flowId"), request.query.get("status")
        size = read_number(request, "pageSize", PAGE_SIZE, refuse, least=1)
        page = read_number(request, "page", 1, refuse, least=1)
        found = [
            record
            for record in map(self._record, self._jobs.all())
            if flow in (None, record["_flowId"]) and status in (None, record["status"])
        ]
        headers = {}
        if page * size < len(found):
            following = URL(request.path_qs).update_query(page=page + 1)
            headers["Link"] = f'<{absolute(request, str(following))}>; rel="next"'
        return web.json_response(found[(page - 1) * size : page * size], headers=headers)

    async def job(self, request: web.Request) -> web.Response:
        """Return how far a job is."""
        return web.json_response(self._record(self._job(request)))

    async def cancel(self, request: web.Request) -> web.Response:
        """Stop a job."""
        job = self._job(request)
        if self._jobs.phase(job) not in (Phase.QUEUED, Phase.RUNNING):
            raise refuse(422, f"Job {job.id} is over and cannot be canceled.", "job_not_cancelable")
        return web.json_response(self._record(self._jobs.cancel(job)))

    def _admit(self, request: web.Request) -> None:
        if bearer(request) != TOKEN:
            raise refuse(401, "Send Authorization: Bearer with a valid token.")
        self._requests += 1
        if self._limit_every and self._requests % self._limit_every == 0:
            refusal = refuse(429, "You have exceeded the rate limit.", "rate_limited")
            refusal.headers = {"Retry-After": "1"}
            raise refusal

    def _flow(self, request: web.Request) -> str:
        self._admit(request)
        flow = request.match_info["flow"]
        if flow not in self._flows:
            raise refuse(404, f"There is no flow {flow}.")
        return flow

    def _job(self, request: web.Request) -> Job:
        self._admit(request)
        job = self._jobs.get(request.match_info["job"])
        if job is None:
            raise refuse(404, f"There is no job {request.match_info['job']}.")
        return job

    def _describe(self, flow: str) -> JsonObject:
        return {"_id": flow, "name": f"Flow {flow}", "disabled": self._flows[flow] == "disabled"}

    def _record(self, job: Job) -> JsonObject:
        phase, progress = self._jobs.phase(job), self._jobs.progress(job)
        done = phase is Phase.DONE
        errors = ERRORS.get(job.outcome, 0) if done else 0
        records = 0 if job.outcome == "empty" else RECORDS * progress // 100
        record: JsonObject = {
            "_id": job.id,
            "type": "flow",
            "_flowId": job.facts["flow"],
            "status": self._word(job, phase, progress),
            "createdAt": moment(job.created),
            "startedAt": None if phase is Phase.QUEUED else moment(job.created + job.queue_seconds),
            "endedAt": moment(job.ends) if phase in (Phase.DONE, Phase.CANCELLED) and job.ends else None,
            "numSuccess": max(0, records - errors),
            "numError": errors,
            "numIgnore": 0,
            "numPagesGenerated": 0 if phase is Phase.QUEUED else RECORDS,
            "numPagesProcessed": records,
            "doneExporting": progress >= 50,
            "percentComplete": progress,
        }
        return record

    def _word(self, job: Job, phase: Phase, progress: int) -> str:
        if phase is Phase.DONE:
            return "failed" if job.outcome == "fail" else "completed"
        if phase is Phase.RUNNING and job.outcome == "retry" and progress >= 50:
            return "retrying"
        return {Phase.QUEUED: "queued", Phase.RUNNING: "running", Phase.CANCELLED: "canceled"}[phase]
