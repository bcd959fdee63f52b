"""Why a selector finds nothing is said with names of the response, and without its values."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_asyncapi.core.http.messages import Headers, Response
from airflow_provider_asyncapi.core.selectors.selector import Selector, SelectorChain


def respond(body: Any, **headers: str) -> Response:
    return Response(200, Headers(headers.items()), json.dumps(body).encode())


def explain(selector: str, response: Response, *, has_nearest: bool = False) -> str:
    return Selector.parse(selector, "").explain(response, {}, has_nearest=has_nearest)


@pytest.mark.parametrize(
    ("selector", "body", "reason"),
    [
        ("status", {"state": "x", "Progress": 3}, "the JSON has the keys state, Progress"),
        ("data.status", {"data": {"state": "x"}}, "$.data has the keys state"),
        ("jobs[*].status", {"jobs": [{"state": "x"}]}, "$.jobs[0] has the keys state"),
        ("status", {}, "the JSON is an empty object"),
        (
            "status",
            {f"key{number}": 1 for number in range(99)},
            f"{', '.join(f'key{n}' for n in range(10))} and 89 more",
        ),
        ("status", {"k" * 999: 1}, f"the JSON has the keys {'k' * 60}… (999 characters)"),
        ("error.message", {"error": None}, "$.error is null"),
        ("id", {"id": None}, "$.id is null"),
        ("id", None, "the JSON is null"),
        ("id", [], "the JSON is a list, not an object"),
        ("id", 5, "the JSON is a number, not an object"),
        ("id", True, "the JSON is a boolean, not an object"),
        ("job.id", {"job": "7"}, "$.job is a string, not an object"),
        ("job[0]", {"job": {"id": 1}}, "$.job is an object, not a list"),
        ("jobs[*].id", {"jobs": []}, "$.jobs is empty"),
        ("jobs[1].id", {"jobs": [{"id": 1}]}, "$.jobs has 1 item"),
        ("jobs[7].id", {"jobs": [1, 2]}, "$.jobs has 2 items"),
        ("a..b", {"c": 1}, ""),
        ("id", {"id": 7}, ""),
    ],
)
def test_where_a_path_ends_in_a_json_body(selector: str, body: Any, reason: str) -> None:
    assert explain(selector, respond(body)).endswith(reason)
    assert bool(explain(selector, respond(body))) == bool(reason)


def test_names_are_left_out_if_near_values_are_known() -> None:
    assert explain("status", respond({"state": "x"}), has_nearest=True) == ""
    assert explain("error.x", respond({"error": None}), has_nearest=True) == "$.error is null"


@pytest.mark.parametrize(
    ("condition", "item", "reason"),
    [
        ('@.id == "7"', {"id": 7}, "@.id is a number: compare it with 7 without quotes"),
        ('@.id = "7"', {"id": 7}, "@.id is a number: compare it with 7 without quotes"),
        ("@.id == 7", {"id": "7"}, '@.id is a string: compare it with "7"'),
        (
            '@.job.done == "true"',
            {"job": {"done": True}},
            "@.job.done is a boolean: compare it with true without quotes",
        ),
        ("@.done == true", {"done": "true"}, '@.done is a string: compare it with "true"'),
        ('@.kind == "x" & @.id == "7"', {"kind": "x", "id": 7}, "@.id is a number: compare it with 7 without quotes"),
        # Other values, and other reasons.
        ('@.id == "8"', {"id": 7}, ""),
        ('@.id == "7"', {"id": "8"}, ""),
        ('@.id != "7"', {"id": 7}, ""),
        ("@.id", {"x": 7}, ""),
        ('@.id == "7"', {}, ""),
    ],
)
def test_a_filter_that_compares_another_type(condition: str, item: Any, reason: str) -> None:
    assert explain(f"$.jobs[?({condition})].state", respond({"jobs": [{"id": None}, item]})) == reason


def test_a_filter_is_explained_by_the_first_items() -> None:
    many = [{"id": "x"}] * 1000
    assert explain('$.jobs[?(@.id == "7")].state', respond({"jobs": [*many, {"id": 7}]})) == ""
    assert explain('$.jobs[?(@.id == "7")].state', respond({"jobs": 5})) == ""


def test_the_names_of_headers_are_listed() -> None:
    assert (
        explain("header:ETag", respond({}, **{"X-Job": "1", "Date": "2"})) == "the response has the headers date, x-job"
    )
    assert explain("header:ETag", respond({})) == "the response has no headers"
    assert explain("header:ETag", respond({}, **{"X-Job": "1"}), has_nearest=True) == ""


def test_the_names_of_elements_are_listed() -> None:
    response = Response(200, body=b"<u:job xmlns:u='urn:u'><u:phase>x</u:phase><u:phase/></u:job>")
    assert explain("xpath://state", response) == "the XML has the elements job, phase"
    assert explain("xpath://state", response, has_nearest=True) == ""


def test_what_needs_no_path_and_what_is_found_is_not_explained() -> None:
    assert explain("response_text", Response(200)) == ""
    assert explain("data.json:state", respond({"data": "{}"})) == ""


def test_reasons_are_the_end_of_a_message_a_few_each_once_and_without_values() -> None:
    response = respond({"error": None, "data": "planted", "job": 5})
    chain = SelectorChain.parse(["error.message", "error.text", "data.text", "job.text", "xpath://x"], "")
    assert chain.describe_nearest(response, {}) == "; $.error is null; $.data is a string, not an object"
    # Of several selectors, one has a near value: no list of names then.
    chain = SelectorChain.parse(["State", "zzz"], "")
    assert chain.describe_nearest(respond({"state": "planted"}), {}) == "; there is $.state"
