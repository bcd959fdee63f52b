import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.errors import (
    ConfigurationError,
    ContentError,
    SelectorError,
    UnknownVariableError,
    UnsafeValueError,
)
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.selectors.captures import walk_variable_users
from airflow_provider_asyncapi.core.selectors.selector import Selector, SelectorChain
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from tests.unit.core.selectors.responses import ANSWER

XML = Response(200, body=b"<u:job xmlns:u='urn:u'><u:phase>DONE</u:phase><u:p>{\"a\": 1}</u:p></u:job>")


def value(selector, variables=None, response=ANSWER):
    return Selector.parse(selector, "completion_key").find_value(response, variables or {})


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("id", 7),
        (" $.id ", 7),
        ("null", None),
        ("nothing", None),
        ("empty", ""),
        ("status_code", 202),
        (" status_code ", 202),
        ("$.status_code", None),
        ("header:Location", "/jobs/7"),
        ("header: LOCATION", "/jobs/7"),
        ("header:X-None", None),
        (r"header:Location regex:/jobs/(\d+)", "7"),
        (r"header:Location regex:\d{1,3}$", "7"),
        ("header:Location regex:/other/", None),
        ("$.jobs[*].id regex:[79]", ["7", "9"]),
        ("payload.json:deeper.json:state regex:^inner", "inner"),
        (r"id regex:^\d$", "7"),
        ("$.jobs[*].id", ["7", "a json:b", "9"]),
        ("$.jobs[*].state", ["done", "odd"]),
        ("payload.json:state", "inner"),
        ("payload json: $.state", "inner"),
        ("payload.json:deeper.json:state", "innermost"),
        ("payloads[*].json:s", [1, 2]),
        ("$.payloads[*].json:s", [1, 2]),
        ("header:X-Info.json:queue", "slow"),
        ('$.jobs[?(@.id == "a json:b")].state', "odd"),
    ],
)
def test_a_selector_gives_one_value_several_as_a_list_and_nothing_for_null(selector, found):
    assert value(selector) == found


def test_a_body_that_is_plain_text_is_a_value():
    assert value("response_text", response=Response(200, body=b" RUNNING\n")) == "RUNNING"
    assert value("response_text regex:id=(\\w+)", response=Response(200, body=b"ok id=j7 at 9")) == "j7"
    assert value("response_text", response=Response(200, body=b" \n")) is None


def test_the_url_that_answered_is_a_value():
    assert value("response_url", response=Response(200, url="https://api.example/v1/jobs/7")).endswith("/jobs/7")
    assert not Selector.parse("response_url", "").needs_body
    assert Selector.parse("response_text", "").needs_body


def test_a_malformed_regular_expression_is_an_error():
    with pytest.raises(SelectorError, match=r"capture: malformed selector 'id regex:\(': regex '\(': "):
        Selector.parse("id regex:(", "capture")


def test_a_path_of_xml_without_its_prefix_is_told_so():
    with pytest.raises(SelectorError, match="'//job/@id': this looks like XPath, which begins with 'xpath:'"):
        Selector.parse("//job/@id", "identifier")


def test_all_selectors_of_a_plan_are_found_with_the_variables_that_they_name():
    plan = SubmitPlan.parse(
        {
            "endpoint": "/jobs/{a}",
            "identifier": ["id", r"header:Location regex:/x\d{2}/{b}"],
            "capture": {"n": '$.jobs[?(@.id == "{c}")].n json:{d}'},
            "rules": [{"all": [{"selector": "by.{e}", "exists": True}], "outcome": "success"}],
            "start": [{"endpoint": "/{f}", "error_message": "errors.{g}"}],
        }
    )
    assert sorted(name for selector in walk_variable_users(plan) for name in selector.variable_names()) == [
        "c",
        "d",
        "e",
        "g",
    ]


def test_a_selector_reads_xml_and_json_inside_of_it():
    assert value("xpath://u:phase", response=XML) == "DONE"
    assert value("xpath:string(//u:p) json:a", response=XML) == 1


@pytest.mark.parametrize(
    ("selector", "variables", "found"),
    [
        ('$.jobs[?(@.id == "{identifier}")].state', {"identifier": 7}, "done"),
        ("$.jobs[?(@.id == '{identifier}')].state", {"identifier": "a json:b"}, "odd"),
        ('$.jobs[?(@.id == "{data."task-id"}")].state', {'data."task-id"': "7"}, "done"),
        ("by_id.{identifier}.state", {"identifier": 7}, "seven"),
        ("by_id.{identifier}.state", {"identifier": "a.b/c"}, "dotted"),
        ("$.by_id.{identifier}", {"identifier": "7"}, {"state": "seven"}),
        ("by_id.n-{n}.state", {"n": 1}, "dashed"),
        ("{key}[0].id", {"key": "jobs"}, "7"),
        ("jobs[{n}].id", {"n": 0}, "7"),
        ("$.jobs[?(@.id == {x})].id", {"x": 5}, None),
        ("header:{name}", {"name": "Location"}, "/jobs/7"),
        ('by_id."it\'s {x}"', {"x": "a b"}, None),
        ("payload.json:{key}", {"key": "state"}, "inner"),
    ],
)
def test_a_selector_may_hold_variables(selector, variables, found):
    assert value(selector, variables) == found


