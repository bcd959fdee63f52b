"""Triggers of one event loop share connections, sessions and requests, and block nothing."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import certifi
import pytest

from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.hooks import clients
from tests.unit.eventually import until
from tests.unit.fake_airflow import ApiServer, Supervisor, reply
from tests.unit.triggers.waits import POLL, event_of, trigger, until_alone, wait_of


def test_all_triggers_of_a_loop_share_one_look_up_and_one_session(
    api: ApiServer, connection: None, supervisor: Supervisor
) -> None:
    api.respond_to(POLL, *[reply({"status": "running"})] * 30, reply({"status": "done"}))

    async def scenario() -> None:
        waits = [asyncio.create_task(event_of(trigger())) for _ in range(20)]
        await until(lambda: api.count(POLL) > 5)
        (client,) = clients._clients[asyncio.get_running_loop()].values()
        assert client.users == 20
        assert client.driver is not None
        http_client: Any = client.driver._client
        waits.pop().cancel()
        await asyncio.gather(*waits)
        assert http_client._connector.closed
        assert not clients._clients[asyncio.get_running_loop()]

    asyncio.run(scenario())
    assert len(supervisor.of_kind("GetConnection")) == 1


def test_the_session_is_closed_when_all_are_cancelled(api: ApiServer, connection: None) -> None:
    api.respond_to(POLL, reply({"status": "running"}))

    async def scenario() -> None:
        waits = [asyncio.create_task(event_of(trigger())) for _ in range(3)]
        await until(lambda: api.count(POLL) >= 3)
        driver = next(iter(clients._clients[asyncio.get_running_loop()].values())).driver
        assert driver is not None
        http_client: Any = driver._client
        for task in waits:
            task.cancel()
        await asyncio.wait(waits)
        assert http_client._connector.closed

    asyncio.run(scenario())


def test_a_connection_that_was_mended_is_read_anew(api: ApiServer, connect: Any) -> None:
    connect(extra={"auth": "bearer"})
    api.respond_to(POLL, reply({"status": "done"}))
    assert "error" in asyncio.run(event_of(trigger()))
    connect(password="token-1", extra={"auth": "bearer"})
    assert "error" not in asyncio.run(event_of(trigger()))


#: The audit events of calls that block the thread that makes them.
BLOCKING = {"open", "socket.getaddrinfo", "socket.gethostbyname", "subprocess.Popen", "time.sleep"}


@pytest.fixture(scope="module")
def blocking_calls() -> Iterator[dict[int, list[str]]]:
    """Return the blocking calls of each thread that has an entry; an audit hook can't be removed."""
    calls: dict[int, list[str]] = {}

    def note(event: str, args: tuple[Any, ...]) -> None:
        if event in BLOCKING and (noted := calls.get(threading.get_ident())) is not None:
            noted.append(f"{event}{args}")

    sys.addaudithook(note)
    yield calls
    calls.clear()


def test_nothing_blocks_the_loop_and_nothing_is_left_on_it(
    api: ApiServer, connect: Any, monkeypatch: pytest.MonkeyPatch, blocking_calls: dict[int, list[str]]
) -> None:
    connect(extra={"ca_cert": certifi.where()})
    api.respond_to(POLL, reply({"status": "running"}), reply({"status": "running"}), reply({"status": "done"}))
    threads_with_certificates: list[int] = []
    read_certificates = ssl.create_default_context

    def note(**given: Any) -> ssl.SSLContext:
        threads_with_certificates.append(threading.get_ident())
        return read_certificates(**given)

    monkeypatch.setattr(ssl, "create_default_context", note)

    async def scenario() -> list[str]:
        # Imports, once for all triggers of a process.
        await event_of(trigger())
        await until_alone()
        here = threading.get_ident()
        blocking_calls[here] = []
        try:
            await event_of(trigger())
            await until_alone()
            return blocking_calls[here]
        finally:
            del blocking_calls[here]

    assert asyncio.run(scenario()) == []
    assert threads_with_certificates
    assert threading.get_ident() not in threads_with_certificates


def test_triggers_that_wait_alike_ask_together(api: ApiServer, connection: None, supervisor: Supervisor) -> None:
    batch = {"endpoint": "/jobs", "json": {"ids": "{identifiers}"}, "items": "jobs[*]", "id": "id"}
    states = [{"id": "j-1", "status": "running"}, {"id": "j-2", "status": "done"}]
    api.respond_to("POST /jobs", reply({"jobs": states}), reply({"jobs": [{"id": "j-1", "status": "done"}]}))

    async def scenario() -> list[dict[str, Any]]:
        waits = [trigger(batch=batch), trigger(batch=batch)]
        waits[1].wait = replace(wait_of(waits[1]), handle=JobHandle("j-2"))
        return await asyncio.gather(*map(event_of, waits))

    events = asyncio.run(scenario())
    assert [(event["handle"]["identifier"], event["handle"]["outcome"]) for event in events] == [
        ("j-1", "success"),
        ("j-2", "success"),
    ]
    assert [sorted(json.loads(request.body)["ids"]) for request in api.requests] == [["j-1", "j-2"], ["j-1"]]
