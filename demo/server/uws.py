"""
Play a job list after the Universal Worker Service pattern of the IVOA, an API in XML whose jobs start in two
steps.

Documented (D) in https://www.ivoa.net/documents/UWS/: the namespace, the phases, the form parameters
``PHASE=RUN`` and ``PHASE=ABORT``, 303 to the job after each POST, ``results`` with ``xlink:href``,
``errorSummary``. Assumed (A): errors as plain text, the parameters below, percent done in ``jobInfo`` (which
the standard leaves open).

The form of the submit chooses: ``outcome`` is ``ok``, ``fail`` or ``stuck``; ``create=201`` answers 201 with
``Location`` instead of 303, as some services do. A job stays ``PENDING`` until it is told to run. No
credentials.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aiohttp import web
from lxml import etree

from demo.server.jobs import Job, JobStore, Phase
from demo.server.web import RefusedError, read_form

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.server.settings import Settings

UWS, XLINK = "http://www.ivoa.net/xml/UWS/v1.0", "http://www.w3.org/1999/xlink"
OUTCOMES = ("ok", "fail", "stuck")


def refuse(status: int, message: str) -> RefusedError:
    """Answer with a line of text."""
    return RefusedError(status, message, content_type="text/plain")


def moment(seconds: float) -> str:
    """Write a time as the standard asks."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class Uws:
    """Answer for one job list."""

    def __init__(self, settings: Settings) -> None:
        self._jobs = JobStore(settings.clock, settings.job_seconds, lambda n: f"u-{n}")

    def routes(self) -> Sequence[web.RouteDef]:
        """List the paths it answers."""
        return [
            web.get("/standard/uws", self.list),
            web.post("/standard/uws", self.submit),
            web.get("/standard/uws/{id}", self.job),
            web.delete("/standard/uws/{id}", self.delete),
            web.get("/standard/uws/{id}/phase", self.phase),
            web.post("/standard/uws/{id}/phase", self.set_phase),
            web.get("/standard/uws/{id}/results/rows", self.rows),
        ]

    async def submit(self, request: web.Request) -> web.Response:
        """Create a job; ``PHASE=RUN`` in the same form starts it, too."""
        form = await read_form(request, refuse)
        outcome = form.get("OUTCOME", "ok")
        if outcome not in OUTCOMES or form.get("PHASE", "RUN") != "RUN":
            raise refuse(400, f"outcome must be one of {', '.join(OUTCOMES)}, PHASE can only be RUN.")
        job = self._jobs.add(outcome, hold="PHASE" not in form)
        status = 201 if form.get("CREATE") == "201" else 303
        return web.Response(status=status, headers={"Location": f"/standard/uws/{job.id}"})

    async def list(self, _request: web.Request) -> web.Response:
        """List the jobs with their phases."""
        root = etree.Element(f"{{{UWS}}}jobs", nsmap={"uws": UWS, "xlink": XLINK})
        for job in self._jobs.all():
            ref = etree.SubElement(root, f"{{{UWS}}}jobref", attrib={"id": job.id})
            ref.set(f"{{{XLINK}}}href", f"/standard/uws/{job.id}")
            etree.SubElement(ref, f"{{{UWS}}}phase").text = self._word(job)
        return web.Response(body=bytes(etree.tostring(root)), content_type="application/xml")

    async def job(self, request: web.Request) -> web.Response:
        """Describe a job."""
        return web.Response(body=self._document(self._job(request)), content_type="application/xml")

    async def phase(self, request: web.Request) -> web.Response:
        """Return the phase alone, as text."""
        return web.Response(text=self._word(self._job(request)))

    async def set_phase(self, request: web.Request) -> web.Response:
        """Start or stop a job."""
        job = self._job(request)
        wanted = (await read_form(request, refuse)).get("PHASE")
        phase = self._jobs.phase(job)
        if wanted == "RUN" and phase is Phase.HELD:
            self._jobs.start(job)
        elif wanted == "ABORT" and phase in (Phase.HELD, Phase.QUEUED, Phase.RUNNING):
            self._jobs.cancel(job)
        else:
            raise refuse(400, f"PHASE={wanted} is not possible while the job is {self._word(job)}.")
        return web.Response(status=303, headers={"Location": f"/standard/uws/{job.id}"})

    async def rows(self, request: web.Request) -> web.Response:
        """Hand out the result."""
        job = self._job(request)
        if self._word(job) != "COMPLETED":
            raise refuse(400, f"The job is {self._word(job)}, it has no result.")
        return web.Response(text="id,name\r\n1,row 1\r\n2,row 2\r\n", content_type="text/csv")

    async def delete(self, request: web.Request) -> web.Response:
        """Stop and forget a job."""
        self._jobs.remove(self._job(request))
        return web.Response(status=303, headers={"Location": "/standard/uws"})

    def _job(self, request: web.Request) -> Job:
        job = self._jobs.get(request.match_info["id"])
        if job is None:
            raise refuse(404, f"There is no job {request.match_info['id']}.")
        return job

    def _word(self, job: Job) -> str:
        words = {
            Phase.HELD: "PENDING",
            Phase.QUEUED: "QUEUED",
            Phase.RUNNING: "EXECUTING",
            Phase.CANCELLED: "ABORTED",
        }
        words[Phase.DONE] = "ERROR" if job.outcome == "fail" else "COMPLETED"
        return words[self._jobs.phase(job)]

    def _document(self, job: Job) -> bytes:
        word = self._word(job)
        root = etree.Element(f"{{{UWS}}}job", nsmap={"uws": UWS, "xlink": XLINK}, attrib={"version": "1.1"})

        def add(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
            child = etree.SubElement(parent, f"{{{UWS}}}{name}")
            child.text = text
            return child

        add(root, "jobId", job.id)
        add(root, "phase", word)
        add(root, "creationTime", moment(job.created))
        if job.started is not None:
            add(root, "startTime", moment(job.started))
        results = add(root, "results")
        if word == "COMPLETED":
            result = add(results, "result")
            result.set("id", "rows")
            result.set(f"{{{XLINK}}}href", f"/standard/uws/{job.id}/results/rows")
        if word == "ERROR":
            summary = add(root, "errorSummary")
            summary.set("type", "fatal")
            summary.set("hasDetail", "false")
            add(summary, "message", "The source is locked.")
        add(add(root, "jobInfo"), "percentDone", str(self._jobs.progress(job)))
        return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))
