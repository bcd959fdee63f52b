from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.transports.aiohttp import AiohttpDriver
from airflow_provider_asyncapi.transports.requests import RequestsDriver

Caller = Callable[..., Any]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let nobody wait between polls and tries; return the pauses."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    on_worker_defaults: Any = RequestsDriver.__init__.__kwdefaults__
    on_loop_defaults: Any = AiohttpDriver.__init__.__kwdefaults__
    monkeypatch.setitem(on_worker_defaults, "sleep", pauses.append)
    monkeypatch.setitem(on_loop_defaults, "sleep", pause)
    return pauses


@pytest.fixture(params=["on a worker", "on a loop"])
def call(request: pytest.FixtureRequest, pauses: list[float]) -> Caller:
    """Call a method of the hook, or its asynchronous twin."""

    def on_worker(name: str, *args: Any, **given: Any) -> Any:
        with AsyncApiHook("vendor") as hook:
            return getattr(hook, name)(*args, **given)

    def on_loop(name: str, *args: Any, **given: Any) -> Any:
        return asyncio.run(getattr(AsyncApiHook("vendor"), f"a{name}")(*args, **given))

    return on_worker if request.param == "on a worker" else on_loop
