"""What the documentation shows works: each recipe is run, each other snippet is read by the real loader."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import threading
import tomllib
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_provider_asyncapi.connections.reading import read_connection
from airflow_provider_asyncapi.core.effects import Log
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.profiles.schema import check_profile
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from tests.docs.receiver import receiving
from tests.docs.running import Run, load, serialized
from tests.docs.servers import SERVERS, RunningServer
from tests.docs.snippets import ROOT, Snippet, snippets
from tests.unit.vendors.keys import fill_in_key

PYTHON = [each for each in snippets("python") if each.key not in ("not run", "file", "written")]
RECIPES = [each for each in PYTHON if each.key == "server"]
BUCKET = "s3://my-bucket/"
#: The pause before the next job, which would really pass: without a worker, Airflow's own trigger waits for it.
RESUBMIT_DELAY = re.compile(r"\bresubmit_delay=\d+")

pytestmark = pytest.mark.usefixtures("hurry", "apart")


def connection_for(snippet: Snippet, url: str) -> dict[str, Any]:
    """Return the connection below the same heading, or the default one, with the server's address."""
    shown = [
        json.loads(each.text)
        for each in snippets("json")
        if (each.file, each.heading) == (snippet.file, snippet.heading) and '"conn_type"' in each.text
    ]
    given = shown[0] if shown else SERVERS[snippet.value].connection
    return {"conn_type": "asyncapi", **given, "host": url}


@pytest.mark.parametrize("snippet", PYTHON, ids=str)
def test_a_snippet_is_a_dag_file(snippet, tmp_path):
    dags = load(snippet.dag_file, tmp_path)
    assert dags, "the snippet makes no DAG"
    for dag in dags:
        assert dag.tasks
        assert serialized(dag)["dag"]["dag_id"] == dag.dag_id


@pytest.mark.parametrize("deferred", [False, True], ids=["poke", "deferred"])
@pytest.mark.parametrize("snippet", RECIPES, ids=lambda each: f"{each.value}-{each}")
def test_a_recipe_does_what_it_says(snippet, deferred, tmp_path, monkeypatch):
    run_recipe(snippet.dag_file, snippet, snippet.value, deferred, tmp_path, monkeypatch)


@pytest.mark.parametrize("deferred", [False, True], ids=["poke", "deferred"])
@pytest.mark.parametrize(
    ("recipe", "other"), [("fast", "slow"), ("http_202", "http_202_same_place")], ids=lambda name: name
)
def test_a_recipe_works_with_the_other_answer_too(recipe, other, deferred, tmp_path, monkeypatch):
    snippet = next(each for each in RECIPES if each.value == recipe)
    run_recipe(snippet.dag_file, snippet, other, deferred, tmp_path, monkeypatch)


@pytest.mark.parametrize("deferred", [False, True], ids=["poke", "deferred"])
def test_the_readme_s_own_server_connection_and_dag_work_together(deferred, tmp_path, monkeypatch):
    (server_file,) = [each for each in snippets("python") if (each.key, each.value) == ("file", "vendor.py")]
    (connection,) = [each for each in snippets("json") if each.file == "README.md"]
    _, dag_file = [each for each in RECIPES if each.file == "README.md"]
    given = json.loads(connection.text)
    # The address that the server announces is that of the connection.
    address = re.search(r'ThreadingHTTPServer\(\("([\d.]+)", (\d+)\), Vendor\)', server_file.text)
    assert address is not None
    host, port = address.groups()
    assert given["host"] == f"http://{host}:{port}"
    module: dict[str, Any] = {"__name__": "vendor"}
    exec(compile(server_file.text, "vendor.py", "exec"), module)
    monkeypatch.setattr(module["Vendor"], "log_message", lambda *_: None)
    with ThreadingHTTPServer((host, 0), module["Vendor"]) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            url = f"http://{host}:{server.server_port}"
            monkeypatch.setenv("AIRFLOW_CONN_VENDOR", json.dumps({**given, "host": url}))
            (dag,) = load(dag_file.dag_file, tmp_path)
            assert Run(dag, deferred=deferred).all().last() == [{"id": 1, "total": 20}, {"id": 2, "total": 35}]
        finally:
            server.shutdown()
            thread.join()
    assert module["Vendor"].polls == 4


