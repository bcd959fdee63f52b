"""
A job API that counts all that is asked of it, and answers as badly as it is told to.

Run as a process of its own: ``python job_api.py PORT FLAKY_PORT``. Both ports serve the same; the second can be closed
for a while. What goes wrong is planned beforehand for each job, by the name its client has given it: a list of faults
for each step, of which every request takes the next; after the last of them, all is well.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

#: Seconds between the bytes of an answer that trickles.
DRIP = 0.3
#: So many bytes take minutes to trickle in.
PAD = 500

#: Does what a request asks for.
CarryOut = Callable[[], web.Response]


@dataclass
class Job:
    """A job that was made; times in seconds since the epoch."""

    name: str
    identifier: str
    key: str | None
    seconds: float
    created: float
    polls: list[float] = field(default_factory=list)
    starts: int = 0
    cancels: int = 0
    fetches: int = 0
    repairs: int = 0
    repair_keys: list[str] = field(default_factory=list)
    failed: bool = False
    callback: str | None = None
    finished: bool = False
    #: The number of the run's jobs that were running when this one was made, itself included.
    beside: int = 0

    def state(self) -> str:
        if self.cancels:
            return "cancelled"
        if self.failed:
            return "failed"
        return "done" if self.finished or time.time() >= self.created + self.seconds else "running"


class JobApi:
    def __init__(self, flaky_port: int) -> None:
        self.jobs: dict[str, Job] = {}
        self.submits: dict[str, int] = defaultdict(int)
        self.lookups: dict[str, int] = defaultdict(int)
        self.plans: dict[tuple[str, str], list[dict[str, Any]]] = {}
        #: The client's and the server's port.
        self.held: dict[tuple[str, str], tuple[int, int]] = {}
        self.released: dict[tuple[str, str], asyncio.Event] = defaultdict(asyncio.Event)
        self.tokens: set[str] = set()
        #: By the name in the address that they were made at.
        self.logins: dict[str, int] = defaultdict(int)
        self._numbers = itertools.count(1)
        self._flaky_port = flaky_port
        self._flaky: web.TCPSite | None = None
        self._runner: web.AppRunner | None = None

    # What clients see.

    async def submit(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        name, key = body["name"], request.headers.get("Idempotency-Key")

        def carry_out() -> web.Response:
            job = next((job for job in self.jobs.values() if key and job.key == key), None)
            if job is None:
                identifier, known_by = f"j-{next(self._numbers)}", key or body.get("reference")
                job = Job(
                    name,
                    identifier,
                    known_by,
                    float(body["seconds"]),
                    created=time.time(),
                    callback=body.get("callback"),
                )
                self.jobs[identifier] = job
                run = self._of(name.rpartition("/")[0])
                job.beside = sum(each.state() == "running" for each in run)
            return web.json_response({"id": job.identifier}, status=201)

        self.submits[name] += 1
        return await self._answer(request, name, "submit", carry_out)

    async def find(self, request: web.Request) -> web.StreamResponse:
        found = [job for job in self.jobs.values() if job.key == request.query["key"]]
        for job in found:
            self.lookups[job.name] += 1
        return web.json_response({"jobs": [{"id": job.identifier} for job in found]})

    async def status(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request)
        job.polls.append(time.time())
        return await self._answer(request, job.name, "status", lambda: self._shown(job))

    async def start(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request)
        job.starts += 1
        return await self._answer(request, job.name, "start", lambda: self._shown(job))

    async def repair(self, request: web.Request) -> web.StreamResponse:
        """Resume a failed job: once for each idempotency key, or at each request if there is only a reference."""
        job, key = self._job(request), request.headers.get("Idempotency-Key")
        name = key or (await request.json())["reference"]

        def carry_out() -> web.Response:
            if key is None or key not in job.repair_keys:
                job.repair_keys.append(name)
                job.repairs += 1
                job.failed = False
            return self._shown(job)

        return await self._answer(request, job.name, "repair", carry_out)

    async def find_repairs(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request)
        found = [name for name in job.repair_keys if name == request.query["reference"]]
        return web.json_response({"repairs": found})

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request)
        job.cancels += 1
        return await self._answer(request, job.name, "cancel", lambda: self._shown(job))

    async def result(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request)
        job.fetches += 1
        if job.state() != "done":
            raise web.HTTPConflict(text="not done yet")
        return await self._answer(request, job.name, "result", lambda: web.json_response({"name": job.name}))

    async def login(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]

        def carry_out() -> web.Response:
            self.logins[name] += 1
            token = f"token-{name}-{self.logins[name]}"
            self.tokens.add(token)
            return web.json_response({"token": token})

        return await self._answer(request, name, "login", carry_out)

    def _job(self, request: web.Request) -> Job:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in self.tokens:
            raise web.HTTPUnauthorized(text="the token has expired")
        try:
            return self.jobs[request.match_info["id"]]
        except KeyError:
            raise web.HTTPNotFound(text="no such job") from None

    @staticmethod
    def _shown(job: Job) -> web.Response:
        return web.json_response({"id": job.identifier, "state": job.state(), "pad": "x" * PAD})

    async def _answer(self, request: web.Request, name: str, step: str, carry_out: CarryOut) -> web.StreamResponse:
        """Carry a request out and answer it, or let happen what is planned instead."""
        plan = self.plans.get((name, step))
        match plan.pop(0) if plan else {}:
            case {"status": status, "retry_after": retry_after}:
                headers = {} if retry_after is None else {"Retry-After": retry_after}
                return web.json_response({"message": "planned"}, status=status, headers=headers)
            case {"state": state}:
                return web.json_response({"state": state})
            case {"body": body}:
                return web.Response(text=body, content_type="application/json")
            case {"overlong": length}:
                return web.json_response({"state": "running", "pad": "x" * length})
            case {"expired": True}:
                self.tokens.clear()
                raise web.HTTPUnauthorized(text="the token has expired")
            case {"broken": how}:
                await BREAKS[how](request, carry_out)
                # This meets a closed connection: what there was to say has been said past aiohttp.
                return web.Response()
            case {"held": when}:
                return await self._hold(request, (name, step), carry_out, first=when == "after")
        return carry_out()

    async def _hold(
        self, request: web.Request, what: tuple[str, str], carry_out: CarryOut, *, first: bool
    ) -> web.StreamResponse:
        response = carry_out() if first else None
        transport = _transport(request)
        self.held[what] = transport.get_extra_info("peername")[1], transport.get_extra_info("sockname")[1]
        await self.released[what].wait()
        del self.held[what]
        if request.transport is None or request.transport.is_closing():
            return web.Response()
        return response or carry_out()

    # What the tests say.

    async def plan(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.plans[body["name"], body["step"]] = body["faults"]
        return web.json_response({})

    async def planned(self, request: web.Request) -> web.Response:
        plans = self.plans.items()
        return web.json_response(sum(len(plan) for (name, _), plan in plans if _is_of(name, request.query["run"])))

    async def release(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.released[body["name"], body["step"]].set()
        return web.json_response({})

    async def holding(self, request: web.Request) -> web.Response:
        return web.json_response(
            [
                {"name": name, "step": step, "port": port, "server_port": server_port}
                for (name, step), (port, server_port) in self.held.items()
            ]
        )

    async def finish(self, request: web.Request) -> web.Response:
        for job in self._of((await request.json())["run"]):
            job.finished = True
        return web.json_response({})

    async def fail(self, request: web.Request) -> web.Response:
        """Let the last job of a run, or of this name, fail."""
        *_, job = self._of((await request.json())["run"])
        job.failed = True
        return web.json_response({})

    async def report(self, request: web.Request) -> web.Response:
        run = request.query["run"]
        names = [name for name in self.submits if name.startswith(f"{run}/")]
        return web.json_response(
            {
                "jobs": [{**vars(job), "state": job.state()} for job in self._of(run)],
                "submits": {name: self.submits[name] for name in names},
                "lookups": {name: self.lookups[name] for name in names},
                "logins": self.logins,
            }
        )

    async def expire(self, request: web.Request) -> web.Response:
        self.tokens.clear()
        return web.json_response({})

    async def refuse(self, request: web.Request) -> web.Response:
        """Close the flaky port, and the connections to it, for this time or until it is told to listen again."""
        seconds = (await request.json())["seconds"]
        assert self._flaky is not None
        assert self._runner is not None
        assert self._runner.server is not None
        await self._flaky.stop()
        for connection in self._runner.server.connections:
            transport = connection.transport
            if transport is not None and transport.get_extra_info("sockname")[1] == self._flaky_port:
                transport.abort()
        if seconds is not None:
            asyncio.get_running_loop().call_later(seconds, lambda: asyncio.ensure_future(self.listen_again()))
        return web.json_response({})

    async def listen(self, request: web.Request) -> web.Response:
        await self.listen_again()
        return web.json_response({})

    async def listen_again(self) -> None:
        assert self._runner is not None
        self._flaky = web.TCPSite(self._runner, "127.0.0.1", self._flaky_port, reuse_address=True)
        await self._flaky.start()

    def _of(self, run: str) -> Iterable[Job]:
        """Return the jobs of a run, or the job of this name."""
        return [job for job in self.jobs.values() if _is_of(job.name, run)]

    async def serve(self, port: int) -> None:
        app = web.Application()
        app.add_routes(
            [
                web.post("/jobs", self.submit),
                web.get("/jobs", self.find),
                web.get("/jobs/{id}", self.status),
                web.delete("/jobs/{id}", self.cancel),
                web.post("/jobs/{id}/start", self.start),
                web.post("/jobs/{id}/repair", self.repair),
                web.get("/jobs/{id}/repairs", self.find_repairs),
                web.get("/jobs/{id}/result", self.result),
                web.post("/login/{name}", self.login),
                web.post("/control/plan", self.plan),
                web.get("/control/planned", self.planned),
                web.post("/control/release", self.release),
                web.get("/control/holding", self.holding),
                web.post("/control/finish", self.finish),
                web.post("/control/fail", self.fail),
                web.get("/control/report", self.report),
                web.post("/control/expire", self.expire),
                web.post("/control/refuse", self.refuse),
                web.post("/control/listen", self.listen),
            ]
        )
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        await self.listen_again()
        await asyncio.Event().wait()


def _is_of(name: str, run: str) -> bool:
    return name == run or name.startswith(f"{run}/")


def _transport(request: web.Request) -> Any:
    assert request.transport is not None
    return request.transport


async def _reset(request: web.Request, carry_out: CarryOut) -> None:
    """Break the connection with a RST, as a crashed server's kernel does."""
    connection: socket.socket = _transport(request).get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    _transport(request).abort()


