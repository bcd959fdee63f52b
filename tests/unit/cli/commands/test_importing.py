"""`import` writes profiles, and prints what is needed to use them."""

from __future__ import annotations

import json

import pytest

from airflow_provider_asyncapi.core.profiles.lint import find_mistakes
from tests.unit.importing.airbyte.manifests import make_manifest, make_stream


@pytest.fixture
def manifest(tmp_path):
    file = tmp_path / "manifest.json"
    body = {"from": "{{ stream_interval['start_time'] }}"}
    stream = make_stream()
    stream["retriever"]["creation_requester"]["request_body_json"] = body
    file.write_text(json.dumps(make_manifest(stream, {**make_stream(), "name": "Items", "transformations": [{}]})))
    return file


def test_a_profile_is_written_for_each_stream(shell, manifest, tmp_path):
    done = shell("import", "airbyte", manifest, "--output", tmp_path / "new" / "folder")
    files = sorted((tmp_path / "new" / "folder").iterdir())
    assert (done.code, [file.name for file in files]) == (0, ["items.toml", "orders.toml"])
    assert [find_mistakes(file.read_text()) for file in files] == [[], []]
    _, connection, variable, *_ = done.out.splitlines()
    assert json.loads(connection.removeprefix("  connection: "))["extra"] == {"profile": "orders"}
    assert variable == "  variable start_time: start of the interval"
    assert done.out.splitlines()[-2].startswith("  not carried over: streams[1].transformations")
    assert done.out.splitlines()[-1] == "2 profiles written"


def test_one_stream_of_standard_input(shell, manifest, tmp_path):
    done = shell("import", "airbyte", "-", "Items", "--output", tmp_path, "--json", stdin=manifest.read_bytes())
    assert done.json["profiles"][0]["file"] == str(tmp_path / "items.toml")
    assert done.json["profiles"][0]["not_carried_over"][0]["place"] == "streams[1].transformations"
    assert (tmp_path / "items.toml").read_text().startswith("# Imported from standard input, stream Items.")


def test_a_profile_that_exists_is_kept(shell, manifest, tmp_path):
    (tmp_path / "orders.toml").write_text("mine")
    done = shell("import", "airbyte", manifest, "--output", tmp_path)
    assert (done.code, "orders.toml: exists already; use --overwrite" in done.err) == (2, True)
    assert not (tmp_path / "items.toml").exists()
    assert shell("import", "airbyte", manifest, "--output", tmp_path, "--overwrite").code == 0
    assert (tmp_path / "orders.toml").read_text() != "mine"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: b: c", "manifest.yaml:1: isn't YAML or JSON"),
        ("openapi: 3.1.0", "manifest.yaml: isn't an Airbyte manifest"),
    ],
)
def test_another_document_is_refused(shell, tmp_path, content, message):
    file = tmp_path / "manifest.yaml"
    file.write_text(content)
    done = shell("import", "airbyte", file)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_files_that_cant_be_read_or_written_are_named(shell, manifest, tmp_path):
    assert "missing.yaml: can't be read: No such file" in shell("import", "airbyte", tmp_path / "missing.yaml").err
    done = shell("import", "airbyte", manifest, "--output", manifest)
    assert (done.code, "can't be written" in done.err) == (2, True)


OPENAPI = {
    "openapi": "3.0.3",
    "servers": [{"url": "https://api.example.com"}],
    "paths": {"/jobs": {"post": {"operationId": "start", "responses": {"202": {"headers": {"Location": {}}}}}}},
}


def test_operations_that_may_start_jobs_are_listed_and_the_chosen_one_is_written(shell, tmp_path):
    file = tmp_path / "api.json"
    file.write_text(json.dumps(OPENAPI))
    reasons = ["202 Accepted", "202 with the header Location"]
    done = shell("import", "openapi", file)
    assert (done.code, done.out) == (0, f"start  POST /jobs  {', '.join(reasons)}\n")
    listed = shell("import", "openapi", file, "--json").json
    assert listed == [{"operation": "start", "method": "POST", "path": "/jobs", "reasons": reasons}]
    assert shell("import", "openapi", file, "post /jobs", "--output", tmp_path).code == 0
    assert 'extends = "http_202"' in (tmp_path / "start.toml").read_text()


def test_a_document_without_such_operations_is_exit_code_1(shell, tmp_path):
    file = tmp_path / "api.json"
    file.write_text(json.dumps({**OPENAPI, "paths": {}}))
    done = shell("import", "openapi", file)
    assert (done.code, done.out.startswith("no operation is described as asynchronous")) == (1, True)
    assert shell("import", "openapi", file, "--json").json == []


def make_workflow(name: str, summary: str = "") -> dict[str, object]:
    return {"workflowId": name, "summary": summary, "steps": [{"stepId": "one", "operationId": "start"}]}


@pytest.fixture
def flow(tmp_path):
    """An Arazzo document beside the OpenAPI document that it names."""
    (tmp_path / "api.json").write_text(json.dumps(OPENAPI))
    file = tmp_path / "flow.json"
    source = {"name": "api", "url": "./api.json", "type": "openapi"}
    workflows = [make_workflow("export", "Export rows"), make_workflow("import")]
    file.write_text(json.dumps({"arazzo": "1.0.1", "sourceDescriptions": [source], "workflows": workflows}))
    return file


def test_workflows_are_listed_and_the_chosen_one_is_written(shell, flow, tmp_path):
    done = shell("import", "arazzo", flow)
    assert (done.code, done.out) == (0, "export  Export rows\nimport\n")
    assert shell("import", "arazzo", flow, "--json").json[0] == {"workflow": "export", "summary": "Export rows"}
    done = shell("import", "arazzo", flow, "export", "--success", "DONE", "--output", tmp_path)
    assert done.code == 0
    assert 'endpoint = "/jobs"' in (tmp_path / "export.toml").read_text()


def test_sources_that_are_elsewhere_are_given(shell, flow, tmp_path):
    (tmp_path / "api.json").rename(tmp_path / "other.json")
    done = shell("import", "arazzo", flow, "export", "--source", f"api={tmp_path / 'other.json'}", "--output", tmp_path)
    assert done.code == 0
    assert 'endpoint = "/jobs"' in (tmp_path / "export.toml").read_text()
    done = shell("import", "arazzo", flow, "export", "--source", "apis=x.json")
    assert (done.code, done.err) == (2, "--source apis: isn't one of the sources of the document: api\n")
