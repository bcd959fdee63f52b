"""The hook's methods on an event loop share clients, and notice a connection that has changed."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.hooks import clients, running
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook, AsyncApiResponse, JobHandle
from tests.unit.eventually import until
from tests.unit.fake_airflow import ApiServer, InProcessSupervisor, Supervisor, reply
from tests.unit.hooks.hook_calls import DONE, POLL, RUNNING, STATUS, SUBMIT
from tests.unit.results.stores import Upload, fresh_store

pytestmark = pytest.mark.usefixtures("connection")


# On an event loop
def test_connections_are_kept_open_between_calls_in_a_context(api: ApiServer) -> None:
    api.respond_to("GET /x", reply([]))

    async def scenario() -> None:
        async with AsyncApiHook() as hook:
            client = clients._clients[asyncio.get_running_loop()]["asyncapi_default"]
            await asyncio.gather(hook.arequest("GET", "/x"), hook.arequest("GET", "/x"))
            await hook.afetch_result(7, endpoint="/x")
            assert clients._clients[asyncio.get_running_loop()]["asyncapi_default"] is client
        assert not clients._clients[asyncio.get_running_loop()]

    asyncio.run(scenario())
    assert api.count("GET /x") == 3


def test_a_context_whose_connection_cannot_be_used_raises_the_same_exception(connect: Any) -> None:
    connect(host="")

    async def scenario() -> None:
        async with AsyncApiHook():
            pass

    with pytest.raises(exceptions.AsyncApiConfigurationError, match="host is empty"):
        asyncio.run(scenario())


@pytest.fixture
def change(connect: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Change the connection while it is in use, and have that noticed."""
    connect(password="old-1", extra={"auth": "bearer"})
    monkeypatch.setattr(clients, "_MAX_AGE", 0.0)

    async def change() -> None:
        connect(password="new-1", extra={"auth": "bearer"})
        client = clients._clients[asyncio.get_running_loop()]["asyncapi_default"]
        assert client.api is not None
        assert await clients.retire_if_changed("asyncapi_default", client.api)

    return change


def test_a_wait_goes_on_with_a_connection_that_has_changed(api: ApiServer, change: Any) -> None:
    api.respond_to(POLL, RUNNING)

    async def scenario() -> JobHandle:
        waiting = asyncio.create_task(AsyncApiHook().await_for_job(7, poke_interval=0.1, **STATUS))
        await until(lambda: api.count(POLL))
        await change()
        await until(lambda: api.requests[-1].headers["Authorization"] == "Bearer new-1")
        api.respond_to(POLL, DONE)
        return await waiting

    assert asyncio.run(scenario()).outcome is Outcome.SUCCESS


def test_credentials_that_were_rotated_are_looked_up_at_once(
    api: ApiServer, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "_MAX_AGE", 0.0)
    connect(password="old-1", extra={"auth": "bearer"})
    api.respond_to("GET /x", reply({}, 401), reply([]))

    async def scenario() -> AsyncApiResponse:
        async with AsyncApiHook() as hook:
            connect(password="new-1", extra={"auth": "bearer"})
            return await hook.arequest("GET", "/x")

    assert asyncio.run(scenario()).ok


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_that_may_have_been_carried_out_is_not_sent_again_over_a_connection_that_has_changed(
    api: ApiServer, change: Any, method: str
) -> None:
    api.respond_to(f"{method} /x", reply({}, 429), reply([]))

    async def scenario() -> AsyncApiResponse:
        asking = asyncio.create_task(AsyncApiHook().arequest(method, "/x", retry_delays={429: 0.2}))
        await until(lambda: api.requests)
        await change()
        return await asking

    if method == "GET":
        assert asyncio.run(scenario()).ok
    else:
        with pytest.raises(exceptions.AsyncApiUnavailable, match="POST /x: the connection has changed"):
            asyncio.run(scenario())


