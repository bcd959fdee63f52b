"""
Play a warehouse that imports files, which are uploaded by tus (https://tus.io/protocols/resumable-upload).

The connection breaks in the middle of the first transfer of each upload, as it may in that of a large file. The rest is
assumed (A): an import is a job that counts the lines of a file. No credentials.
"""

from __future__ import annotations

import hashlib
import itertools
from typing import TYPE_CHECKING

from aiohttp import web

from demo.server.jobs import JobStore, Phase
from demo.server.web import RefusedError, read_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.server.settings import Settings

_VERSION = {"Tus-Resumable": "1.0.0"}


def refuse(status: int, message: str) -> RefusedError:
    """Wrap an error."""
    return RefusedError(status, {"message": message}, headers=_VERSION)


class Upload:
    """
    Be a file that is being uploaded.

    :param size: The size that was announced.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.content = bytearray()
        self.breaks = True


class Warehouse:
    """Answer for the warehouse."""

    def __init__(self, settings: Settings) -> None:
        self._imports = JobStore(settings.clock, settings.job_seconds)
        self._uploads: dict[str, Upload] = {}
        self._names = itertools.count(1)

    def routes(self) -> Sequence[web.RouteDef]:
        """List the paths it answers."""
        return [
            web.post("/warehouse/uploads", self.create),
            web.head("/warehouse/uploads/{id}", self.offset),
            web.patch("/warehouse/uploads/{id}", self.receive),
            web.post("/warehouse/imports", self.submit),
            web.get("/warehouse/imports/{id}", self.status),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """Announce an upload."""
        self._check_version(request)
        length = request.headers.get("Upload-Length", "")
        if not (length.isascii() and length.isdecimal()):
            raise refuse(400, "Upload-Length is missing.")
        name = str(next(self._names))
        self._uploads[name] = Upload(int(length))
        return web.Response(status=201, headers={**_VERSION, "Location": f"/warehouse/uploads/{name}"})

    async def offset(self, request: web.Request) -> web.Response:
        """Return the number of bytes that were received."""
        self._check_version(request)
        upload = self._find(request.match_info["id"])
        return web.Response(
            headers={
                **_VERSION,
                "Upload-Offset": str(len(upload.content)),
                "Upload-Length": str(upload.size),
                "Cache-Control": "no-store",
            }
        )

    async def receive(self, request: web.Request) -> web.Response:
        """Receive the rest of a file, or a part of it."""
        self._check_version(request)
        upload = self._find(request.match_info["id"])
        if request.content_type != "application/offset+octet-stream":
            raise refuse(415, "The body must be application/offset+octet-stream.")
        if request.headers.get("Upload-Offset") != str(len(upload.content)):
            raise refuse(409, f"The upload is at {len(upload.content)}.")
        async for chunk in request.content.iter_any():
            upload.content += chunk
            if upload.breaks and len(upload.content) > upload.size // 2:
                upload.breaks = False
                if request.transport is not None:
                    request.transport.abort()
                break
        if len(upload.content) > upload.size:
            raise refuse(413, "The file is larger than its Upload-Length.")
        return web.Response(status=204, headers={**_VERSION, "Upload-Offset": str(len(upload.content))})

    async def submit(self, request: web.Request) -> web.Response:
        """Import a file that was uploaded."""
        name = str((await read_json(request, refuse)).get("upload", "")).rpartition("/")[2]
        upload = self._find(name)
        if len(upload.content) < upload.size:
            raise refuse(409, f"{upload.size - len(upload.content)} bytes of the file are missing.")
        job = self._imports.add("ok", facts={"upload": name})
        return web.json_response({"id": job.id}, status=202)

    async def status(self, request: web.Request) -> web.Response:
        """Return the status of an import."""
        job = self._imports.get(request.match_info["id"])
        if job is None:
            raise refuse(404, "There is no such import.")
        if self._imports.phase(job) is not Phase.DONE:
            return web.json_response({"state": "running", "percent": self._imports.progress(job)})
        content = self._find(job.facts["upload"]).content
        digest = hashlib.sha256(content).hexdigest()
        return web.json_response({"state": "done", "result": {"lines": content.count(b"\n"), "sha256": digest}})

    def _find(self, name: str) -> Upload:
        if name not in self._uploads:
            raise refuse(404, "There is no such upload.")
        return self._uploads[name]

    @staticmethod
    def _check_version(request: web.Request) -> None:
        if request.headers.get("Tus-Resumable") != _VERSION["Tus-Resumable"]:
            raise refuse(412, "Tus-Resumable must be 1.0.0.")
