"""A workflow of an Arazzo document becomes a draft of a profile, and what it doesn't say is marked."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_asyncapi.core.profiles.lint import find_mistakes
from airflow_provider_asyncapi.importing.arazzo import import_workflow
from airflow_provider_asyncapi.importing.documents import DocumentError
from airflow_provider_asyncapi.importing.drafts import Draft
from airflow_provider_asyncapi.importing.openapi.operations import Document

STATES = ["PENDING", "DONE", "FAILED"]


def get(name: str, **schema: Any) -> dict[str, Any]:
    response = {"content": {"application/json": {"schema": {"properties": schema}}}}
    return {"get": {"operationId": name, "responses": {"200": response}}}


OPENAPI = {
    "openapi": "3.0.3",
    "servers": [{"url": "https://api.example.com"}],
    "paths": {
        "/jobs": {"post": {"operationId": "start", "responses": {"201": {}}}},
        "/jobs/{job}": get("read", state={"enum": STATES}),
        "/jobs/{job}/rows": get("rows"),
        "/me": get("me"),
    },
}
SOURCES = {"api": Document(OPENAPI, "api.yaml")}


def path(value: str) -> list[dict[str, Any]]:
    return [{"name": "job", "in": "path", "value": value}]


SUBMIT = {
    "stepId": "submit",
    "operationId": "start",
    "requestBody": {"payload": {"table": "$inputs.table", "note": "for {$inputs.user}", "n": 1}},
    "parameters": [{"reference": "$components.parameters.org"}, {"name": "dry", "in": "query", "value": False}],
    "outputs": {"job": "$response.body#/job/id", "shard": "$response.header.X-Shard"},
}
POLL = {"stepId": "poll", "operationId": "read", "parameters": path("$steps.submit.outputs.job")}
RESULT = {"stepId": "result", "operationId": "rows", "parameters": path("$steps.submit.outputs.job")}


def make_document(*steps: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {
        "arazzo": "1.0.1",
        "sourceDescriptions": [{"name": "api", "url": "./api.yaml", "type": "openapi"}],
        "components": {"parameters": {"org": {"name": "X-Org", "in": "header", "value": "$inputs.org"}}},
        "workflows": [{"workflowId": "export", "summary": "Export rows", "steps": list(steps)}],
        **keys,
    }


def import_one(*steps: dict[str, Any], sources: Any = None, **given: Any) -> Draft:
    """Return the draft of the only workflow; `profiles check` has to accept it."""
    known = SOURCES if sources is None else sources
    draft = import_workflow(make_document(*steps), "flow.yaml", "export", sources=known, **given)
    assert find_mistakes(draft.format()) == []
    return draft


def test_steps_that_submit_poll_and_fetch_are_the_tables_of_a_profile():
    draft = import_one(SUBMIT, POLL, RESULT)
    assert draft.profile == {
        "about": {
            "title": "Export rows",
            "variables": {"org": "input org", "table": "input table", "user": "input user"},
        },
        "connection": {"auth": "none"},
        "submit": {
            "headers": {"X-Org": "{org}"},
            "query_params": {"dry": False},
            "endpoint": "/jobs",
            "json": {"table": "{table}", "note": "for {user}", "n": 1},
            "identifier": "job.id",
        },
        "status": {
            "endpoint": "/jobs/{identifier}",
            # The document has no meanings: these are assumed by the names in the OpenAPI document.
            "completion_key": "state",
            "completion_value": ["DONE"],
            "failure_value": ["FAILED"],
            "running_value": ["PENDING"],
        },
        "fetch": {"endpoint": "/jobs/{identifier}/rows"},
    }
    assert draft.connection["host"] == "https://api.example.com"
    assert draft.gaps == []


@pytest.mark.parametrize(
    "condition",
    [
        "$response.body#/data/state == 'READY'",
        '$response.body.data.state == "READY"',
        "$response.body#/data/state == READY",
        "$[?(@.data.state=='READY')]",
        "$[?@.data.state == 'READY']",
    ],
)
def test_criteria_about_the_body_are_statuses(condition):
    poll = {**POLL, "successCriteria": [{"condition": "$statusCode == 200"}, {"condition": condition}]}
    failure = {"type": "end", "criteria": [{"condition": "$response.body#/data/state == 'BROKEN'"}]}
    status = import_one(SUBMIT, {**poll, "onFailure": [failure]}).profile["status"]
    assert (status["completion_key"], status["completion_value"]) == ("data.state", ["READY"])
    assert status["failure_value"] == ["BROKEN"]


def test_other_conditions_are_named():
    draft = import_one(SUBMIT, {**POLL, "successCriteria": [{"condition": "$response.body#/n > 3"}]})
    assert "the condition $response.body#/n > 3; see `rules`" in str(draft.gaps)


def test_retries_and_timeouts_are_times_of_the_wait():
    retry = {"name": "again", "type": "retry", "retryAfter": 5, "retryLimit": 9}
    status = import_one(SUBMIT, {**POLL, "onFailure": [retry], "timeout": 90_000}).profile["status"]
    assert (status["poke_interval"], status["max_iterations"], status["timeout"]) == (5, 10, 90)


def test_further_outputs_are_captured():
    shard = {"name": "shard", "in": "query", "value": "$steps.submit.outputs.shard"}
    poll = {**POLL, "parameters": [*POLL["parameters"], shard], "outputs": {"file": "$response.body#/file"}}
    result = {**RESULT, "parameters": path("$steps.poll.outputs.file")}
    profile = import_one(SUBMIT, poll, result).profile
    assert profile["submit"]["capture"] == {"submit_shard": "header:X-Shard"}
    assert profile["status"]["query_params"] == {"shard": "{submit_shard}"}
    assert profile["status"]["capture"] == {"status_file": "file"}
    assert profile["fetch"]["endpoint"] == "/jobs/{status_file}/rows"


def test_an_output_that_doesnt_exist_is_a_variable_and_named():
    draft = import_one(SUBMIT, {**POLL, "parameters": path("$steps.submit.outputs.missing")})
    assert draft.profile["status"]["endpoint"] == "/jobs/{missing}"
    assert "the value of $steps.submit.outputs.missing; set the variable missing" in str(draft.gaps)
    assert "# identifier: not set: no later step takes a value of its response" in draft.format()


def test_without_the_openapi_document_addresses_and_statuses_are_marked():
    draft = import_one(SUBMIT, POLL, RESULT, sources={})
    text = draft.format()
    assert text.count("# endpoint: not set: the document of") == 3
    assert "# completion_value: not set: the statuses that mean success; set them with --success" in text
    assert draft.profile["submit"]["identifier"] == "job.id"
    draft = import_one(SUBMIT, POLL, RESULT, sources={}, success=["DONE"], failure=["FAILED"])
    assert draft.profile["status"] == {"completion_value": ["DONE"], "failure_value": ["FAILED"]}
    assert "mean success" not in draft.format()


def test_a_step_that_receives_a_message_is_a_callback():
    receive = {"stepId": "wait", "action": "receive", "operationId": "hook", "timeout": 60_000}
    draft = import_one(SUBMIT, receive)
    assert draft.profile["status"] == {"callback": True, "timeout": 60}
    assert draft.profile["submit"]["callback"] is True
    assert "where the submit names {callback_url}" in str(draft.gaps)


def test_other_steps_and_missing_ones_are_named():
    first = {"stepId": "who", "operationId": "me"}
    draft = import_one(first, SUBMIT, POLL, RESULT, {**first, "stepId": "again"})
    assert [gap.place for gap in draft.gaps] == ["step who", "step again"]
    draft = import_one(SUBMIT)
    assert "# endpoint: not set: no step is the request of [status]" in draft.format()


def test_operations_are_named_in_several_ways():
    for called in (
        {"operationId": "$sourceDescriptions.api.start"},
        {"operationPath": "{$sourceDescriptions.api.url}#/paths/~1jobs/post"},
    ):
        step = {key: value for key, value in SUBMIT.items() if key != "operationId"} | called
        assert import_one(step, POLL).profile["submit"]["endpoint"] == "/jobs"
    with pytest.raises(DocumentError, match=r"api\.yaml: has no operation 'begin'"):
        import_one({**SUBMIT, "operationId": "begin"})


def test_bodies_that_arent_json_are_data():
    form = {"contentType": "application/x-www-form-urlencoded", "payload": {"a": "$inputs.a"}}
    assert import_one({**SUBMIT, "requestBody": form}, POLL).profile["submit"]["data"] == {"a": "{a}"}


def test_bodies_are_also_written_as_text_or_as_parameters():
    step = {**SUBMIT, "requestBody": {"payload": '{"table": "{$inputs.table}", "n": [1]}'}}
    assert import_one(step, POLL).profile["submit"]["json"] == {"table": "{table}", "n": [1]}
    step = {**SUBMIT, "requestBody": {"payload": "{$inputs.whole}"}}
    assert import_one(step, POLL).profile["submit"]["json"] == "{whole}"
    step = {**SUBMIT, "requestBody": {}, "parameters": [{"name": "a", "in": "body", "value": "$inputs.a"}]}
    assert import_one(step, POLL).profile["submit"]["json"] == {"a": "{a}"}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"openapi": "3.0.0"}, "isn't an Arazzo 1 document with workflows; it is an OpenAPI document"),
        ({"arazzo": "1.0.0"}, "isn't an Arazzo 1 document with workflows"),
        (make_document(workflows=[{"workflowId": "exports"}]), "has no workflow 'export'; there is exports"),
        (make_document({**SUBMIT, "parameters": [{"reference": "$components.parameters.x"}]}), "there is no 'x'"),
    ],
)
def test_a_document_that_cant_be_used_is_refused_with_the_reason(document, message):
    with pytest.raises(DocumentError, match=message):
        import_workflow(document, "flow.yaml", "export", sources=SOURCES)
