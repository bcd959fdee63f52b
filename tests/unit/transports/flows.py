"""Flows and sinks for tests of the drivers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs

from airflow_provider_asyncapi.core.effects import (
    Flow,
    PollBatch,
    Polled,
)
from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
)
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.wait.batch_plan import Batch, BatchResponse
from airflow_provider_asyncapi.transports.requests import RequestsDriver
from tests.loopback import reply
from tests.unit.transports.driving import open_aiohttp_driver

LOGIN: dict[str, Any] = {
    "auth": "login",
    "login_request": {"endpoint": "/login", "method": "POST"},
    "login_selector": "token",
}


class Memory:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.content = b""
        self.begun: list[int] = []
        self.ended = 0

    def begin(self, head: Response) -> None:
        self.begun.append(head.status)

    def write(self, chunk: bytes) -> None:
        self.content += chunk

    def finish(self) -> None:
        self.ended += 1


class FullDisk(Memory):
    def write(self, chunk: bytes) -> None:
        raise OSError(28, "No space left on device")


def together(driver: str, api: Any, flows: list[Flow[Any]], **given: Any) -> list[Any]:
    """Run flows at the same time: on threads, or as tasks. Give what they returned, or raised."""

    def caught(work: Any) -> Any:
        try:
            return work()
        except AsyncApiError as error:
            return error

    if driver == "requests":
        client = RequestsDriver(api, **given)
        try:
            with ThreadPoolExecutor(len(flows)) as pool:
                return list(pool.map(lambda flow: caught(lambda: client.run(flow)), flows))
        finally:
            client.close()

    async def main() -> list[Any]:
        client = open_aiohttp_driver(driver, api, **given)
        try:
            return await asyncio.gather(*map(client.run, flows), return_exceptions=True)
        finally:
            await client.close()

    return asyncio.run(main())


BATCH = {"endpoint": "/jobs", "query_params": {"ids": "{identifiers}"}, "items": "jobs[*]", "id": "id"}


def make_batch(**given: Any) -> Batch:
    batch = Batch.parse({**BATCH, **given}, singly=True)
    assert batch is not None
    return batch


def asking(
    identifier: str | int,
    *,
    interval: float = 0.3,
    skip_if_unchanged: Callable[[BatchResponse], Polled | None] = lambda _: None,
    **given: Any,
) -> Flow[Any]:
    batch = make_batch(**given)
    answers = yield PollBatch(batch, identifier, interval, skip_if_unchanged)
    return answers.response_for(identifier).json["state"]


def jobs(connection: Any, asked: Any) -> bool:
    (identifiers,) = parse_qs(asked.target.partition("?")[2])["ids"]
    found = [{"id": each, "state": f"state of {each}"} for each in identifiers.split(",")]
    return reply({"jobs": found})(connection, asked)