@pytest.mark.parametrize("snippet", [each for each in RECIPES if each.value.startswith("mapped")], ids=str)
def test_many_jobs_log_no_warning(snippet, tmp_path, monkeypatch):
    logged = []
    monkeypatch.setattr(AsyncApiHook, "log_events", lambda _self, event: logged.append(event))
    run_recipe(snippet.dag_file, snippet, snippet.value, False, tmp_path, monkeypatch)
    lines = [event for event in logged if isinstance(event, Log)]
    assert any("has status working" in line.message for line in lines)
    assert [line.message for line in lines if line.level >= logging.WARNING] == []


def run_recipe(
    source: str, snippet: Snippet, name: str, deferred: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = SERVERS[name]
    bucket = tmp_path / "bucket"
    for path, content in spec.files.items():
        (bucket / path).parent.mkdir(parents=True)
        (bucket / path).write_bytes(content)
    source = RESUBMIT_DELAY.sub("resubmit_delay=0.001", source.replace(BUCKET, f"{bucket.as_uri()}/"))
    (dag,) = load(source, tmp_path)
    with contextlib.ExitStack() as running:
        server = running.enter_context(RunningServer(spec))
        monkeypatch.setenv("AIRFLOW_CONN_VENDOR", json.dumps(connection_for(snippet, server.state.url)))
        run = Run(dag, deferred=deferred)
        if spec.calls_back:
            monkeypatch.setenv(
                "AIRFLOW__ASYNCAPI__CALLBACK_BASE_URL", running.enter_context(receiving(run, monkeypatch))
            )
        if isinstance(spec.expected, type):
            with pytest.raises(spec.expected):
                run.all()
        else:
            run.all()
            assert files_of(run.last(), bucket) == spec.expected
    assert server.refused == []
    assert spec.counted.items() <= server.state.counts.items()
    for task_id, state in spec.states.items():
        assert run.states[task_id, -1] == state


def files_of(result: Any, bucket: Path) -> Any:
    """Return the content of the files in a manifest; other results unchanged."""
    if not isinstance(result, dict) or "paths" not in result:
        return result
    return {str(Path(path).relative_to(bucket)): Path(path).read_text() for path in result["paths"]}


@pytest.mark.parametrize("snippet", [each for each in snippets("json") if each.key != "file"], ids=str)
def test_a_json_snippet_is_a_connection_or_a_job_handle(snippet):
    given = json.loads(snippet.text)
    if "conn_type" in given:
        # Nobody needs a real private key on a page, but the connection has to be valid with one.
        assert read_connection(Connection.from_json(fill_in_key(snippet.text))).settings.base_url
    else:
        assert JobHandle.parse(given).dump() == given


@pytest.mark.parametrize("snippet", [each for each in snippets("toml") if each.key != "file"], ids=str)
def test_a_toml_snippet_is_a_profile(snippet):
    given = tomllib.loads(snippet.text)
    if "project" not in given:
        assert check_profile("snippet", given)


def test_every_server_has_its_recipe():
    described = {each.value for each in RECIPES}
    assert described | {"slow", "http_202_same_place"} == set(SERVERS)


def test_the_cookbook_lists_all_its_recipes():
    text = (ROOT / "docs" / "cookbook.md").read_text(encoding="utf-8")
    anchors = {anchor(each.heading) for each in RECIPES if each.file == "docs/cookbook.md"}
    missing = {each for each in anchors if f"](#{each})" not in text}
    assert not missing


def anchor(heading: str) -> str:
    """Return the anchor of a heading on the usual code hosts."""
    kept = "".join(letter for letter in heading.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")
