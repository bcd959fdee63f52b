"""What is suggested for a selector that finds nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_asyncapi.core.http.messages import Headers, Response
from airflow_provider_asyncapi.core.selectors.selector import Selector, SelectorChain
from airflow_provider_asyncapi.core.selectors.suggestions import suggest_paths

XML = Response(
    200,
    body=b"<u:job xmlns:u='urn:u' xmlns='urn:d' id='7'>"
    b"<u:phase>DONE</u:phase><owner name='me'/><plain xmlns=''/></u:job>",
)


def respond(body: Any, **headers: str) -> Response:
    return Response(200, Headers(headers.items()), json.dumps(body).encode())


def suggest(selector: str, response: Response, **variables: str) -> list[str]:
    return Selector.parse(selector, "identifier").suggest(response, variables)


@pytest.mark.parametrize(
    ("selector", "body", "nearest"),
    [
        # The same name one level down, in a list, or elsewhere, the nearest first.
        ("id", {"data": {"id": 7}}, ["$.data.id"]),
        ("$.id", {"jobs": [{"id": 7}, {"id": 8}]}, ["$.jobs[0].id"]),
        ("data.task.id", {"id": 1, "data": {"job": {"id": 7}}}, ["$.data.job.id", "$.id"]),
        ("data.id", {"id": 7}, ["$.id"]),
        # A name that JSONPath reads as an operator.
        ("Where", {"where": 7}, ['$."where"']),
        ("jobs[3].id", {"jobs": [{"id": 7}]}, ["$.jobs[0].id"]),
        # Another case, and names that are alike.
        ("jobId", {"job_id": 7}, ["$.job_id"]),
        ("id", {"ID": 7, "data": {"id": 8}}, ["$.data.id", "$.ID"]),
        ("id", {"jobId": 7}, ["$.jobId"]),
        ("status", {"statsu": "x"}, ["$.statsu"]),
        # What there is where the path ends.
        ("data.state", {"data": {"phase": "x", "no": None}, "other": 1}, ["$.data.phase"]),
        ("other.state", {"data": 1}, []),
        ("data.jobs[*].x", {"data": {"jobs": [], "y": 1}}, ["$.data.jobs", "$.data.y"]),
        ("data.state.now", {"data": {"phase": "x"}}, ["$.data.phase"]),
        ("jobs[*].x", {"jobs": [], "y": 1}, []),
        # A null, no object at all, a path without names, and one that finds something.
        ("id", {"id": None}, []),
        ("id", 5, []),
        ("id", [], []),
        ("[0]", {"id": 7}, []),
        ("id", {"id": 7}, []),
        # Names that JSONPath has to quote.
        ("task-id", {"data": {"task-id": 7, 'a"b': {"task-id": 1}}}, ['$.data."task-id"', '$.data.\'a"b\'."task-id"']),
        # Paths that need the grammar of JSONPath.
        ('$.jobs[?(@.key == "x")].id', {"items": [{"id": 7}]}, ["$.items[0].id"]),
        ('$.jobs[?(@.key == "x")].name', {"items": 1}, []),
        ("a..b", {"c": {"b": 1}}, ["$.c.b"]),
        # Longer ones help nobody.
        ("id", {"x" * 100: {"id": 7}}, []),
    ],
)
def test_the_nearest_values_of_a_json_body_are_suggested(selector: str, body: Any, nearest: list[str]) -> None:
    assert suggest(selector, respond(body)) == nearest


def test_no_more_than_three_are_suggested_and_each_is_found_by_its_suggestion() -> None:
    body = {f"part{number}": {"id": number} for number in range(9)}
    nearest = suggest("id", respond(body))
    assert nearest == ["$.part0.id", "$.part1.id", "$.part2.id"]
    assert [Selector.parse(each, "").find_value(respond(body), {}) for each in nearest] == [0, 1, 2]


def test_a_header_is_suggested_if_its_name_ends_like_the_selector() -> None:
    response = respond({}, **{"X-Job-State": "done", "X-Request-Id": "1", "Content-Type": "x", "Date": "y"})
    assert suggest("job.state", response) == ["header:x-job-state"]
    assert [suggest(each, response) for each in ("id", "type", "date", "[0]")] == [[], [], [], []]
    # What the body has counts first.
    assert suggest("state", respond({"job": {"state": 1}}, **{"X-State": "done"})) == ["$.job.state"]


@pytest.mark.parametrize(
    ("selector", "body", "nearest"),
    [
        ("result.phase", {"result": '{"phase": "x"}'}, ["$.result.json:phase"]),
        ("result.jobs[0].id", {"result": ' {"jobs": [{"id": 7}]}'}, ["$.result.json:jobs[0].id"]),
        ("result[0].id", {"result": '[{"id": 7}]'}, ["$.result.json:$[0].id"]),
        ("a[*].b.c", {"a": [{"b": '{"c": 1}'}]}, ["$.a[0].b.json:c"]),
        ("result.phase", {"result": '{"state": "x"}'}, []),
        ("result.phase", {"result": "{phase}"}, []),
        ("result.phase", {"result": "phase"}, []),
        ("result.phase", {"result": '{"phase": 1}' + " " * 70_000}, []),
    ],
)
def test_a_value_in_a_string_of_json_is_suggested(selector: str, body: Any, nearest: list[str]) -> None:
    assert suggest(selector, respond(body)) == nearest
    for each in nearest:
        assert Selector.parse(each, "").find_value(respond(body), {}) is not None


def test_a_huge_document_is_looked_at_in_part() -> None:
    wide: dict[str, Any] = {f"key{number}": number for number in range(20_000)}
    assert suggest_paths("id", {**wide, "ID": 7}) == []
    deep: Any = {"id": 7}
    for _ in range(20_000):
        deep = {"a": deep}
    assert suggest_paths("id", deep) == []


@pytest.mark.parametrize(
    ("selector", "nearest"),
    [
        ("xpath://phase", ["xpath://u:phase"]),
        ("xpath://u:Phase", ["xpath://u:phase"]),
        ("xpath://owner", ["xpath://default:owner"]),
        ("xpath://u:plain", ["xpath://plain"]),
        ("xpath://u:owner/@name", ["xpath://default:owner/@name"]),
        ("xpath://u:job/id", ["xpath://u:job/@id"]),
        ("xpath://nothing", []),
        ("xpath://*[1 = 2]", []),
        ("xpath://u:phase", []),
        ("xpath:(//phase)[1]", ["xpath://u:phase"]),
    ],
)
def test_the_nearest_elements_and_attributes_of_an_xml_body_are_suggested(selector: str, nearest: list[str]) -> None:
    assert suggest(selector, XML) == nearest


@pytest.mark.parametrize(
    ("selector", "nearest"),
    [
        ("xpath:/a/c/@id", ["xpath://b/@id", "xpath://id"]),
        ("xpath:/a/c/id", ["xpath://id", "xpath://b/@id"]),
    ],
)
def test_attributes_come_first_if_the_path_names_one(selector: str, nearest: list[str]) -> None:
    assert suggest(selector, Response(200, body=b"<a><id>1</id><b id='2'/></a>")) == nearest


def test_a_huge_xml_document_is_looked_at_in_part() -> None:
    response = Response(200, body=b"<a>" + b"<b/>" * 20_000 + b"<Phase/></a>")
    assert suggest("xpath://phase", response) == []


def test_the_nearest_headers_are_suggested() -> None:
    response = respond({}, **{"Content-Location": "/jobs/7", "X-Job-Id": "7"})
    assert suggest("header:Location", response) == ["header:content-location"]
    assert suggest("header:XJobId", response) == ["header:x-job-id"]
    assert suggest("header:ETag", response) == []


def test_kinds_without_a_path_suggest_nothing() -> None:
    assert suggest("response_text", Response(200)) == []


def test_a_suffix_that_finds_nothing_suggests_nothing() -> None:
    assert suggest("data.payload.json:state", respond({"data": {"payload": '{"State": 1}'}})) == []


def test_variables_are_put_in_before_something_is_suggested() -> None:
    assert suggest("{name}.id", respond({"data": {"id": 7}}), name="other") == ["$.data.id"]


def test_several_selectors_are_described_together_and_none_may_fail() -> None:
    chain = SelectorChain.parse(["id", "header:ID", "xpath://id", "{unknown}.id"], "identifier")
    response = respond({"data": {"id": 7}}, **{"X-Id": "7"})
    assert chain.describe_nearest(response, {}) == "; there is $.data.id and header:x-id"
    assert SelectorChain.parse("id", "").describe_nearest(respond({"id": 7}), {}) == ""
