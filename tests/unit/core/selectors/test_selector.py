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
from airflow_provider_asyncapi.core.http.messages import Headers, Response
from airflow_provider_asyncapi.core.selectors.selector import (
    Selector,
    SelectorChain,
    capture_values,
    parse_captures,
    walk_variable_users,
)
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan

BODY = {
    "id": 7,
    "null": None,
    "empty": "",
    "jobs": [{"id": "7", "state": "done"}, {"id": "a json:b", "state": "odd"}, {"id": "9", "state": None}],
    "by_id": {"7": {"state": "seven"}, "a.b/c": {"state": "dotted"}, "n-1": {"state": "dashed"}},
    "payload": json.dumps({"state": "inner", "deeper": json.dumps({"state": "innermost"})}),
    "payloads": ['{"s": 1}', {"s": 2}],
    "broken": "{",
    "half": '"\ud800"',
}
ANSWER = Response(202, Headers([("Location", "/jobs/7"), ("X-Info", '{"queue": "slow"}')]), json.dumps(BODY).encode())
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


def test_the_first_of_several_selectors_that_finds_something_counts():
    selection = SelectorChain.parse(["nothing", "null", "header:Location", "id"], "identifier")
    found = selection.find_first(ANSWER, {})
    assert found is not None
    assert (found[0].text, found[1]) == ("header:Location", "/jobs/7")
    assert selection.find_value(ANSWER, {}) == "/jobs/7"
    assert str(selection) == "'nothing' or 'null' or 'header:Location' or 'id'"


def test_a_selection_that_finds_nothing_gives_nothing():
    selection = SelectorChain.parse(("nothing", "null"), "identifier")
    assert selection.find_first(ANSWER, {}) is None
    assert selection.find_value(ANSWER, {}) is None


def test_an_unreadable_body_matters_only_where_nothing_else_finds_something():
    html = Response(201, Headers([("Location", "/7")]), b"<html>")
    assert SelectorChain.parse(["id", "header:Location"], "").find_value(html, {}) == "/7"
    with pytest.raises(ContentError, match="HTML page"):
        SelectorChain.parse(["id", "xpath://a", "header:X-None"], "").find_first(html, {})


@pytest.mark.parametrize("given_", [[], None, ()])
def test_at_least_one_selector_is_needed(given_):
    with pytest.raises(SelectorError, match="identifier: at least one selector is needed"):
        SelectorChain.parse(given_, "identifier")


def test_an_optional_selection_may_be_missing_but_not_malformed():
    assert SelectorChain.parse_optional(None, "x") is None
    assert SelectorChain.parse_optional("id", "x") == SelectorChain.parse("id", "x")
    with pytest.raises(SelectorError):
        SelectorChain.parse_optional("", "x")


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
