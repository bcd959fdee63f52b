"""
Play an API that follows the standards and nothing else: 202 with ``Location`` and ``Retry-After``.

Documented (D): 202, 303, ``Location`` and ``Retry-After`` in RFC 9110, errors as ``application/problem+json``
in RFC 9457. Assumed (A): the members of the bodies, which no standard names.

The submit chooses: ``{"outcome": ..., "finish": ...}``, each also as a query parameter. ``outcome`` is one of
:data:`OUTCOMES`: ``ok``, ``empty`` (no rows), ``fast`` (200 at once), ``stuck``, ``fail`` (the status answers
422 with a problem), ``fail500`` (the same with 500), ``fail200`` (the status answers 200 with ``"status":
"failed"``), ``fail_first`` (as ``fail200`` for the first job of a ``series``, a name in the body; the later ones are
``ok``). ``finish`` is ``200`` (the status answers with the result) or ``303`` (it points to the result).
No credentials.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aiohttp import web

from demo.server.jobs import Job, JobStore, Phase
from demo.server.web import JsonObject, RefusedError, read_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.server.settings import Settings

OUTCOMES = ("ok", "empty", "fast", "stuck", "fail", "fail500", "fail200", "fail_first")
TITLES = {
    400: "Bad request",
    404: "No such job",
    409: "Wrong state",
    410: "Job cancelled",
    415: "Unsupported media type",
    422: "Job failed",
    500: "Job failed",
}


def refuse(status: int, message: str) -> RefusedError:
    """Wrap an error in a problem, see https://www.rfc-editor.org/rfc/rfc9457."""
    title = TITLES[status]
    kind = "/problems/" + title.lower().replace(" ", "-")
    problem = {"type": kind, "title": title, "status": status, "detail": message}
    return RefusedError(status, problem, content_type="application/problem+json")


def result_of(job: Job) -> JsonObject:
    """Make the result."""
    return {"rows": [] if job.outcome == "empty" else [{"id": n, "name": f"row {n}"} for n in range(1, 5)]}


class Standard202:
    """Answer for the API."""

    def __init__(self, settings: Settings) -> None:
        self._jobs = JobStore(settings.clock, settings.job_seconds, lambda n: f"j-{n}")
        self._series: set[str] = set()

    def routes(self) -> Sequence[web.RouteDef]:
        """List the paths it answers."""
        return [
            web.post("/standard/jobs", self.submit),
            web.get("/standard/jobs/{id}", self.status),
            web.delete("/standard/jobs/{id}", self.cancel),
            web.get("/standard/jobs/{id}/result", self.result),
        ]

    async def submit(self, request: web.Request) -> web.Response:
        """Start a job."""
        body = {**await read_json(request, refuse), **request.query}
        outcome, finish = body.get("outcome", "ok"), str(body.get("finish", "200"))
        if outcome not in OUTCOMES or finish not in ("200", "303"):
            raise refuse(400, f"outcome must be one of {', '.join(OUTCOMES)}, finish 200 or 303.")
        if outcome == "fail_first":
            series = str(body.get("series"))
            outcome = "ok" if series in self._series else "fail200"
            self._series.add(series)
        job = self._jobs.add(outcome, facts={"finish": finish})
        if outcome == "fast":
            return self._finished(job)
        return web.Response(status=202, headers={"Location": f"/standard/jobs/{job.id}", "Retry-After": "1"})

    async def status(self, request: web.Request) -> web.Response:
        """Return how far a job is, and how it ended."""
        job = self._job(request)
        if self._jobs.phase(job) is not Phase.DONE:
            word = "queued" if self._jobs.phase(job) is Phase.QUEUED else "running"
            running = {"id": job.id, "status": word, "percentComplete": self._jobs.progress(job)}
            return web.Response(
                status=202,
                text=json.dumps(running),
                content_type="application/json",
                headers={"Retry-After": "1"},
            )
        self._require_success(job)
        if job.outcome == "fail200":
            error = {"code": "locked", "message": "The source is locked."}
            return web.json_response({"id": job.id, "status": "failed", "error": error})
        if job.facts["finish"] == "303":
            return web.Response(status=303, headers={"Location": f"/standard/jobs/{job.id}/result"})
        return self._finished(job)

    async def result(self, request: web.Request) -> web.Response:
        """Hand out the result."""
        job = self._job(request)
        if self._jobs.phase(job) is not Phase.DONE:
            raise refuse(400, f"Job {job.id} is not finished.")
        self._require_success(job)
        if job.outcome == "fail200":
            raise refuse(422, "The source is locked.")
        return web.json_response(result_of(job))

    async def cancel(self, request: web.Request) -> web.Response:
        """Stop a job; its resource is gone from then on."""
        job = self._job(request)
        if self._jobs.phase(job) is Phase.DONE:
            raise refuse(409, f"Job {job.id} is over.")
        self._jobs.cancel(job)
        return web.Response(status=204)

    def _finished(self, job: Job) -> web.Response:
        body = {"id": job.id, "status": "succeeded", "percentComplete": 100, "result": result_of(job)}
        return web.json_response(body)

    def _job(self, request: web.Request) -> Job:
        job = self._jobs.get(request.match_info["id"])
        if job is None:
            raise refuse(404, f"There is no job {request.match_info['id']}.")
        if job.cancelled is not None:
            raise refuse(410, f"Job {job.id} was cancelled.")
        return job

    def _require_success(self, job: Job) -> None:
        if job.outcome in ("fail", "fail500"):
            raise refuse(422 if job.outcome == "fail" else 500, "The source is locked.")
