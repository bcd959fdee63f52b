"""
Play a studio that renders films: jobs that take minutes, and behave as jobs of other APIs do on bad days.

All is assumed (A). The submit chooses: ``{"title": ..., "minutes": ..., "behaviour": ...}``, where the last is one of
:data:`BEHAVIOURS`. Each job has a page for people. No credentials.
"""

from __future__ import annotations

import html
from collections import Counter
from typing import TYPE_CHECKING, Final

from aiohttp import web

from demo.server.jobs import Job, JobStore, Phase
from demo.server.web import JsonObject, RefusedError, absolute, read_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.server.settings import Settings

BEHAVIOURS: Final = {
    "steady": "it renders at an even pace",
    "fails": "it runs out of disk space in the end",
    "stalls": "it renders nothing after 40 %",
    "busy": "two of three requests for its status get 429",
    "unwell": "two of three requests for its status get 503",
    "moved": "its status is in another field than documented",
    "odd": "its status is a word without documentation",
}
LONGEST_MINUTES: Final = 600.0
FRAMES_PER_MINUTE: Final = 1440
_STALLED_PERCENT: Final = 40
_REASON: Final = "No space left on the disk of renderer 3."
_WORDS: Final = {
    Phase.QUEUED: "QUEUED",
    Phase.RUNNING: "RENDERING",
    Phase.DONE: "FINISHED",
    Phase.CANCELLED: "CANCELLED",
}


def refuse(status: int, message: str) -> RefusedError:
    """Wrap an error."""
    return RefusedError(status, {"message": message})


class Studio:
    """Answer for the studio."""

    def __init__(self, settings: Settings) -> None:
        self._renders = JobStore(settings.clock, settings.job_seconds, lambda n: f"render-{n}")
        self._polls = Counter[str]()

    def routes(self) -> Sequence[web.RouteDef]:
        """List the paths it answers."""
        return [
            web.post("/studio/renders", self.submit),
            web.get("/studio/renders/{id}", self.status),
            web.delete("/studio/renders/{id}", self.cancel),
            web.get("/studio/renders/{id}/film", self.film),
            web.get("/studio/renders/{id}/page", self.page),
        ]

    async def submit(self, request: web.Request) -> web.Response:
        """Start a job."""
        body = await read_json(request, refuse)
        title, minutes, behaviour = body.get("title"), body.get("minutes"), body.get("behaviour", "steady")
        if not isinstance(title, str) or not title:
            raise refuse(422, "title is missing.")
        if behaviour not in BEHAVIOURS:
            raise refuse(422, f"behaviour must be one of {', '.join(BEHAVIOURS)}.")
        if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 < minutes <= LONGEST_MINUTES:
            raise refuse(422, f"minutes must be a number up to {LONGEST_MINUTES:.0f}.")
        job = self._renders.add(
            "stuck" if behaviour == "stalls" else behaviour, seconds=minutes * 60, facts={"title": title}
        )
        page = absolute(request, f"/studio/renders/{job.id}/page")
        return web.json_response({"render": {"id": job.id, "page": page}}, status=201)

    async def status(self, request: web.Request) -> web.Response:
        """Return how far a job is, if it is a good day."""
        job = self._find(request)
        self._polls[job.id] += 1
        if job.outcome in ("busy", "unwell") and self._polls[job.id] % 3 != 1:
            if job.outcome == "unwell":
                raise refuse(503, "A renderer is being restarted.")
            raise RefusedError(429, {"message": "Too many requests."}, headers={"Retry-After": "20"})
        render: JsonObject = {"id": job.id, "percent": self._percent(job)}
        if job.outcome == "moved":
            return web.json_response({"render": {**render, "state_v2": self._word(job)}})
        if job.outcome == "odd" and self._word(job) == "RENDERING":
            return web.json_response({"render": {**render, "state": "DEFRAGMENTING"}})
        error = {"error": {"message": _REASON}} if self._word(job) == "FAILED" else {}
        return web.json_response({"render": {**render, "state": self._word(job), **error}})

    async def cancel(self, request: web.Request) -> web.Response:
        """Stop a job."""
        job = self._find(request)
        if self._renders.phase(job) in (Phase.DONE, Phase.CANCELLED):
            raise refuse(409, f"{job.id} is over.")
        self._renders.cancel(job)
        return web.Response(status=204)

    async def film(self, request: web.Request) -> web.Response:
        """Hand out the result."""
        job = self._find(request)
        if self._word(job) != "FINISHED":
            raise refuse(409, f"{job.id} is {self._word(job)}.")
        return web.json_response({"title": job.facts["title"], "frames": round(job.seconds / 60 * FRAMES_PER_MINUTE)})

    async def page(self, request: web.Request) -> web.Response:
        """Show a job to people: what its link in Airflow's UI leads to."""
        job = self._find(request)
        title = html.escape(f"{job.facts['title']} ({job.id})")
        body = (
            f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="5"><title>{title}</title>'
            f"<h1>{title}</h1><p>{self._word(job)}, {self._percent(job)} %</p>"
            f"<p>A simulated job: {BEHAVIOURS[self._behaviour(job)]}.</p>"
        )
        return web.Response(text=body, content_type="text/html")

    def _find(self, request: web.Request) -> Job:
        job = self._renders.get(request.match_info["id"])
        if job is None:
            raise refuse(404, f"There is no {request.match_info['id']}.")
        return job

    def _word(self, job: Job) -> str:
        phase = self._renders.phase(job)
        return "FAILED" if phase is Phase.DONE and job.outcome == "fails" else _WORDS[phase]

    def _percent(self, job: Job) -> int:
        percent = self._renders.progress(job)
        return min(percent, _STALLED_PERCENT) if self._behaviour(job) == "stalls" else percent

    @staticmethod
    def _behaviour(job: Job) -> str:
        return "stalls" if job.outcome == "stuck" else job.outcome
