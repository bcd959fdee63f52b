from __future__ import annotations

import resource

from airflow_provider_asyncapi.transports.aiohttp_connector import max_connections
from tests.unit.transports.driving import make_api


def test_half_of_the_files_that_the_process_may_open_are_for_connections(monkeypatch):
    for files, most in [(1024, 512), (1, 1), (resource.RLIM_INFINITY, 1_000_000)]:
        monkeypatch.setattr(resource, "getrlimit", lambda _, files=files: (files, files))
        assert max_connections(make_api("http://127.0.0.1").settings) == most