def test_a_submission_goes_on_where_it_stood_when_the_connection_changed(api: ApiServer, change: Any) -> None:
    api.respond_to("POST /jobs", reply({"id": 7}))
    api.respond_to("POST /jobs/7/start", reply({}, 503), reply({}))

    async def scenario() -> JobHandle:
        start = {"endpoint": "/jobs/{identifier}/start", "headers": {"Idempotency-Key": "{idempotency_key}"}}
        submitting = asyncio.create_task(AsyncApiHook().asubmit_job(**SUBMIT, start=start, retry_delays={503: 0.2}))
        await until(lambda: api.count("POST /jobs/7/start"))
        await change()
        return await submitting

    assert asyncio.run(scenario()).identifier == 7
    assert (api.count("POST /jobs"), api.count("POST /jobs/7/start")) == (1, 2)


def test_a_fetch_that_is_cancelled_leaves_nothing_behind(api: ApiServer, tmp_path: Path) -> None:
    api.respond_to("GET /files/7", reply({}, 503))
    destination = f"{tmp_path / 'out'}/"

    async def scenario() -> None:
        fetching = asyncio.create_task(
            AsyncApiHook().afetch_result(7, endpoint="/files/7", output_type="file", destination=destination)
        )
        await until(lambda: api.requests)
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching

    asyncio.run(scenario())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning")
def test_a_fetch_that_is_cancelled_while_it_uploads_does_not_complete_the_upload(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.respond_to("GET /files/7", reply({}))
    store, is_writing, is_cancelled = fresh_store("s3"), threading.Event(), threading.Event()

    def write(_upload: Upload, data: bytes) -> int:
        is_writing.set()
        assert is_cancelled.wait(10)
        return len(data)

    monkeypatch.setattr(Upload, "write", write)

    async def scenario() -> None:
        fetching = asyncio.create_task(
            AsyncApiHook().afetch_result(7, endpoint="/files/7", output_type="file", destination="s3://bucket/a")
        )
        await until(is_writing.is_set)
        fetching.cancel()
        # The task has to know of it before the upload continues.
        await asyncio.sleep(0)
        is_cancelled.set()
        with pytest.raises(asyncio.CancelledError):
            await fetching

    asyncio.run(scenario())
    assert [path.lstrip("/") for path in store.discarded] == ["bucket/a"]
    assert store.contents() == {}


def test_an_airflow_that_is_away_is_an_exception_that_a_retry_may_mend(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "LOOK_UP_TIMEOUT", 0.0)
    monkeypatch.setattr(clients, "_MIN_TIMEOUT", 0.05)
    monkeypatch.setattr(clients, "_FIRST_DELAY", 0.01)
    supervisor.away = 1000
    with pytest.raises(exceptions.AsyncApiRetryableException, match="Airflow didn't return it"):
        asyncio.run(AsyncApiHook().arequest("GET", "/x"))


def test_the_twins_work_without_an_asynchronous_line_to_airflow(
    api: ApiServer, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    InProcessSupervisor(supervisor, monkeypatch)
    api.respond_to("GET /x", reply([]))
    assert asyncio.run(AsyncApiHook().arequest("GET", "/x")).json() == []


def test_a_worker_of_airflow_31_whose_line_is_only_synchronous_finds_the_connection(
    api: ApiServer, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def not_there(_: Any) -> None:
        raise NotImplementedError

    monkeypatch.setattr(supervisor, "asend", not_there)
    api.respond_to("GET /x", reply([]))
    assert asyncio.run(AsyncApiHook().arequest("GET", "/x")).json() == []


@pytest.mark.parametrize("is_task", [True, False])
def test_secrets_are_masked_on_a_worker_and_not_in_the_triggerer(
    api: ApiServer, connect: Any, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, is_task: bool
) -> None:
    monkeypatch.setattr(clients, "is_task_process", lambda: is_task)
    connect(extra={"secret_headers": {"X-Key": "key-12345"}})
    api.respond_to("GET /x", reply([]))
    asyncio.run(AsyncApiHook().arequest("GET", "/x"))
    masked = [each for each in supervisor.of_kind("MaskSecret") if "key-12345" in json.dumps(each.value)]
    # Airflow itself masks the extra as a whole.
    assert any(each.value == ["key-12345"] for each in masked) is is_task
