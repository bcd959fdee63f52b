"""
The pytest plugin: fixtures that replay a recording, or run a scripted job API.

pytest finds it by its entry point in each environment that has this package, so it imports what it needs at first use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_provider_asyncapi import testing
    from airflow_provider_asyncapi.testing import FakeJobApi, ReplayServer
else:
    from airflow_provider_asyncapi.core.lazy import LazyModule

    testing = LazyModule("airflow_provider_asyncapi.testing")


@pytest.fixture
def asyncapi_replay(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """
    Replay a recording to the tasks that use a connection.

    Call it with the file, which may be relative to the test's folder, and as ``conn_id`` the connection
    (``asyncapi_default``); ``password``, ``extra`` and other fields are those of the connection. It returns the
    :class:`~.replay.ReplayServer`. At its end the test fails if a request wasn't expected, or (unless
    ``allow_unused=True``) if a recorded one wasn't sent.
    """
    with ExitStack() as stack, testing.skip_waits():
        checks: list[tuple[ReplayServer, bool]] = []

        def replay(
            file: str | Path, conn_id: str = "asyncapi_default", *, allow_unused: bool = False, **fields: Any
        ) -> ReplayServer:
            server = stack.enter_context(testing.ReplayServer(testing.Recording.read(request.path.parent / file)))
            monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", server.make_connection(**fields))
            checks.append((server, allow_unused))
            return server

        yield replay
        for server, allow_unused in checks:
            server.check(allow_unused=allow_unused)


@pytest.fixture
def asyncapi_fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., FakeJobApi]]:
    """
    Run a scripted job API for the tasks that use a connection.

    Call it with the arguments of :class:`~.fake_api.FakeJobApi`, and as ``conn_id`` the connection
    (``asyncapi_default``).
    """
    with ExitStack() as stack, testing.skip_waits():

        def start(*arguments: Any, conn_id: str = "asyncapi_default", **options: Any) -> FakeJobApi:
            server = stack.enter_context(testing.FakeJobApi(*arguments, **options))
            monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", server.make_connection())
            return server

        yield start
