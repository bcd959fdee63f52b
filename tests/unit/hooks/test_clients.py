from __future__ import annotations

import asyncio
import gc
import time
from typing import Any

import pytest
from airflow.providers.common.compat.connection import get_async_connection

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.hooks import clients, lazy
from airflow_provider_asyncapi.hooks.clients import SharedClient
from tests.unit.eventually import until
from tests.unit.fake_airflow import ApiServer, InProcessSupervisor, Supervisor, reply
from tests.unit.triggers.waits import POLL, event_of, trigger

RUNNING, DONE = reply({"status": "running"}), reply({"status": "done"})


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the refresh never come by itself, and nothing be fresh."""
    monkeypatch.setattr(clients, "_REFRESH_INTERVAL", 1000.0)
    monkeypatch.setattr(clients, "_MAX_AGE", 0.0)
    monkeypatch.setattr(clients, "_FIRST_DELAY", 0.01)


def tokens(api: ApiServer) -> list[str]:
    return [request.headers["Authorization"] for request in api.requests]


def test_a_connection_that_changes_is_noticed_and_the_old_pool_closed(
    api: ApiServer, connect: Any, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "_REFRESH_INTERVAL", 0.3)
    connect(password="old", extra={"auth": "bearer"})
    api.respond_to(POLL, RUNNING)

    async def scenario() -> None:
        waits = [asyncio.create_task(event_of(trigger())) for _ in range(5)]
        await until(lambda: api.count(POLL) >= 5)
        driver = clients._clients[asyncio.get_running_loop()]["asyncapi_default"].driver
        assert driver is not None
        http_client: Any = driver._client
        connect(password="new", extra={"auth": "bearer"})
        await until(lambda: tokens(api)[-5:] == ["Bearer new"] * 5)
        await until(lambda: http_client._connector.closed)
        api.respond_to(POLL, DONE)
        assert {event["handle"]["outcome"] for event in await asyncio.gather(*waits)} == {"success"}
        assert not clients._clients[asyncio.get_running_loop()]

    asyncio.run(scenario())
    looked_up = len(supervisor.of_kind("GetConnection"))
    assert looked_up < 20
    gc.collect()


def test_credentials_that_were_rotated_are_looked_up_at_once(api: ApiServer, connect: Any) -> None:
    connect(password="old", extra={"auth": "bearer"})
    api.respond_to(POLL, RUNNING, reply({}, 401), DONE)

    async def scenario() -> dict[str, Any]:
        waiting = asyncio.create_task(event_of(trigger()))
        await until(lambda: api.count(POLL))
        connect(password="new", extra={"auth": "bearer"})
        return await waiting

    assert asyncio.run(scenario())["handle"]["outcome"] == "success"
    assert tokens(api) == ["Bearer old", "Bearer old", "Bearer new"]


def test_where_the_connection_is_the_same_the_refusal_stands_and_one_look_up_serves_all(
    api: ApiServer, connect: Any, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(password="wrong", extra={"auth": "bearer"})
    api.respond_to(POLL, *[RUNNING] * 10, reply({}, 401))

    async def scenario() -> list[dict[str, Any]]:
        waits = [asyncio.create_task(event_of(trigger())) for _ in range(10)]
        await until(lambda: api.count(POLL))
        # Fresh is what was looked up after the wait began.
        now = asyncio.get_running_loop().time()
        clients._clients[asyncio.get_running_loop()]["asyncapi_default"].looked_up_at = now - 100
        monkeypatch.setattr(clients, "_MAX_AGE", 50.0)
        return await asyncio.gather(*waits)

    assert {event["error"]["kind"] for event in asyncio.run(scenario())} == {"AuthenticationError"}
    assert len(supervisor.of_kind("GetConnection")) == 2


def test_a_connection_that_is_deleted_ends_the_wait_with_that_message(
    api: ApiServer, connection: None, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "_REFRESH_INTERVAL", 0.2)
    api.respond_to(POLL, RUNNING)

    async def scenario() -> dict[str, Any]:
        waiting = asyncio.create_task(event_of(trigger()))
        await until(lambda: api.count(POLL))
        supervisor.connections.clear()
        return await waiting

    error = asyncio.run(scenario())["error"]
    assert error["kind"] == "ConfigurationError"
    assert error["message"] == "connection 'asyncapi_default': doesn't exist, or was deleted"


def test_credentials_of_a_connection_that_is_deleted_are_not_blamed(
    api: ApiServer, connection: None, supervisor: Supervisor
) -> None:
    api.respond_to(POLL, RUNNING, reply({}, 401))

    async def scenario() -> dict[str, Any]:
        waiting = asyncio.create_task(event_of(trigger()))
        await until(lambda: api.count(POLL))
        supervisor.connections.clear()
        return await waiting

    assert "doesn't exist, or was deleted" in asyncio.run(scenario())["error"]["message"]


def test_while_airflow_is_away_the_wait_goes_on(
    api: ApiServer, connection: None, supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor.away = 6
    api.respond_to(POLL, DONE)
    assert asyncio.run(event_of(trigger()))["handle"]["outcome"] == "success"
    assert "Connection 'asyncapi_default' can't be looked up" in caplog.text


def test_while_airflow_is_away_the_deadline_ends_the_wait_and_the_error_says_why(
    api: ApiServer, connection: None, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "_MIN_TIMEOUT", 0.0)
    supervisor.away = 1_000_000
    error = asyncio.run(event_of(trigger(deadline=time.time() + 0.3)))["error"]
    assert error["kind"] == "DeadlineExceededError"
    assert "connection 'asyncapi_default': Airflow didn't return it" in error["message"]
    assert not api.requests


def test_after_the_deadline_too_there_is_time_for_a_look_up_and_a_last_poll(api: ApiServer, connection: None) -> None:
    api.respond_to(POLL, DONE)
    now = time.time()
    assert asyncio.run(event_of(trigger(started_at=now - 20, deadline=now - 10)))["handle"]["outcome"] == "success"


def test_a_mistake_in_the_look_up_ends_the_wait_and_is_not_repeated(
    connection: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def fail(conn_id: str) -> Any:
        asked.append(conn_id)
        raise AttributeError("no such method")

    monkeypatch.setattr(lazy, "get_async_connection", fail)
    with pytest.raises(AttributeError, match="no such method"):
        asyncio.run(event_of(trigger()))
    assert len(asked) == 1


def test_a_mistake_in_a_later_look_up_leaves_the_waits_alone_and_is_logged(
    api: ApiServer, connection: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(clients, "_REFRESH_INTERVAL", 0.05)
    api.respond_to(POLL, RUNNING)

    async def fail(conn_id: str) -> Any:
        raise AttributeError("no such method")

    async def scenario() -> dict[str, Any]:
        waiting = asyncio.create_task(event_of(trigger()))
        await until(lambda: api.count(POLL))
        monkeypatch.setattr(lazy, "get_async_connection", fail)
        await until(lambda: "the waits continue with its last settings" in caplog.text)
        api.respond_to(POLL, DONE)
        return await waiting

    assert asyncio.run(scenario())["handle"]["outcome"] == "success"


def test_in_a_test_of_the_dag_the_connection_is_asked_of_the_synchronous_supervisor(
    api: ApiServer, connection: None, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_process = InProcessSupervisor(supervisor, monkeypatch)
    api.respond_to(POLL, RUNNING, DONE)
    waiting = trigger()
    waiting.task_instance = None
    assert asyncio.run(event_of(waiting))["handle"]["outcome"] == "success"
    assert "GetConnection" in in_process.kinds()


def test_in_a_test_of_the_dag_a_connection_that_is_missing_is_an_error_that_says_so(
    api: ApiServer, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    InProcessSupervisor(supervisor, monkeypatch)
    waiting = trigger()
    waiting.task_instance = None
    assert "doesn't exist, or was deleted" in asyncio.run(event_of(waiting))["error"]["message"]


def test_a_connection_that_the_task_may_not_see_is_an_error_that_says_so(
    connection: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(conn_id: str) -> Any:
        raise PermissionError(conn_id)

    monkeypatch.setattr(lazy, "get_async_connection", refuse)

    async def scenario() -> None:
        async with SharedClient("asyncapi_default"):
            pass

    with pytest.raises(ConfigurationError, match="this task may not read it"):
        asyncio.run(scenario())


def test_whoever_is_cancelled_as_he_looks_a_connection_up_leaves_that_to_the_next(
    connection: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = get_async_connection
    begun: list[str] = []

    async def look_up_slowly(conn_id: str) -> Any:
        begun.append(conn_id)
        if len(begun) == 1:
            await asyncio.Event().wait()
        return await look_up(conn_id)

    monkeypatch.setattr(lazy, "get_async_connection", look_up_slowly)

    async def use() -> Any:
        async with SharedClient("asyncapi_default") as (_, driver):
            return driver

    async def scenario() -> None:
        first = asyncio.create_task(use())
        await until(lambda: begun)
        second = asyncio.create_task(use())
        await asyncio.sleep(0)
        first.cancel()
        assert await second is not None
        assert first.cancelled()
        assert not clients._clients[asyncio.get_running_loop()]

    asyncio.run(scenario())
    assert len(begun) == 2
