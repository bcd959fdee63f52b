"""Run all the systems on one port, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Self

from aiohttp import web

from demo.server.celigo import Celigo
from demo.server.cloud_elements import CloudElements
from demo.server.deliveries import RETRY_SECONDS
from demo.server.journal import Journal, Record, without_secrets
from demo.server.panoply import Panoply
from demo.server.phixflow import PhixFlow
from demo.server.settings import Clock, Settings
from demo.server.shop import Shop
from demo.server.standard202 import Standard202
from demo.server.studio import Studio
from demo.server.uws import Uws
from demo.server.vayana import Vayana
from demo.server.warehouse import Warehouse
from demo.server.web import RefusedError, System, media_type

if TYPE_CHECKING:
    from types import TracebackType

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

START_SECONDS = 10.0


class DemoServer:
    """
    Serve the systems for the length of a ``with`` statement.

    :param port: 0 for any free one.
    :param job_seconds: How long a job takes.
    :param clock: Seconds since the epoch; with a clock of its own a test lets time pass without sleeping.
    :param rate_limit_every: Every how many Celigo requests one answers 429; 0 for none.
    :param panoply_token_seconds: Lifetime of a Panoply access token.
    :param vayana_token_seconds: Longest lifetime of a Vayana token.
    :param elements_callback_url: The callback URL configured in the Cloud Elements account; empty for none.
    :param callback_retry_seconds: The pauses before each further try to call back.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        job_seconds: float = 6.0,
        clock: Clock = time.time,
        *,
        rate_limit_every: int = 5,
        panoply_token_seconds: float = 20.0,
        vayana_token_seconds: float = 15.0,
        elements_callback_url: str = "",
        callback_retry_seconds: Sequence[float] = RETRY_SECONDS,
    ) -> None:
        settings = Settings(
            clock=clock,
            job_seconds=job_seconds,
            rate_limit_every=rate_limit_every,
            panoply_token_seconds=panoply_token_seconds,
            vayana_token_seconds=vayana_token_seconds,
            elements_callback_url=elements_callback_url,
            callback_retry_seconds=callback_retry_seconds,
        )
        self.host = host
        self.port = port
        self.journal = Journal()
        self.cloud_elements = CloudElements(settings)
        self.shop = Shop(settings)
        self._systems: tuple[System, ...] = (
            Panoply(settings),
            PhixFlow(settings),
            Vayana(settings),
            Celigo(settings),
            self.cloud_elements,
            self.shop,
            Standard202(settings),
            Studio(settings),
            Uws(settings),
            Warehouse(settings),
        )
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        return f"http://{self.host}:{self.port}"

    def count(self, method: str = "", path_prefix: str = "", status: int | None = None) -> int:
        """Count requests; see :meth:`Journal.count`."""
        return self.journal.count(method, path_prefix, status)

    def start(self) -> None:
        """Listen, and return once requests can come."""
        ready: Future[int] = Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="demo-server", daemon=True)
        self._thread.start()
        self.port = ready.result(START_SECONDS)

    def stop(self) -> None:
        """Stop listening, and return once the thread has ended."""
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join()
        self._thread = self._loop = self._stop = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self, ready: Future[int]) -> None:
        try:
            asyncio.run(self._serve(ready))
        except BaseException as error:
            # The starting thread waits for the port: that an address is in use must reach it.
            if ready.done():
                raise
            ready.set_exception(error)

    async def _serve(self, ready: Future[int]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        app = web.Application(middlewares=[self._answer])
        for system in self._systems:
            app.add_routes(system.routes())
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, self.host, self.port).start()
            ready.set_result(int(runner.addresses[0][1]))
            await self._stop.wait()
        finally:
            await self.cloud_elements.close()
            await self.shop.close()
            await runner.cleanup()

    @web.middleware
    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        status = 500
        try:
            response = await handler(request)
            status = response.status
        except RefusedError as refusal:
            response = refusal.response()
            status = response.status
        except web.HTTPException as error:
            status = error.status
            raise
        finally:
            self.journal.add(
                Record(
                    method=request.method,
                    path=without_secrets(request.raw_path),
                    status=status,
                    accept=request.headers.get("Accept", ""),
                    content_type=media_type(request),
                )
            )
        return response
