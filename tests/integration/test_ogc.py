"""The profile ``ogc/processes`` with pygeoapi, a real server of the standard."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from demo.airflow.configuration import free_port

pytestmark = pytest.mark.integration

SERVE = """
import sys
from werkzeug.serving import run_simple
from pygeoapi.flask_app import APP
run_simple("127.0.0.1", int(sys.argv[1]), APP, threaded=True)
"""
CONTACT = ("name", "position", "address", "city", "stateorprovince", "postalcode", "country", "phone", "fax", "role")


def make_config(folder: Path, url: str) -> dict[str, Any]:
    """Return the configuration of a server with one process, which says hello."""
    texts = dict.fromkeys(CONTACT, "x")
    of_example = {"name": "x", "url": "http://example.org"}
    return {
        "server": {
            "bind": {"host": "127.0.0.1", "port": 80},
            "url": url,
            "mimetype": "application/json; charset=UTF-8",
            "encoding": "utf-8",
            "languages": ["en-US"],
            "limits": {"default_items": 20, "max_items": 50},
            "map": {"url": "https://tile.example.org/{z}/{x}/{y}.png", "attribution": "none"},
            "manager": {"name": "TinyDB", "connection": str(folder / "jobs.db"), "output_dir": str(folder)},
        },
        "logging": {"level": "ERROR"},
        "metadata": {
            "identification": {
                "title": "x",
                "description": "x",
                "keywords": ["x"],
                "keywords_type": "theme",
                "terms_of_service": "x",
                "url": "http://example.org",
            },
            "license": of_example,
            "provider": of_example,
            "contact": {**texts, "email": "a@example.org", "url": "http://example.org"},
        },
        "resources": {"hello-world": {"type": "process", "processor": {"name": "HelloWorld"}}},
    }


@pytest.fixture(scope="module")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("ogc"), free_port()
    url = f"http://127.0.0.1:{port}"
    config, openapi = folder / "config.yml", folder / "openapi.yml"
    config.write_text(yaml.safe_dump(make_config(folder, url)))
    env = {**os.environ, "PYGEOAPI_CONFIG": str(config), "PYGEOAPI_OPENAPI": str(openapi)}
    generate = [sys.executable, "-c", "from pygeoapi import cli; cli()", "openapi", "generate", str(config)]
    subprocess.run([*generate, "--output-file", str(openapi)], env=env, check=True, capture_output=True)
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([sys.executable, "-c", SERVE, str(port)], env=env, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not is_up(f"{url}/processes?f=json"):
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "pygeoapi doesn't start"
            time.sleep(0.2)
        yield url
    finally:
        server.terminate()
        server.wait(10)


def is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (urllib.error.URLError, ConnectionError):
        return False


@pytest.fixture(params=["on a worker", "on a loop"])
def call(request: pytest.FixtureRequest, server_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Call a method of the hook, or its asynchronous twin."""
    connection = {"conn_type": "asyncapi", "host": server_url, "extra": {"profile": "ogc/processes"}}
    monkeypatch.setenv("AIRFLOW_CONN_OGC", json.dumps(connection))

    def on_worker(name: str, *args: Any, **given: Any) -> Any:
        with AsyncApiHook("ogc") as hook:
            return getattr(hook, name)(*args, **given)

    def on_loop(name: str, *args: Any, **given: Any) -> Any:
        return asyncio.run(getattr(AsyncApiHook("ogc"), f"a{name}")(*args, **given))

    return on_worker if request.param == "on a worker" else on_loop


def submit(call: Callable[..., Any], **inputs: str) -> Any:
    return call("submit_job", variables={"process": "hello-world", "inputs": inputs})


def test_a_process_is_executed_and_its_outputs_are_fetched(call: Callable[..., Any]) -> None:
    job = call("wait_for_job", submit(call, name="Ann", message="Good day."), poke_interval=0.2)
    assert (job.status, job.progress) == ("successful", 1.0)
    assert call("fetch_result", job) == {"outputs": [{"id": "echo", "value": "Hello Ann! Good day."}]}


def test_a_process_that_fails_is_an_error_with_the_message_of_the_server(call: Callable[..., Any]) -> None:
    with pytest.raises(exceptions.AsyncApiJobFailed, match="Cannot process without a name"):
        call("wait_for_job", submit(call), poke_interval=0.2)


def test_a_job_is_dismissed(call: Callable[..., Any]) -> None:
    job = submit(call, name="Ann")
    assert call("cancel_job", job) is True
    with pytest.raises(exceptions.AsyncApiJobNotFound):
        call("get_job", job)


def test_an_unknown_process_is_an_error_that_says_so(call: Callable[..., Any]) -> None:
    with pytest.raises(exceptions.AsyncApiRejected, match="identifier not found"):
        call("submit_job", variables={"process": "no-such-process"})
