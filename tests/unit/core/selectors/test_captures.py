import json

import pytest

from airflow_provider_asyncapi.core.errors import (
    ContentError,
    SelectorError,
)
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.selectors.captures import capture_values, parse_captures
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from tests.unit.core.selectors.responses import ANSWER


def test_captures_are_known_by_name_and_by_the_selector_that_found_them():
    selections = parse_captures({"job": ["nothing", "id"], "where": "header:Location", "gone": "null"}, "capture")
    assert capture_values(selections, ANSWER, {}) == {
        "job": 7,
        "id": 7,
        "where": "/jobs/7",
        "header:Location": "/jobs/7",
    }
    assert parse_captures(None, "capture") == {}


@pytest.mark.parametrize(
    ("selector", "document", "captured"),
    [
        ("$.files[*]", {"files": ["a", "b"]}, ["a", "b"]),
        ("$.files[*]", {"files": ["a"]}, ["a"]),
        ("$.files[*]", {"files": []}, []),
        ("$.files[*].url", {"files": [{"url": "a"}]}, ["a"]),
        ("$.files[*].url", {"files": []}, []),
        ("$..url", {"files": [{"url": "a"}]}, ["a"]),
        ("text.json:files[*]", {"text": '{"files": ["a"]}'}, ["a"]),
        ("text.json:files[*]", {"text": '{"files": []}'}, []),
        (r"$.files[*] regex:\d", {"files": ["a1"]}, ["1"]),
        (["$.parts[*]", "$.files[*]"], {"parts": [], "files": ["a"]}, ["a"]),
        (["$.parts[*]", "$.files[*]"], {"files": []}, []),
        ("$.links[?(@.rel == 'next')].href", {"links": [{"rel": "next", "href": "a"}]}, ["a"]),
        ("$.links[?(@.rel == 'next')].href", {"links": [{"rel": "self", "href": "a"}]}, []),
        ("$.links[?(@.rel == 'next')].href", {"links": {}}, None),
        ("$.files[0:2]", {"files": ["a"]}, ["a"]),
        ("$.files[-1:]", {"files": ["a", "b"]}, "b"),
        ("files", {"files": []}, []),
        ("$.files[*]", {"files": None}, None),
        ("$.files[*]", {}, None),
        ("response_text regex:no", {}, None),
    ],
)
def test_a_selector_that_may_find_several_values_captures_a_list_whatever_their_number(selector, document, captured):
    answer = Response(200, body=json.dumps(document).encode())
    assert capture_values(parse_captures({"files": selector}, "capture"), answer, {}).get("files") == captured


@pytest.mark.parametrize(
    ("selector", "captured"),
    [
        ("xpath://part[*]", ["1"]),
        ("xpath://part", ["1"]),
        ("xpath:/parts/part[n = 1]", ["1"]),
        (r"xpath://part regex:\d", ["1"]),
        ("xpath:/parts", "1"),
        ("xpath:(//part)[1]", "1"),
        ("xpath:string(//part)", "1"),
        ("xpath://no[*]", []),
        ("xpath://no", None),
    ],
)
def test_an_xpath_that_may_find_several_values_captures_a_list_whatever_their_number(selector, captured):
    answer = Response(200, body=b"<parts><part><n>1</n></part></parts>")
    assert capture_values(parse_captures({"parts": selector}, "capture"), answer, {}).get("parts") == captured


LINKS = {"links": [{"rel": "next", "href": "a"}, {"rel": "next", "href": "b"}, {"rel": "self", "href": "c"}]}


@pytest.mark.parametrize(
    ("selector", "captured"),
    [
        ("$.links[?(@.rel == 'next')].href", "a"),
        ("$.links[*].href", "a"),
        ("$.links[?(@.rel == 'last')].href", None),
        (r"$.links[*].href regex:[bc]", "b"),
    ],
)
def test_the_first_value_is_captured_as_one_value_if_it_is_asked_for(selector, captured):
    answer = Response(200, body=json.dumps(LINKS).encode())
    selections = parse_captures({"link": {"selector": selector, "first": True}}, "capture")
    assert capture_values(selections, answer, {}).get("link") == captured
    assert capture_values(selections, answer, {}).get(selector) == captured
    (each,) = selections["link"].selectors
    assert each.split_at_array({}) is None


def test_a_selector_that_takes_the_first_may_stand_in_a_list_of_selectors():
    answer = Response(200, body=json.dumps(LINKS).encode())
    chain = SelectorChain.parse(["nothing", {"selector": "links[*].rel", "first": True}], "identifier")
    only = chain.find_only(answer, {})
    assert only is not None
    assert only[1] == "next"
    assert SelectorChain.parse({"selector": "links[*].rel", "first": False}, "").find_value(answer, {}) == [
        "next",
        "next",
        "self",
    ]


@pytest.mark.parametrize(
    "given", [{"selector": "id"}, {"selector": "id", "first": 1}, {"first": True}, {"selector": "id", "last": True}]
)
def test_a_mapping_that_is_no_selector_is_an_error_that_shows_how_to_write_it(given):
    with pytest.raises(SelectorError, match=r"^identifier: a selector that is a mapping has the keys .* 'first': True"):
        SelectorChain.parse(given, "identifier")


def test_the_only_value_is_taken_and_several_are_an_error_that_says_what_to_do():
    answer = Response(200, body=json.dumps({**LINKS, "one": ["a", "b"]}).encode())
    found = SelectorChain.parse("links[?(@.rel == 'self')].href", "").find_only(answer, {})
    assert found is not None
    assert found[1] == "c"
    assert SelectorChain.parse("nothing", "").find_only(answer, {}) is None
    found = SelectorChain.parse("one", "").find_only(answer, {})
    assert found is not None
    assert found[1] == ["a", "b"]
    with pytest.raises(ContentError, match=r"^'links\[\*\].href' finds 3 values, and one is needed: .* 'first': True"):
        SelectorChain.parse("links[*].href", "").find_only(answer, {})


@pytest.mark.parametrize(
    ("captures", "message"),
    [
        (["id"], "capture: has to map variable names to selectors, not be list"),
        ("", "capture: has to map"),
        ({"a{b": "id"}, r"capture: 'a\{b' can't be the name of a variable"),
        ({"": "id"}, "capture: '' can't be"),
        ({7: "id"}, "capture: 7 can't be"),
        ({"a": "b["}, r"capture\['a'\]: malformed selector 'b\['"),
        ({"a": None}, r"capture\['a'\]: at least one selector"),
    ],
)
def test_a_wrong_capture_is_an_error_that_names_it(captures, message):
    with pytest.raises(SelectorError, match=message):
        parse_captures(captures, "capture")
