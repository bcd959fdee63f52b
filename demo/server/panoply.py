"""
Play an API as the configuration model of the Panoply Flex Connector can address it.

Panoply Flex is a client, so no shape here is a vendor's. Documented (D) is what a client must be able to do:
trigger, status check and main call with JSON or XML, each of its ways to authenticate (see
:mod:`demo.server.panoply_auth`), GraphQL, a downloadable link, static and dynamic pages, waiting times per
error status. The paths and names are ours.

The ``report`` of the submit chooses the outcome: see :data:`REPORTS`. The first poll of each job answers 503,
without ``Retry-After``, so that the client needs a waiting time of its own. Credentials: client ``demo`` with
``demo-secret`` (also for basic), or the key ``flex-key``.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from aiohttp import web

from demo.server.jobs import Job, JobStore, Phase
from demo.server.panoply_auth import SignedLinks, Tokens, refuse
from demo.server.web import (
    JSON,
    XML,
    JsonObject,
    absolute,
    accepted,
    elsewhere,
    read_json,
    read_json_or_xml,
    read_number,
    to_xml,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.server.settings import Settings

REPORTS = {
    "sales": "ok",
    "broken": "fail",
    "empty": "empty",
    "fast": "fast",
    "stuck": "stuck",
    "rejected": "rejected",
}
ROWS, PAGE_SIZE = 6, 2
GRAPHQL = re.compile(
    r"""\s*(query\b[^{]*)?\{\s*result\s*\(\s*id\s*:\s*("(?P<id>[^"]*)"|\$(?P<variable>\w+))\s*\)\s*"""
    r"""\{\s*rows\s*\{(?P<fields>[\s\w,]+)\}\s*\}\s*\}\s*"""
)


def respond(request: web.Request, name: str, body: JsonObject) -> web.Response:
    """Answer in XML if the client asks for it, else in JSON."""
    if accepted(request, JSON, XML) == XML:
        return web.Response(body=to_xml(name, body), content_type=XML)
    return web.json_response(body)


def rows_of(job: Job) -> list[JsonObject]:
    """Make the rows of a result."""
    return [] if job.outcome == "empty" else [{"id": n, "name": f"row {n}"} for n in range(1, ROWS + 1)]


class Panoply:
    """Answer for the API."""

    def __init__(self, settings: Settings) -> None:
        self._tokens = Tokens(settings.clock, settings.panoply_token_seconds)
        self._links = SignedLinks(settings.clock)
        self._jobs = JobStore(settings.clock, settings.job_seconds, lambda n: f"p-{n}")
        self._polled: set[str] = set()

    def routes(self) -> Sequence[web.RouteDef]:
        """List the paths it answers."""
        result = "/flex/results/{id}"
        return [
            web.post("/flex/auth/token", self.token),
            web.post("/flex/auth/refresh", self.refresh),
            web.post("/flex/reports", self.submit),
            web.post("/flex/reports/status", self.status),
            web.get("/flex/reports/{id}/status", self.status),
            web.get("/flex/graphql", self.graphql),
            web.post("/flex/graphql", self.graphql),
            web.post("/flex/results", self.main_call),
            web.get(result + "/rows", self.page),
            web.get(result + "/rows/{page}", self.page),
            web.get(result + "/scroll", self.scroll),
            web.get(result + "/slice", self.slice),
            web.get(result + "/linked", self.linked),
            web.get("/flex/files/{id}", self.file),
        ]

    async def token(self, request: web.Request) -> web.Response:
        """Give tokens for a secret."""
        body = await read_json(request, refuse)
        return web.json_response(self._tokens.grant(body.get("client"), body.get("secret")))

    async def refresh(self, request: web.Request) -> web.Response:
        """Give tokens for a refresh token."""
        body = await read_json(request, refuse)
        return web.json_response(self._tokens.renew(body.get("refresh_token")))

    async def submit(self, request: web.Request) -> web.Response:
        """Start a report."""
        self._tokens.admit(request)
        name = (await read_json_or_xml(request, refuse)).get("report", "sales")
        if name not in REPORTS:
            raise refuse(400, f"There is no report {name!r}.", "unknown_report")
        if name == "rejected":
            error = {"code": "quota_exceeded", "message": "No report is left of today's quota."}
            return respond(request, "response", {"error": error})
        job = self._jobs.add(REPORTS[name])
        if job.outcome == "fast":
            return respond(request, "response", self._report(request, job))
        return respond(request, "response", {"process": {"identifier": job.id, "status": "PENDING"}})

    async def status(self, request: web.Request) -> web.Response:
        """Return how far a report is."""
        self._tokens.admit(request)
        job_id = request.match_info.get("id")
        if job_id is None:
            job_id = str((await read_json_or_xml(request, refuse)).get("id"))
        job = self._jobs.get(job_id)
        if job is None:
            raise refuse(404, f"There is no process {job_id!r}.")
        if job.id not in self._polled:
            self._polled.add(job.id)
            raise refuse(503, "The status is not available yet.", "unavailable")
        return respond(request, "response", self._report(request, job))

    async def graphql(self, request: web.Request) -> web.Response:
        """Answer ``result(id: ...) { rows { ... } }``; an error is a 200 with ``errors``."""
        self._tokens.admit(request)
        if request.method == "POST":
            body = await read_json(request, refuse)
        else:
            try:
                variables = json.loads(request.query.get("variables", "{}"))
            except ValueError as error:
                raise refuse(400, f"variables is not JSON: {error}") from error
            body = {"query": request.query.get("query"), "variables": variables}
        if not isinstance(body.get("query"), str):
            raise refuse(400, "query is missing.")
        match = GRAPHQL.fullmatch(body["query"])
        if match is None:
            return self._graphql_error("Syntax error: expected result(id: ...) { rows { ... } }.")
        variables = body.get("variables") or {}
        result_id = variables.get(match["variable"]) if match["variable"] else match["id"]
        job = self._find(str(result_id))
        if job is None or self._jobs.phase(job) is not Phase.DONE or job.outcome == "fail":
            return self._graphql_error(f"There is no result {result_id!r}.", "result")
        fields = match["fields"].replace(",", " ").split()
        for field in fields:
            if field not in ("id", "name"):
                return self._graphql_error(f"Cannot query field {field!r} on type 'Row'.", "result", "rows")
        rows = [{field: row[field] for field in fields} for row in rows_of(job)]
        return web.json_response({"data": {"result": {"rows": rows}}})

    async def main_call(self, request: web.Request) -> web.Response:
        """Hand out a page of a result that the body names, in JSON or XML."""
        self._tokens.admit(request)
        body = await read_json_or_xml(request, refuse)
        page = str(body.get("page", 1))
        return self._page(request, self._finished(str(body.get("id"))), page)

    async def page(self, request: web.Request) -> web.Response:
        """Hand out a page by its number, which is in the query or ends the URL; the first is 1."""
        job = self._result(request)
        return self._page(request, job, request.match_info.get("page", request.query.get("page", "1")))

    async def scroll(self, request: web.Request) -> web.Response:
        """Hand out the page a cursor stands for; without one, the first."""
        rows = rows_of(self._result(request))
        cursor = request.query.get("cursor") or "c1"
        known = [f"c{n}" for n in range(1, max(1, len(rows) // PAGE_SIZE) + 1)]
        if cursor not in known:
            raise refuse(400, f"The cursor {cursor!r} is unknown.")
        index = known.index(cursor)
        following = known[index + 1] if index + 1 < len(known) else None
        return web.json_response({"rows": rows[index * PAGE_SIZE : (index + 1) * PAGE_SIZE], "next": following})

    async def slice(self, request: web.Request) -> web.Response:
        """Hand out some rows from an offset on; none are left beyond the end."""
        rows = rows_of(self._result(request))
        offset = read_number(request, "offset", 0, refuse)
        limit = read_number(request, "limit", PAGE_SIZE, refuse, least=1)
        return web.json_response({"rows": rows[offset : offset + limit], "total": len(rows)})

    async def linked(self, request: web.Request) -> web.Response:
        """Hand out a page whose next one is in the ``Link`` header."""
        rows = rows_of(self._result(request))
        page = read_number(request, "page", 1, refuse, least=1)
        headers = {}
        if page * PAGE_SIZE < len(rows):
            headers["Link"] = f'<{absolute(request, request.path)}?page={page + 1}>; rel="next"'
        return web.json_response({"rows": rows[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]}, headers=headers)

    async def file(self, request: web.Request) -> web.Response:
        """Hand out the file behind a signed link."""
        self._links.admit(request)
        lines = [
            "id,name",
            *(f"{row['id']},{row['name']}" for row in rows_of(self._finished(request.match_info["id"]))),
        ]
        name = f'attachment; filename="{request.match_info["id"]}.csv"'
        return web.Response(
            text="\n".join(lines) + "\n", content_type="text/csv", headers={"Content-Disposition": name}
        )

    def _report(self, request: web.Request, job: Job) -> JsonObject:
        phase = self._jobs.phase(job)
        words = {Phase.QUEUED: "PENDING", Phase.RUNNING: "RUNNING", Phase.DONE: "DONE"}
        process: JsonObject = {
            "identifier": job.id,
            "status": words[phase],
            "progress": self._jobs.progress(job),
        }
        if phase is not Phase.DONE:
            return {"process": process}
        if job.outcome == "fail":
            process |= {"status": "FAILED", "message": "The source table is locked."}
            return {"process": process}
        result_id = job.id.replace("p-", "r-")
        link = elsewhere(request, self._links.sign(f"/flex/files/{result_id}"))
        pages = len(rows_of(job)) // PAGE_SIZE
        return {"process": process, "result": {"identifier": result_id, "link": link, "pages": pages}}

    def _page(self, request: web.Request, job: Job, text: str) -> web.Response:
        rows = rows_of(job)
        pages = len(rows) // PAGE_SIZE
        if not (text.isascii() and text.isdecimal()):
            raise refuse(400, f"The page must be a whole number, not {text!r}.")
        # The first page exists even when there are no rows: a client asks for it before it can know.
        if not 1 <= int(text) <= max(1, pages):
            raise refuse(404, f"There is no page {text}.")
        start = (int(text) - 1) * PAGE_SIZE
        body = {"rows": rows[start : start + PAGE_SIZE], "page": int(text), "pages": pages}
        return respond(request, "response", body)

    def _find(self, result_id: str) -> Job | None:
        return self._jobs.get(result_id.replace("r-", "p-")) if result_id.startswith("r-") else None

    def _result(self, request: web.Request) -> Job:
        self._tokens.admit(request)
        return self._finished(request.match_info["id"])

    def _finished(self, result_id: str) -> Job:
        job = self._find(result_id)
        if job is None or job.outcome == "fail":
            raise refuse(404, f"There is no result {result_id!r}.")
        if self._jobs.phase(job) is not Phase.DONE:
            raise refuse(400, f"The result {result_id!r} is not finished.", "not_finished")
        return job

    def _graphql_error(self, message: str, *path: str) -> web.Response:
        error: JsonObject = {"message": message}
        if path:
            error["path"] = list(path)
        return web.json_response({"data": None, "errors": [error]})
