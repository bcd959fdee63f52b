"""Waits whose connection uses the credentials of another connection, in a triggerer and in a hook."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import Any

import pytest

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from tests.unit.connections.clouds import fake_providers
from tests.unit.connections.clouds.fake_providers import FakeClouds
from tests.unit.fake_airflow import ApiServer, InProcessSupervisor, Supervisor, reply
from tests.unit.triggers.waits import POLL, event_of, trigger

RUNNING, DONE = reply({"status": "running"}), reply({"status": "done"})
BORROWING: dict[str, Any] = {"auth": "connection", "credentials_conn_id": "my_gcp"}


@pytest.fixture
def clouds(monkeypatch: pytest.MonkeyPatch, connect: Any) -> FakeClouds:
    """Have the provider of Google, and a connection of it."""
    connect(extra=BORROWING)
    connect("my_gcp", conn_type="google_cloud_platform", host=None, extra={"keyfile_dict": "planted-key"})
    return fake_providers.install(monkeypatch)


def tokens(api: ApiServer) -> list[str]:
    return [request.headers["Authorization"] for request in api.requests]


def test_all_waits_of_a_triggerer_share_a_token_that_is_fetched_on_a_thread(
    api: ApiServer, clouds: FakeClouds, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    monkeypatch.setattr(
        fake_providers.FakeClouds, "open", lambda _self, **_: threads.append(threading.current_thread())
    )
    api.respond_to(POLL, RUNNING, RUNNING, DONE)

    async def scenario() -> list[dict[str, Any]]:
        return await asyncio.gather(*(event_of(trigger()) for _ in range(20)))

    assert {event["handle"]["outcome"] for event in asyncio.run(scenario())} == {"success"}
    assert set(tokens(api)) == {"Bearer token-1"}
    assert len(threads) == clouds.renewed == 1
    assert threads[0] is not threading.main_thread()
    assert [message.conn_id for message in supervisor.of_kind("GetConnection")].count("my_gcp") == 1


def test_a_token_that_expires_is_renewed_while_the_job_runs(api: ApiServer, clouds: FakeClouds) -> None:
    # It is renewed before it expires, and so at once.
    clouds.expires_at = time.time() + 0.001
    api.respond_to(POLL, RUNNING, RUNNING, DONE)
    assert asyncio.run(event_of(trigger()))["handle"]["outcome"] == "success"
    assert len(set(tokens(api))) == len(tokens(api)) == 3


def test_a_refused_token_opens_the_connection_again(api: ApiServer, clouds: FakeClouds) -> None:
    api.respond_to(POLL, reply({}, 401), DONE)
    assert asyncio.run(event_of(trigger()))["handle"]["outcome"] == "success"
    assert tokens(api) == ["Bearer token-1", "Bearer token-2"]
    assert len(clouds.opened) == 2


def test_a_connection_that_is_not_there_ends_the_wait_with_its_name(api: ApiServer, connect: Any) -> None:
    connect(extra={**BORROWING, "credentials_conn_id": "nobody"})
    error = asyncio.run(event_of(trigger()))["error"]
    assert error["kind"] == "ConfigurationError"
    assert "credentials_conn_id: connection 'nobody': doesn't exist" in error["message"]
    assert not api.requests


def test_while_airflow_is_away_the_wait_goes_on(api: ApiServer, clouds: FakeClouds, supervisor: Supervisor) -> None:
    api.respond_to(POLL, DONE)

    async def scenario() -> dict[str, Any]:
        async with AsyncApiHook():
            # The other connection hasn't been looked up yet.
            supervisor.away = 2
            return await event_of(trigger())

    assert asyncio.run(scenario())["handle"]["outcome"] == "success"
    assert supervisor.away == 0


def test_the_hook_borrows_on_a_worker_and_in_a_trigger(api: ApiServer, clouds: FakeClouds) -> None:
    api.respond_to("GET /me", reply({"name": "ann"}))
    assert AsyncApiHook().request("GET", "/me").json() == {"name": "ann"}

    async def ask() -> Any:
        async with AsyncApiHook() as hook:
            return (await hook.arequest("GET", "/me")).json()

    assert asyncio.run(ask()) == {"name": "ann"}
    assert tokens(api) == ["Bearer token-1", "Bearer token-2"]


def test_the_test_commands_borrow_too(
    api: ApiServer, clouds: FakeClouds, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    InProcessSupervisor(supervisor, monkeypatch)
    api.respond_to(POLL, DONE)
    assert asyncio.run(event_of(trigger()))["handle"]["outcome"] == "success"
    assert tokens(api) == ["Bearer token-1"]


def test_a_provider_that_is_missing_fails_the_task_with_its_name(
    api: ApiServer, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, fake_providers.GOOGLE_HOOK, None)
    connect(extra=BORROWING)
    connect("my_gcp", conn_type="google_cloud_platform", host=None)
    with pytest.raises(
        exceptions.AsyncApiConfigurationError, match="install apache-airflow-providers-google on workers"
    ):
        AsyncApiHook().request("GET", "/me")
