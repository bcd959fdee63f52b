"""A job API whose jobs end on request, and then call back if they have a callback URL."""

from __future__ import annotations

import asyncio

import aiohttp
from aiohttp import web

_urls: dict[str, str | None] = {}
_done: set[str] = set()


async def _submit(request: web.Request) -> web.Response:
    body = await request.json()
    _urls[body["name"]] = body.get("callback")
    return web.json_response({"id": body["name"]})


async def _status(request: web.Request) -> web.Response:
    return web.json_response({"state": "done" if request.match_info["id"] in _done else "running"})


async def _finish(request: web.Request) -> web.Response:
    name = f"{request.match_info['way']}-{request.match_info['number']}"
    _done.add(name)
    if url := _urls.get(name):
        async with aiohttp.ClientSession() as session, session.post(url, json={"state": "done"}) as answer:
            return web.Response(status=answer.status)
    return web.Response()


async def _serve() -> None:
    app = web.Application()
    app.add_routes(
        [
            web.post("/jobs", _submit),
            web.get("/jobs/{id}", _status),
            web.post("/finish/{way}/{number}", _finish),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


asyncio.run(_serve())
