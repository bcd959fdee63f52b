"""What is told of concurrent requests is complete, and in order."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_asyncapi.cli.narration import Exchange, Narrator
from airflow_provider_asyncapi.cli.output import Output
from airflow_provider_asyncapi.core.http.messages import Request, Response
from tests.unit.core.flow_runner import make_api

THREADS, EACH = 4, 200


@pytest.fixture
def _frequent_switches() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("_frequent_switches")
def test_exchanges_of_several_threads_are_told_one_after_another() -> None:
    stream = io.StringIO()
    narrator = Narrator(Output(stream), make_api(), {}, show_headers=False)
    narrator.recorded = []

    def add(thread: int) -> None:
        for number in range(EACH):
            name = f"{thread}-{number}"
            request, response = Request("GET", f"https://h/{name}"), Response(200, body=name.encode())
            narrator.add_exchange(Exchange(request, response, None, 0.0, is_login=False))

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(add, range(THREADS)))
    narrator.flush()
    names = [exchange.request.url.removeprefix("https://h/") for exchange in narrator.recorded]
    assert sorted(names) == sorted(f"{thread}-{number}" for thread in range(THREADS) for number in range(EACH))
    assert [each["response"]["body"] for each in narrator.exchanges] == names
    lines = stream.getvalue().splitlines()
    assert [line.strip() for line in lines[::3]] == [f"→ GET https://h/{name}" for name in names]
    assert [line.strip() for line in lines[2::3]] == names
