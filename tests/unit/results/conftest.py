"""What tests of fetching have in common."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.results.archives import ArchiveLimits, unpack
from airflow_provider_asyncapi.results.destination import CompleteFile
from airflow_provider_asyncapi.results.fetching import FetchTask, fetch
from airflow_provider_asyncapi.results.limits import ResultLimits
from airflow_provider_asyncapi.results.tar_archives import TAR
from airflow_provider_asyncapi.results.zip_archives import ZIP
from tests.loopback import Server
from tests.unit.results.stores import fresh_store
from tests.unit.results.transfers import MIB, everything_in


@pytest.fixture
def server():
    running = Server()
    yield running
    running.close()


@pytest.fixture
def fetched(server, monkeypatch):
    """Fetch, without waiting between tries."""
    connection = {"conn_type": "asyncapi", "host": server.url, "login": "me", "password": "hunter22"}
    connection["extra"] = {"auth": "basic"}
    monkeypatch.setenv("AIRFLOW_CONN_API", json.dumps(connection))
    hook = AsyncApiHook("api")
    hook.get_conn()._sleep = lambda _: None

    def fetching(
        *script: Any, destination: str | None = None, handle: JobHandle | None = None, limits: Any = None, **given: Any
    ) -> Any:
        server.respond_with(*script)
        plan = FetchPlan.parse({"endpoint": "/jobs/{identifier}", **given})
        bounds = {"max_bytes": 10 * MIB, "max_members": 100, "max_ratio": 200, "max_xcom_bytes": 1000, **(limits or {})}
        return fetch(hook, FetchTask(plan, handle or JobHandle("7"), destination, ResultLimits(**bounds)))

    yield fetching
    hook.close()


@pytest.fixture(params=["memory", "s3"])
def scheme(request):
    return request.param


@pytest.fixture
def store(scheme, tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    yield fresh_store(scheme)
    assert everything_in(tmp_path / "tmp") == []


@pytest.fixture(params=["local", "s3", "memory"])
def folder(request, tmp_path):
    """Return a folder, and a function that returns its content."""
    if request.param == "local":
        root = tmp_path / "a"
        root.mkdir()
        return f"{root}/", lambda: {
            str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
        }
    store = fresh_store(request.param)
    return f"{request.param}://bucket/a/", lambda: {
        name.removeprefix("/").removeprefix("bucket/a/"): content for name, content in store.contents().items()
    }


@pytest.fixture
def unpacked(tmp_path):
    def unpacking(content, password=None, **limits):
        path = tmp_path / "archive.zip"
        path.write_bytes(content)
        into = tmp_path / "into"
        into.mkdir(exist_ok=True)
        limits = {"max_bytes": 100 * MIB, "max_members": 100, "max_ratio": 200, **limits}
        reader = ZIP if ZIP.accepts(path) else TAR
        return unpack(CompleteFile(path, len(content), ""), into, ArchiveLimits(**limits), reader, password)

    return unpacking
