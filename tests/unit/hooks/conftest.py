"""The two ways to call the hook: on a worker, and on an event loop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from tests.unit.hooks.hook_calls import Caller


@pytest.fixture(params=["on a worker", "on a loop"])
def call(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Caller:
    """Call a method, or its twin; nobody waits between polls and tries."""
    from airflow_provider_asyncapi.transports.aiohttp import AiohttpDriver
    from airflow_provider_asyncapi.transports.requests import RequestsDriver

    on_worker_defaults: Any = RequestsDriver.__init__.__kwdefaults__
    on_loop_defaults: Any = AiohttpDriver.__init__.__kwdefaults__
    monkeypatch.setitem(on_worker_defaults, "sleep", lambda _: None)
    monkeypatch.setitem(on_loop_defaults, "sleep", lambda _: asyncio.sleep(0))

    def on_worker(name: str, *args: Any, profile: str | None = None, **given: Any) -> Any:
        with AsyncApiHook(profile=profile) as hook:
            return getattr(hook, name)(*args, **given)

    def on_loop(name: str, *args: Any, profile: str | None = None, **given: Any) -> Any:
        return asyncio.run(getattr(AsyncApiHook(profile=profile), f"a{name}")(*args, **given))

    return on_worker if request.param == "on a worker" else on_loop
