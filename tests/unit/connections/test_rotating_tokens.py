"""Tasks and triggers of all hosts share a refresh token that can be used once, against an authorization server."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from airflow.sdk.execution_time import task_runner

from airflow_provider_asyncapi.core.effects import Flow, RunBlocking, RunConcurrently, Sleep
from airflow_provider_asyncapi.core.errors import AsyncApiError, ContentError
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.requests.exchange import send
from airflow_provider_asyncapi.exceptions import AsyncApiConfigurationError, AsyncApiRejected, AsyncApiUnauthorized
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.hooks.clients import SharedClient
from airflow_provider_asyncapi.transports.aiohttp import AiohttpDriver
from airflow_provider_asyncapi.transports.requests import RequestsDriver
from tests.oauth2_server import CLIENT_ID, CLIENT_SECRET, PASSWORD, USER, OAuth2Server
from tests.unit.eventually import until, wait_until
from tests.unit.fake_airflow import Supervisor


@pytest.fixture
def vendor() -> Iterator[OAuth2Server]:
    with OAuth2Server() as server:
        yield server


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Don't wait whether another process wants the lock, too."""
    monkeypatch.setitem(RequestsDriver.__init__.__kwdefaults__, "sleep", lambda _: None)  # type: ignore[arg-type]  # it has defaults
    monkeypatch.setitem(AiohttpDriver.__init__.__kwdefaults__, "sleep", lambda _: asyncio.sleep(0))  # type: ignore[arg-type]  # it has defaults


@pytest.fixture
def authorized(vendor: OAuth2Server, connect: Callable[..., None]) -> Callable[..., None]:
    """Store a connection with a refresh token that the server has issued."""

    def store(**extra: Any) -> None:
        given = {"auth": "oauth2_refresh", "oauth2_url": "/token", "refresh_token": vendor.authorize(), **extra}
        connect(host=vendor.url, login=CLIENT_ID, password=CLIENT_SECRET, extra=given)

    return store


def ask_on_worker(vendor: OAuth2Server) -> int:
    hook = AsyncApiHook()
    try:
        return hook.run(send(hook.api, Request("GET", f"{vendor.url}/x"))).status
    finally:
        hook.close()


def ask_in_triggerer(vendor: OAuth2Server) -> int:
    async def ask() -> int:
        async with SharedClient("asyncapi_default") as (api, driver):
            return (await driver.run(send(api, Request("GET", f"{vendor.url}/x")))).status

    return asyncio.run(ask())


def variables_of(supervisor: Supervisor) -> list[str]:
    return [name for name in supervisor.variables if not name.endswith("_lock")]


def test_workers_and_the_triggerer_use_one_token_and_its_successors(
    vendor: OAuth2Server, supervisor: Supervisor, authorized: Callable[..., None]
) -> None:
    authorized()
    assert [ask_on_worker(vendor), ask_in_triggerer(vendor), ask_on_worker(vendor)] == [200, 200, 200]
    assert len(vendor.token_requests) == 1
    # The access token isn't valid any more.
    vendor._authorization.save_token(vendor.make_token(), None)
    vendor.issued.pop().is_valid = False
    vendor.issued[-1].access = "another"
    assert ask_in_triggerer(vendor) == 200
    assert ask_on_worker(vendor) == 200
    assert [body.rpartition("=")[2] for body in vendor.token_requests] == ["refresh-planted-1", "refresh-planted-2"]
    assert len(variables_of(supervisor)) == 1


def test_the_variable_contains_no_token_that_can_be_read(
    vendor: OAuth2Server, supervisor: Supervisor, authorized: Callable[..., None]
) -> None:
    authorized()
    ask_on_worker(vendor)
    (name,) = variables_of(supervisor)
    assert "token" in name, "Airflow masks the values of Variables by their names"
    assert "planted" not in json.dumps(supervisor.variables)
    assert supervisor.variables[f"{name}_lock"] == "free"


def test_other_fields_of_the_connection_may_change_without_losing_the_token(
    vendor: OAuth2Server, authorized: Callable[..., None], connect: Callable[..., None]
) -> None:
    authorized()
    ask_on_worker(vendor)
    extra = {
        "auth": "oauth2_refresh",
        "oauth2_url": "/token",
        "refresh_token": "refresh-planted-1",
        "headers": {"X": "y"},
    }
    connect(host=vendor.url, login=CLIENT_ID, password=CLIENT_SECRET, extra=extra)
    assert ask_on_worker(vendor) == 200
    assert len(vendor.token_requests) == 1