def test_a_variable_in_xpath_may_be_quoted_or_a_number():
    assert value("xpath://u:{name}[{n}]", {"name": "phase", "n": 1}, XML) == "DONE"
    assert value("xpath://*[local-name()='{name}']", {"name": "phase"}, XML) == "DONE"


@pytest.mark.parametrize(
    ("selector", "held"),
    [
        ('$.jobs[?(@.id == "{x}")].state', 'a" || "'),
        ("by_id.{x}", "a'b"),
        ("by_id.{x}", "a\\"),
        ("jobs[{x}].id", "0].id,jobs[1"),
        ("by_id.n{x}", ".y"),
        ("xpath://{x}", "a | //b"),
        ("header:{x}", "a b"),
        ("id.{x}", "a\nb"),
        ("id.{x}", ["a", "b"]),
    ],
)
def test_a_value_that_would_change_what_the_selector_means_is_an_error(selector, held):
    with pytest.raises(UnsafeValueError) as caught:
        value(selector, {"x": held}, XML if selector.startswith("xpath") else ANSWER)
    assert repr(selector) in str(caught.value)
    assert "{x}" in str(caught.value)


def test_an_unknown_variable_in_a_selector_is_an_error():
    with pytest.raises(UnknownVariableError, match=r"selector 'by_id\.\{nope\}': the variable \{nope\} isn't set"):
        value("by_id.{nope}")


def test_a_value_that_makes_the_selector_malformed_is_an_error_that_shows_the_selector():
    with pytest.raises(SelectorError, match=r"selector 'jobs\[\{n\}\]': .*near token"):
        value("jobs[{n}]", {"n": "-"})


@pytest.mark.parametrize(
    "selector",
    [
        "",
        "  ",
        None,
        7,
        ["id"],
        "a b",
        "a[",
        "$.a[?(@.b == ",
        '"a',
        "a..",
        "header:",
        "header:a b",
        "xpath:",
        "xpath://a[",
        "xpath:foo(//a)",
        "payload.json:",
        "payload.json:a[",
        "json:a",
        "{a}{",
        "größe",
        "header:ü",
        "a[{n}",
        "id.{x} y",
    ],
)
def test_a_malformed_selector_fails_when_it_is_parsed_and_is_shown(selector):
    with pytest.raises(SelectorError) as caught:
        Selector.parse(selector, "completion_key")
    assert str(caught.value).startswith("completion_key: ")
    assert repr(selector) in str(caught.value)


def test_a_malformed_selector_is_shown_with_the_position():
    with pytest.raises(
        SelectorError, match=r"^identifier: malformed selector 'data task': Parse error at 1:5 near token"
    ):
        Selector.parse("data task", "identifier")
    with pytest.raises(SelectorError, match=r"malformed selector 'header:a b': 'a b' can't be the name of a header"):
        Selector.parse("header:a b", "identifier")


@pytest.mark.parametrize("content", [b"", b"<html></html>", b'{"a": ', b"\xff"])
def test_a_body_that_is_no_json_is_a_content_error(content):
    with pytest.raises(ContentError):
        value("id", response=Response(200, body=content))


def test_a_string_that_is_no_json_is_a_content_error_that_shows_the_selector():
    with pytest.raises(ContentError, match=r"selector 'broken\.json:a': the string that 'json:' parses: expected JSON"):
        value("broken.json:a")


def test_half_a_character_inside_a_string_does_no_harm():
    assert value("half.json:$") == "?"


@pytest.mark.parametrize(
    ("selector", "needed"), [("status_code", False), ("header:X", False), ("id", True), ("xpath://a", True)]
)
def test_status_code_and_headers_are_there_without_the_body(selector, needed):
    assert Selector.parse(selector, "").needs_body is needed
    assert SelectorChain.parse(["status_code", selector], "").needs_body is needed


SELECTORS = (
    st.text(max_size=25)
    | st.text("ab.$[]()?@*\"'`:{}+=1 ", max_size=15)
    | st.builds(
        "{}{}".format,
        st.sampled_from(["xpath:", "header:", "a.json:", "status_code"]),
        st.text("a:/[]@'{}", max_size=8),
    )
)


@given(SELECTORS)
def test_any_text_is_a_selector_or_a_selector_error_that_shows_it(text):
    try:
        Selector.parse(text, "completion_key")
    except SelectorError as error:
        assert repr(text) in str(error)  # noqa: PT017 - either way is right


@given(SELECTORS, st.text(max_size=10) | st.integers())
def test_whatever_a_selector_meets_it_raises_only_what_it_says(text, held):
    try:
        selector = Selector.parse(text, "completion_key")
        for response in (ANSWER, XML, Response(500)):
            assert isinstance(selector.find_all(response, {"a": held, "b": held}), list)
    except (ConfigurationError, ContentError):
        pass


def test_json_in_a_string_may_hold_as_many_lists_and_objects_as_the_answer():
    response = Response(200, body=json.dumps({"text": "[[], [], [], []]"}).encode(), max_values=1)
    for selector in ("text.json:$", "text.json:$[0][*]"):
        with pytest.raises(ContentError, match=r"the string that 'json:' parses: the JSON holds more than 4 lists"):
            Selector.parse(selector, "key").find_all(response, {})
    with pytest.raises(ContentError, match="more than 4 lists"):
        Selector.parse("text.json:$[0][*]", "key").finds_empty_list(response, {})
