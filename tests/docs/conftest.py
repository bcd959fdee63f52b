"""Fixtures of the documentation's tests: DAGs run without pauses, and without the secrets and tokens of other runs."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import BaseHook

from airflow_provider_asyncapi.connections import rotating_tokens
from airflow_provider_asyncapi.transports.aiohttp import AiohttpDriver
from airflow_provider_asyncapi.transports.requests import RequestsDriver
from tests.docs.running import Returned

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    # Tests are imported by file here: what they share is found beside them.
    sys.path.insert(0, HERE)


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten all pauses to a millisecond, since jobs of these servers end after a number of polls."""

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.001))

    for driver, pause in (
        (RequestsDriver, lambda seconds: time.sleep(min(seconds, 0.001))),
        (AiohttpDriver, sleep),
    ):
        defaults = driver.__init__.__kwdefaults__
        assert defaults is not None
        monkeypatch.setitem(defaults, "sleep", pause)


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove the secrets and tokens of earlier runs, and give mapped tasks the return values of other tasks."""
    from airflow.sdk._shared.secrets_masker import reset_secrets_masker
    from airflow.sdk.definitions import xcom_arg

    async def from_the_environment(conn_id: str) -> Any:
        return BaseHook.get_connection(conn_id)

    reset_secrets_masker()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    # Airflow 3.1 asks a supervisor for it, and there is none.
    monkeypatch.setattr(BaseHook, "aget_connection", from_the_environment)
    monkeypatch.setattr(xcom_arg, "LazyXComSequence", Returned)
    variables: dict[str, str] = {}
    monkeypatch.setattr(rotating_tokens, "load_variable", lambda key, _loop: variables.get(key))
    monkeypatch.setattr(
        rotating_tokens, "store_variable", lambda key, value, _description, _loop: variables.update({key: value})
    )
