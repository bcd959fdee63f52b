"""A server whose clock stands still until a test moves it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

ROOT = str(Path(__file__).parents[3])
if ROOT not in sys.path:
    # The demo is not installed with the package: it is found beside the tests.
    sys.path.insert(0, ROOT)

from demo.server import DemoServer  # noqa: E402 - found only now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

JOB_SECONDS = 6.0


class Clock:
    """Return a time that only the test changes."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds

    def finish(self) -> None:
        """Let every job that can end, end."""
        self.advance(JOB_SECONDS)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def options() -> dict[str, Any]:
    """More arguments of the server, for a test to replace."""
    return {}


@pytest.fixture
def server(clock: Clock, options: dict[str, Any]) -> Iterator[DemoServer]:
    with DemoServer(job_seconds=JOB_SECONDS, clock=clock, **{"rate_limit_every": 0, **options}) as server:
        yield server


@pytest.fixture
def call(server: DemoServer) -> Iterator[Callable[..., requests.Response]]:
    """Send one request to a path of the server, or to a URL."""
    with requests.Session() as session:
        session.trust_env = False

        def send(method: str, path: str, **kwargs: Any) -> requests.Response:
            kwargs.setdefault("allow_redirects", False)
            url = path if path.startswith("http") else server.url + path
            return session.request(method, url, timeout=10, **kwargs)

        yield send
