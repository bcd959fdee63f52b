"""Runs the same thing through each driver, and writes down what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.effects import Flow, Log, Polled, Send
from airflow_provider_asyncapi.core.errors import AsyncApiError, TransportError
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.transports.aiohttp import AiohttpDriver
from airflow_provider_asyncapi.transports.aiohttp_session import SessionClient
from airflow_provider_asyncapi.transports.fast_path.client import FastPathClient
from airflow_provider_asyncapi.transports.requests import RequestsDriver
from airflow_provider_asyncapi.transports.tls import tls_context

START = 1_700_000_000.0
#: Both ways of the driver in the triggerer.
AIOHTTP_WAYS: dict[str, Any] = {"fast path": FastPathClient, "session": SessionClient}
DRIVERS = ("requests", *AIOHTTP_WAYS)


@dataclass
class Outcome:
    """What became of a flow, as far as it has to be the same for all drivers."""

    result: Any = None
    error: tuple[str, str, bool | None] | None = None
    events: list[Any] = field(default_factory=list)
    sleeps: list[float] = field(default_factory=list)

    @property
    def failure(self) -> tuple[str, str, bool | None]:
        """What the flow failed with."""
        assert self.error is not None
        return self.error

    @property
    def log_text(self) -> str:
        return "\n".join(event.message for event in self.events if isinstance(event, Log))


class Clock:
    """The one clock of a test; only sleeping moves it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def make_api(url: str, clock: Callable[[], float] | None = None, **fields: Any) -> Api:
    given = {"host": url, "connect_timeout": 5, "read_timeout": 5, **fields}
    return Api.from_settings(
        ConnectionSettings.parse(given), clock=clock or Clock(), rng=lambda: 0.5, make_nonce=lambda: "n"
    )


def open_aiohttp_driver(way: str, api: Api, **given: Any) -> AiohttpDriver:
    return AiohttpDriver(api, tls_context(api.settings), open_client=AIOHTTP_WAYS[way], **given)


def run(driver: str, api: Api, flow: Flow[Any], *, steady: Callable[[], float] | None = None) -> Outcome:
    """Run one flow, and forget the driver."""
    return run_all(driver, api, [flow], steady=steady)[0]


def run_all(
    driver: str, api: Api, flows: Sequence[Flow[Any]], *, steady: Callable[[], float] | None = None
) -> list[Outcome]:
    """Run flows one after another through the same driver."""
    outcomes = [Outcome() for _ in flows]
    running = list(zip(flows, outcomes, strict=True))
    current = outcomes[:1]

    def sleep(seconds: float) -> None:
        current[0].sleeps.append(seconds)
        if isinstance(api.clock, Clock):
            api.clock.now += seconds

    async def asleep(seconds: float) -> None:
        sleep(seconds)

    clock = steady or (lambda: 0.0)
    if driver == "requests":
        with closing(RequestsDriver(api, sleep=sleep, steady=clock)) as client:
            for flow, current[0] in running:
                with noting(current[0]):
                    current[0].result = client.run(flow, observe=current[0].events.append)
        return outcomes

    async def main() -> None:
        client = open_aiohttp_driver(driver, api, sleep=asleep, steady=clock)
        try:
            for flow, current[0] in running:
                with noting(current[0]):
                    current[0].result = await client.run(flow, observe=current[0].events.append)
        finally:
            await client.close()

    asyncio.run(main())
    return outcomes


@contextmanager
def noting(outcome: Outcome) -> Iterator[None]:
    try:
        yield
    except AsyncApiError as error:
        sent = error.sent if isinstance(error, TransportError) else None
        outcome.error = (type(error).__name__, str(error), sent)


def sending(request: Request, *, is_repeatable: bool = True, **given: Any) -> Flow[Response]:
    """Send one request, as it is."""
    response: Response = yield Send(request, is_repeatable=is_repeatable, **given)
    return response


def fetch(driver: str, api: Api, request: Request, **given: Any) -> Outcome:
    return run(driver, api, sending(request, **given))


def shown(value: Any) -> Any:
    """Return the content of a response, for comparisons; other values unchanged."""
    if isinstance(value, Response):
        headers = {name: text for name, text in value.headers.items() if name != "connection"}
        return (value.status, headers, value.body, value.url, value.streamed_bytes)
    return value


def trace(outcome: Outcome) -> Any:
    polls = [
        (poll.handle, poll.polls, poll.errors, poll.changed) for poll in outcome.events if isinstance(poll, Polled)
    ]
    logs = [(event.level, event.message) for event in outcome.events if isinstance(event, Log)]
    return {
        "result": shown(outcome.result),
        "error": outcome.error,
        "logs": logs,
        "polls": polls,
        "sleeps": outcome.sleeps,
    }
