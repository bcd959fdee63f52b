"""
Play PhixFlow's actionflow API endpoints in poll mode.

Documented (D): ``POST /phixflow/api/1/action/{App}/{Flow}/trigger``, in version 10 without ``{App}``;
URL-encoded names; ``timeout`` in ms; a flow that ends within it answers with its result at once; ``error()``
fails the process; records fail one by one. Assumed (A): ``{"processId": "77"}``, ``GET
/phixflow/api/1/process/{id}``, its words ``Running``, ``Success``, ``Fail``, ``output`` and ``message``, the
bearer token, the error shape ``{"error": {"message": ...}}``.

The flow's name chooses the outcome: see :data:`FLOWS`. The only application is ``Demo App``, the token
``phix-token``. A ``timeout`` as long as a job answers with the result (and spares the caller the wait).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from demo.server.jobs import Job, JobStore, Phase
from demo.server.web import JsonObject, RefusedError, bearer, read_json, read_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.server.settings import Settings

TOKEN = "phix-token"
APP = "Demo App"
FLOWS = {
    "Daily Report": "ok",
    "My API": "ok",
    "Fast Report": "fast",
    "Broken Report": "error",
    "Partial Report": "partial",
    "Empty Report": "empty",
    "Stuck Report": "stuck",
    "Disabled Report": "disabled",
}
FIRST_PROCESS = 77
DEFAULT_TIMEOUT_MS = 500


def refuse(status: int, message: str) -> RefusedError:
    """Wrap a message in the assumed error shape."""
    return RefusedError(status, {"error": {"message": message}})


def output(job: Job) -> JsonObject:
    """Make what the flow returns: one record per line of a report, each with its own fate."""
    if job.outcome == "empty":
        return {"records": []}
    records: list[JsonObject] = [{"id": number, "status": "ok", "error": None} for number in range(1, 5)]
    if job.outcome == "partial":
        records[2] = {"id": 3, "status": "failed", "error": "Amount is not a number."}
    return {"records": records}


class PhixFlow:
    """Answer for one PhixFlow instance."""

    def __init__(self, settings: Settings) -> None:
        self._job_ms = settings.job_seconds * 1000
        self._jobs = JobStore(settings.clock, settings.job_seconds, lambda n: str(FIRST_PROCESS + n - 1))

    def routes(self) -> Sequence[web.RouteDef]:
        """List the paths it answers."""
        return [
            web.post("/phixflow/api/1/action/{app}/{flow}/trigger", self.trigger),
            web.post("/phixflow/api/1/action/{flow}/trigger", self.trigger),
            web.get("/phixflow/api/1/process/{id}", self.process),
        ]

    async def trigger(self, request: web.Request) -> web.Response:
        """Start a flow."""
        self._authorize(request)
        app, flow = request.match_info.get("app", APP), request.match_info["flow"]
        if "/" in app + flow:
            raise refuse(400, "A name must not hold a slash, not even an encoded one.")
        outcome = FLOWS.get(flow)
        if app != APP or outcome is None:
            raise refuse(404, f"There is no actionflow {flow!r} in the application {app!r}.")
        await read_json(request, refuse, optional=True)
        timeout = read_number(request, "timeout", DEFAULT_TIMEOUT_MS, refuse, least=1)
        if outcome == "disabled":
            raise refuse(409, f"The API endpoint of {flow!r} is disabled.")
        job = self._jobs.add(outcome)
        if outcome == "fast" or (outcome != "stuck" and timeout >= self._job_ms):
            if outcome == "error":
                raise refuse(500, self._failure(job))
            return web.json_response(output(job))
        return web.json_response({"processId": job.id})

    async def process(self, request: web.Request) -> web.Response:
        """Return how far a process is."""
        self._authorize(request)
        job = self._jobs.get(request.match_info["id"])
        if job is None:
            raise refuse(404, f"There is no process {request.match_info['id']!r}.")
        if self._jobs.phase(job) is not Phase.DONE:
            return web.json_response({"processId": job.id, "status": "Running"})
        if job.outcome == "error":
            return web.json_response({"processId": job.id, "status": "Fail", "message": self._failure(job)})
        return web.json_response({"processId": job.id, "status": "Success", "output": output(job)})

    def _authorize(self, request: web.Request) -> None:
        if bearer(request) != TOKEN:
            raise refuse(401, "Send Authorization: Bearer with a valid token.")

    def _failure(self, job: Job) -> str:
        return f"error(): the source table of process {job.id} is locked"