async def _lose(request: web.Request, carry_out: CarryOut) -> None:
    """Do as one is told, and let nobody hear of it."""
    carry_out()
    await _reset(request, carry_out)


async def _half_close(request: web.Request, carry_out: CarryOut) -> None:
    """Close the sending side of a connection, but continue to listen."""
    _transport(request).write_eof()
    await asyncio.sleep(1)


async def _truncate(request: web.Request, carry_out: CarryOut) -> None:
    head, body = _on_the_wire(carry_out())
    _transport(request).write(head + body[: len(body) // 2])
    _transport(request).close()


async def _drip_head(request: web.Request, carry_out: CarryOut) -> None:
    head, _ = _on_the_wire(carry_out())
    await _drip(request, head.replace(b"\r\n", b"\r\nX-Pad: " + b"x" * PAD, 1))


async def _drip_body(request: web.Request, carry_out: CarryOut) -> None:
    head, body = _on_the_wire(carry_out())
    _transport(request).write(head)
    await _drip(request, body)


async def _drip(request: web.Request, content: bytes) -> None:
    for byte in content:
        if request.transport is None or request.transport.is_closing():
            return
        request.transport.write(bytes([byte]))
        await asyncio.sleep(DRIP)


def _on_the_wire(response: web.Response) -> tuple[bytes, bytes]:
    body = response.body
    assert isinstance(body, bytes)
    head = f"HTTP/1.1 {response.status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode(), body


#: How a connection breaks.
BREAKS: dict[str, Callable[[web.Request, CarryOut], Awaitable[None]]] = {
    "reset": _reset,
    "lose": _lose,
    "half-close": _half_close,
    "truncate": _truncate,
    "drip head": _drip_head,
    "drip body": _drip_body,
}


if __name__ == "__main__":
    main_port, flaky_port = map(int, sys.argv[1:])
    asyncio.run(JobApi(flaky_port).serve(main_port))
