"""An operation of an OpenAPI document becomes a profile; what the document lacks is assumed and marked, or named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_asyncapi.connections.profiles import load_profile
from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.profiles.lint import find_mistakes
from airflow_provider_asyncapi.core.profiles.merging import merge_profiles
from airflow_provider_asyncapi.importing.documents import DocumentError, parse_document
from airflow_provider_asyncapi.importing.drafts import Draft
from airflow_provider_asyncapi.importing.expressions import select_expression
from airflow_provider_asyncapi.importing.openapi.operations import Document, find_candidates
from airflow_provider_asyncapi.importing.openapi.profile import import_operation
from airflow_provider_asyncapi.importing.statuses import guess_meanings

JOB = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "status": {"type": "string", "enum": ["queued", "running", "succeeded", "failed", "cancelling", "cancelled"]},
    },
}


def answer(code: str = "200", schema: Any = JOB, **keys: Any) -> dict[str, Any]:
    return {code: {"description": "", "content": {"application/json": {"schema": schema}}, **keys}}


def body(schema: Any, kind: str = "application/json") -> dict[str, Any]:
    return {"required": True, "content": {kind: {"schema": schema}}}


def make_document(paths: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"openapi": "3.1.0", "servers": [{"url": "https://api.example.com/v1/"}], "paths": paths, **keys}


def import_one(paths: dict[str, Any], chosen: str = "POST /jobs", **keys: Any) -> Draft:
    """Return the profile of an operation; `profiles check` has to accept it, and the connection has to be valid."""
    root = parse_document(json.dumps(make_document(paths, **keys)).encode(), "api.json")
    draft = import_operation(root, "api.json", chosen)
    assert find_mistakes(draft.format()) == []
    check_connection(draft)
    return draft


def check_connection(draft: Draft) -> None:
    base = load_profile(draft.extends) if draft.extends else {}
    merged = merge_profiles(base, draft.profile).get("connection", {})
    filled = json.loads(json.dumps(draft.connection).replace("<", "").replace(">", ""))
    extra = {key: value for key, value in filled.pop("extra").items() if key != "profile"}
    fields = {key: value for key, value in filled.items() if key != "conn_type"}
    ConnectionSettings.parse({**merged, **fields, **extra})


REQUIRED = {
    "type": "object",
    "required": ["table", "format", "options"],
    "properties": {
        "table": {"type": "string"},
        "format": {"enum": ["csv"]},
        "options": {
            "allOf": [{"required": ["size"], "properties": {"size": {"type": "integer"}, "more": {"type": "string"}}}]
        },
        "comment": {"type": "string"},
    },
}
PATHS = {
    "/jobs": {
        "parameters": [{"name": "api-version", "in": "query", "required": True, "schema": {"default": "2024"}}],
        "post": {
            "operationId": "startJob",
            "summary": "Start an export",
            "externalDocs": {"url": "https://docs.example.com"},
            "requestBody": body(REQUIRED),
            "responses": answer("202"),
        },
    },
    "/jobs/{jobId}": {"get": {"operationId": "getJob", "responses": answer()}},
    "/jobs/{jobId}/results": {"get": {"responses": answer(schema={"type": "array"})}},
}


def test_a_post_and_the_get_of_one_item_are_submit_and_status():
    draft = import_one(PATHS, "startJob")
    assert draft.profile == {
        "about": {
            "title": "Start an export",
            "documentation": "https://docs.example.com",
            "variables": {"table": "string", "size": "integer"},
        },
        "connection": {"auth": "none"},
        "submit": {
            "endpoint": "/jobs",
            "query_params": {"api-version": "2024"},
            "json": {"table": "{table}", "format": "csv", "options": {"size": "{size}"}},
            "identifier": "id",
        },
        "status": {
            "endpoint": "/jobs/{identifier}",
            "completion_key": "status",
            "completion_value": ["succeeded"],
            "failure_value": ["failed", "cancelled"],
            "running_value": ["queued", "running", "cancelling"],
        },
        "fetch": {"endpoint": "/jobs/{identifier}/results"},
    }
    assert "# assumed by their names: which statuses mean what\ncompletion_value" in draft.format()
    assert draft.connection["host"] == "https://api.example.com/v1"


def test_links_name_the_operation_of_the_status():
    link = {"operationId": "readTask", "parameters": {"path.task": "$response.body#/data/task"}}
    paths: dict[str, Any] = {
        "/jobs": {"post": {"responses": answer("201", links={"task": link})}},
        "/tasks/{task}": {"get": {"operationId": "readTask", "responses": answer()}},
    }
    draft = import_one(paths)
    assert draft.profile["submit"]["identifier"] == "data.task"
    assert draft.profile["status"]["endpoint"] == "/tasks/{identifier}"
    link = {"operationRef": "#/paths/~1tasks~1{task}/get", "parameters": {"task": "$response.header.Location"}}
    paths["/jobs"]["post"]["responses"] = answer("201", links={"task": link})
    assert import_one(paths).profile["submit"]["identifier"] == "header:Location"


def test_an_accepted_request_with_a_location_extends_the_protocol():
    location = {"description": "", "headers": {"Location": {"schema": {"type": "string"}}}}
    draft = import_one({"/jobs": {"put": {"responses": {"202": location}}}}, "put /jobs")
    assert draft.profile["extends"] == "http_202"
    assert draft.profile["submit"] == {"endpoint": "/jobs", "method": "PUT"}


AZURE = {"x-ms-long-running-operation": True, "responses": {"202": {"description": ""}}}
FLOW = {"implicit": {"authorizationUrl": "https://login.example.com", "scopes": {}}}
SECURITY: dict[str, Any] = {
    "components": {"securitySchemes": {"azure": {"type": "oauth2", "flows": FLOW}}},
    "security": [{"azure": []}],
}


@pytest.mark.parametrize(
    ("via", "fetch"),
    [
        ("location", {"endpoint": "{location}"}),
        ("azure-async-operation", {"endpoint": "{identifier}"}),
        ("original-uri", {"endpoint": "/things/{name}", "query_params": {"api-version": "2024"}}),
        ("", None),
    ],
)
def test_long_running_operations_of_azure_extend_their_profile(via, fetch):
    options = {"x-ms-long-running-operation-options": {"final-state-via": via}} if via else {}
    version = {"name": "api-version", "in": "query", "required": True, "schema": {"enum": ["2024"]}}
    paths = {"/things/{name}": {"put": {**AZURE, **options, "parameters": [version]}}}
    draft = import_one(paths, "PUT /things/{name}", **SECURITY)
    assert draft.profile["extends"] == "azure/operations"
    assert draft.profile.get("fetch") == fetch
    assert draft.variables == {"name": "name of the path"}
    assert draft.gaps == []
    assert "connection" not in draft.profile


def test_a_key_replaces_the_authentication_of_azure():
    key = {"type": "apiKey", "in": "header", "name": "Ocp-Apim-Subscription-Key"}
    draft = import_one({"/jobs": {"post": AZURE}}, components={"securitySchemes": {"key": key}}, security=[{"key": []}])
    assert draft.profile["connection"]["key_name"] == "Ocp-Apim-Subscription-Key"


@pytest.mark.parametrize(
    ("scheme", "auth"),
    [
        ({"type": "http", "scheme": "Basic"}, {"auth": "basic"}),
        ({"type": "http", "scheme": "bearer"}, {"auth": "bearer"}),
        ({"type": "http", "scheme": "digest"}, {"auth": "digest"}),
        ({"type": "apiKey", "in": "header", "name": "X-Key"}, {"auth": "api_key", "key_name": "X-Key"}),
        ({"type": "apiKey", "in": "query", "name": "key"}, {"auth": "api_key", "key_name": "key", "key_in": "query"}),
        (
            {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "/token"}}},
            {"auth": "oauth2", "oauth2_url": "/token", "scope": "read"},
        ),
        (
            {"type": "oauth2", "flows": {"password": {"tokenUrl": "/token"}}},
            {"auth": "oauth2_password", "oauth2_url": "/token", "scope": "read"},
        ),
        (
            {"type": "oauth2", "flows": {"authorizationCode": {"tokenUrl": "/token"}}},
            {"auth": "oauth2_refresh", "oauth2_url": "/token", "scope": "read"},
        ),
    ],
)
def test_a_security_scheme_is_a_kind_of_authentication(scheme, auth):
    draft = import_one(PATHS, components={"securitySchemes": {"one": scheme}}, security=[{"one": ["read"]}])
    assert draft.profile["connection"] == auth
    assert draft.gaps == []


def test_of_several_schemes_the_first_that_can_be_used_is_taken():
    schemes = {
        "cookie": {"type": "apiKey", "in": "cookie", "name": "sid"},
        "basic": {"type": "http", "scheme": "basic"},
        "org": {"type": "apiKey", "in": "header", "name": "X-Org"},
    }
    document: dict[str, Any] = {"components": {"securitySchemes": schemes}}
    draft = import_one(PATHS, **document, security=[{"cookie": []}, {"basic": [], "org": []}])
    assert draft.profile["connection"] == {"auth": "basic"}
    assert draft.connection["extra"]["secret_headers"] == {"X-Org": "<org>"}
    draft = import_one(PATHS, **document, security=[{"cookie": []}])
    assert [gap.place for gap in draft.gaps] == ["components.securitySchemes.cookie"]
    assert "auth: not set: no kind of authentication does the same as apiKey cookie" in draft.format()
    assert import_one(PATHS, **document, security=[{"cookie": []}, {}]).profile["connection"] == {"auth": "none"}


@pytest.mark.parametrize(
    ("expression", "submit"),
    [
        ("{$request.body#/hooks/url}", {"json": {"hooks": {"url": "{callback_url}"}}}),
        ("{$request.query.callback}", {"query_params": {"callback": "{callback_url}"}}),
        ("{$request.header.X-Callback}", {"headers": {"X-Callback": "{callback_url}"}}),
    ],
)
def test_a_callback_gets_the_address_of_airflow(expression, submit):
    paths = {"/jobs": {"post": {"responses": answer("201", {}), "callbacks": {"done": {expression: {}}}}}}
    draft = import_one(paths)
    assert draft.profile["submit"] == {"endpoint": "/jobs", **submit, "callback": True}
    assert draft.profile["status"]["callback"] == "hint"


def test_a_callback_to_another_address_is_named():
    paths = {"/jobs": {"post": {"responses": answer("201", {}), "callbacks": {"done": {"https://fixed": {}}}}}}
    assert "https://fixed is no part of the request" in str(import_one(paths).gaps)


def test_what_the_document_doesnt_say_is_marked():
    draft = import_one({"/jobs": {"post": {"responses": answer("201", {})}}})
    assert "# endpoint: not set: the document names no request for the status" in draft.format()
    without_enum = {"properties": {"id": {}, "state": {"type": "string"}}}
    paths = {"/jobs": PATHS["/jobs"], "/jobs/{id}": {"get": {"responses": answer(schema=without_enum)}}}
    text = import_one(paths).format()
    assert "# completion_value: not set: the statuses that mean success; the document lists none" in text
    paths["/jobs/{id}"] = {"get": {"responses": answer(schema={"properties": {"id": {}}})}}
    assert "# completion_key: not set: the field that holds the status" in import_one(paths).format()
    paths["/jobs/{id}"] = {"get": {"responses": answer(schema={"properties": {"status": {"enum": ["a", "b"]}}})}}
    assert "the document lists a, b" in import_one(paths).format()


def test_bodies_that_arent_json():
    def submit(kind: str) -> Draft:
        schema = {"required": ["a"], "properties": {"a": {"type": "string"}}}
        return import_one({"/jobs": {"post": {"requestBody": body(schema, kind), "responses": answer("202")}}})

    assert submit("application/x-www-form-urlencoded").profile["submit"]["data"] == {"a": "{a}"}
    assert "a body of the type multipart/form-data" in str(submit("multipart/form-data").gaps)


def test_parameters_of_path_and_header_are_variables_and_the_servers_variables_have_defaults():
    parameters = [
        {"name": "X-Org", "in": "header", "required": True, "schema": {"enum": ["a", "b"]}},
        {"name": "debug", "in": "query"},
        {"name": "sid", "in": "cookie", "required": True},
        {"$ref": "#/components/parameters/page"},
    ]
    page = {"name": "page", "in": "query", "required": True, "schema": {"type": "integer"}}
    server = {"url": "https://{region}.example.com/{base}", "variables": {"region": {"default": "eu"}, "base": {}}}
    draft = import_one(
        {"/{account}/jobs": {"post": {"parameters": parameters, "responses": answer("202")}}},
        "POST /{account}/jobs",
        components={"parameters": {"page": page}},
        servers=[server],
    )
    assert draft.profile["submit"]["endpoint"] == "/{account}/jobs"
    assert draft.profile["submit"]["headers"] == {"X-Org": "{x_org}"}
    assert draft.profile["submit"]["query_params"] == {"page": "{page_value}"}
    assert draft.variables["x_org"] == "one of a, b (header X-Org)"
    assert "the cookie sid" in str(draft.gaps)
    assert draft.connection["host"] == "https://eu.example.com/<base>"


def test_candidates_are_listed_with_reasons_the_likeliest_first():
    paths: dict[str, Any] = {
        "/a": {"post": {"responses": {"202": {"description": ""}}}, "get": {"responses": {"202": {}}}},
        "/b": {"post": AZURE},
        "/c": {"post": {"responses": {"200": {}}}},
        "/d": {"post": {"responses": {"200": {}}, "callbacks": {"done": {}}}},
        "/e": {"post": {"responses": {"202": {"headers": {"Operation-Location": {}}}}}},
    }
    found = find_candidates(Document(make_document(paths), "api.yaml"))
    assert [(each.operation.name, each.reasons) for each in found] == [
        ("POST /b", ("x-ms-long-running-operation", "202 Accepted")),
        ("POST /e", ("202 Accepted", "202 with the header Operation-Location")),
        ("POST /a", ("202 Accepted",)),
        ("POST /d", ("the callback done",)),
    ]


@pytest.mark.parametrize(
    ("document", "chosen", "message"),
    [
        ({"swagger": "2.0"}, "x", "isn't an OpenAPI 3 document; it is a Swagger 2 document"),
        ({"arazzo": "1.0.0"}, "x", "use `import arazzo`"),
        ({"openapi": "3.0.0", "paths": []}, "x", "paths: has to be a mapping"),
        (make_document(PATHS), "startJobs", "has no operation 'startJobs'; nearest are startJob"),
        (make_document(PATHS), "zzzz", "has no operation 'zzzz'$"),
        (make_document({"/a": {"$ref": "other.yaml#/a"}}), "x", "paths./a: the reference .* leads to another document"),
        (
            make_document({"/a": {"$ref": "#/components/a"}}, components={"a": {"$ref": "#/components/a"}}),
            "x",
            "its references lead back to themselves",
        ),
    ],
)
def test_a_document_or_operation_that_cant_be_used_is_refused_with_the_reason(document, chosen, message):
    with pytest.raises(DocumentError, match=message):
        import_operation(document, "api.yaml", chosen)


def test_schemas_that_contain_themselves_end():
    node: dict[str, Any] = {"required": ["child"], "properties": {"child": {"$ref": "#/components/schemas/node"}}}
    node["allOf"] = [{"$ref": "#/components/schemas/node"}]
    draft = import_one(
        {"/jobs": {"post": {"requestBody": body({"$ref": "#/components/schemas/node"}), "responses": answer("202")}}},
        components={"schemas": {"node": node}},
    )
    assert "{child}" in json.dumps(draft.profile["submit"]["json"])


@pytest.mark.parametrize(
    ("expression", "selector"),
    [
        ("$response.body#/a/0/b~1c", 'a[0]."b/c"'),
        ("{$response.body#/id}", "id"),
        ("$response.body.a.b", "a.b"),
        ("$response.body", "$"),
        ("$response.header.Location", "header:Location"),
        ("$statusCode", "status_code"),
        ("$inputs.x", None),
        ("x", None),
    ],
)
def test_runtime_expressions_are_selectors(expression, selector):
    assert select_expression(expression) == selector


def test_meanings_of_statuses_are_guessed_by_their_names():
    found = guess_meanings(["PENDING", "InProgress", "COMPLETED", "Incomplete", "Canceled", "TIMED_OUT", "ready"])
    assert found is not None
    assert (found.success, found.failure) == (("COMPLETED", "ready"), ("Canceled", "TIMED_OUT"))
    assert found.running == ("PENDING", "InProgress", "Incomplete")
    assert guess_meanings(["open", "shut"]) is None


@pytest.mark.parametrize("value", [5, "x", [5], [{}], {"a": 1}])
def test_values_of_the_wrong_type_are_passed_over(value):
    schema = {"required": value, "allOf": value, "properties": {"state": {"enum": value}}}
    operation = {
        "parameters": value,
        "requestBody": body(schema),
        "responses": answer("202", schema),
        "security": value,
    }
    paths = {"/jobs": {"post": operation}, "/jobs/{id}": {"get": operation}}
    draft = import_one(paths, servers=value)
    assert draft.profile["submit"]["endpoint"] == "/jobs"