def test_a_refresh_token_that_was_used_elsewhere_is_an_error_until_the_connection_has_a_new_one(
    vendor: OAuth2Server, authorized: Callable[..., None]
) -> None:
    authorized()
    vendor.issued[0].is_spent = True
    for ask in (ask_on_worker, ask_in_triggerer):
        with pytest.raises(
            (AsyncApiUnauthorized, AsyncApiError), match="authorize the client again, and set refresh_token"
        ):
            ask(vendor)
    authorized()
    assert ask_on_worker(vendor) == 200


def test_the_test_button_does_not_spend_the_refresh_token(
    vendor: OAuth2Server, authorized: Callable[..., None]
) -> None:
    authorized(test_endpoint="/me")
    works, message = AsyncApiHook().test_connection()
    assert works, message
    assert "refresh token wasn't tested" in message
    assert vendor.token_requests == []


def test_outside_of_tasks_there_is_no_request(
    vendor: OAuth2Server, authorized: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    authorized()
    hook = AsyncApiHook()
    assert hook.api.rotating_tokens is not None
    monkeypatch.delattr(task_runner, "SUPERVISOR_COMMS")
    with pytest.raises(AsyncApiConfigurationError, match="it works in tasks and triggers, but not here"):
        hook.run(send(hook.api, Request("GET", f"{vendor.url}/x")))
    assert vendor.token_requests == []


def test_a_variable_that_was_changed_is_an_error_and_spends_nothing(
    vendor: OAuth2Server, supervisor: Supervisor, authorized: Callable[..., None]
) -> None:
    authorized()
    ask_on_worker(vendor)
    (name,) = variables_of(supervisor)
    supervisor.variables[name] = "changed"
    with pytest.raises(AsyncApiConfigurationError, match=f"the Variable {name} doesn't contain the refresh token"):
        ask_on_worker(vendor)
    assert len(vendor.token_requests) == 1


def test_a_wait_that_is_cancelled_during_the_request_for_a_token_stores_the_new_refresh_token(
    vendor: OAuth2Server, supervisor: Supervisor, authorized: Callable[..., None]
) -> None:
    async def cancel() -> None:
        async def wait() -> None:
            async with SharedClient("asyncapi_default") as (api, driver):
                await driver.run(send(api, Request("GET", f"{vendor.url}/x")))

        waiting = asyncio.create_task(wait())
        await until(lambda: vendor.token_requests)
        waiting.cancel()
        await asyncio.sleep(0)
        vendor.answers.set()
        await asyncio.wait([waiting])
        assert waiting.cancelled()

    authorized()
    vendor.answers.clear()
    asyncio.run(cancel())
    assert ask_on_worker(vendor) == 200
    assert len(vendor.token_requests) == 1


@pytest.mark.timeout(30)
def test_a_flow_that_fails_during_the_request_for_a_token_loses_no_refresh_token(
    vendor: OAuth2Server, supervisor: Supervisor, authorized: Callable[..., None]
) -> None:
    is_waiting = threading.Event()

    def fail() -> Flow[None]:
        yield RunBlocking(lambda: wait_until(lambda: vendor.token_requests and is_waiting.is_set()))
        raise ContentError("broken")

    def answer_once_cancelled() -> Flow[None]:
        is_waiting.set()
        try:
            while True:
                yield Sleep(1)
        finally:
            vendor.answers.set()

    authorized()
    vendor.answers.clear()
    with closing(AsyncApiHook()) as hook:

        def ask() -> Flow[Any]:
            return send(hook.api, Request("GET", f"{vendor.url}/x"))

        def ask_and_fail() -> Flow[None]:
            yield RunConcurrently([ask, fail, answer_once_cancelled], 3, lambda _: None)

        with pytest.raises(AsyncApiRejected, match="broken"):
            hook.run(ask_and_fail())
    (name,) = variables_of(supervisor)
    assert supervisor.variables[f"{name}_lock"] == "free"
    assert ask_on_worker(vendor) == 200
    assert len(vendor.token_requests) == 1


@pytest.mark.parametrize("ask", [ask_on_worker, ask_in_triggerer])
def test_the_password_grant_gets_a_token(
    vendor: OAuth2Server, connect: Callable[..., None], ask: Callable[[OAuth2Server], int]
) -> None:
    extra = {"auth": "oauth2_password", "oauth2_url": "/token", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    connect(host=vendor.url, login=USER, password=PASSWORD, extra=extra)
    assert ask(vendor) == 200
    connect(host=vendor.url, login=USER, password="wrong", extra=extra)
    with pytest.raises((AsyncApiUnauthorized, AsyncApiError), match="check the connection's login and password"):
        ask(vendor)
