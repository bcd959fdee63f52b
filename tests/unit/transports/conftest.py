from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.certificates import Authority
from tests.loopback import Behaviour, Server
from tests.unit.transports.driving import AIOHTTP_WAYS, DRIVERS


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=AIOHTTP_WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """One of both ways of the driver in the triggerer."""
    return str(request.param)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start servers, and end them with the test."""
    servers: list[Server] = []

    def start(*script: Behaviour, **given: Any) -> Server:
        servers.append(Server(**given))
        servers[-1].respond_with(*script)
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("trusted"), "trusted")


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.fixture(autouse=True)
def _nothing_is_left_open() -> Iterator[None]:
    """Let what wasn't closed complain in the test that opened it."""
    # Only what the test has made is looked through; all of Airflow would take longer than most tests.
    gc.freeze()
    yield
    gc.collect()
