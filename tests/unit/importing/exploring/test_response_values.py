"""Each value of a response is listed with a selector that finds it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.http.messages import Headers, Response
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.importing.exploring.response_values import list_values

names = st.sampled_from(
    ["id", "a b", "x.y", "where", "'q", '"q', "", "$", "*", "header:x", "status_code", "{a}", "@id"]
)
leaves = st.none() | st.booleans() | st.integers() | st.sampled_from(["7f3", "https://h/x", ""])
documents = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4), max_leaves=8
)


def respond(body, content_type, **headers):
    fields = [("content-type", content_type), *headers.items()]
    return Response(200, Headers(fields), body.encode(), url="https://h/x")


@settings(max_examples=60)
@given(documents)
def test_a_selector_finds_its_value(document):
    response = respond(json.dumps(document), "application/json")
    for each in list_values(response):
        # Selectors take null for nothing.
        if each.value is not None:
            found = SelectorChain.parse(each.selector, "selector").find_first_keeping_lists(response, {})
            assert found is not None
            assert found[1] == each.value


@pytest.mark.parametrize("root", ["<job xmlns='urn:d' xmlns:x='urn:x' {}>", "<x:job xmlns:x='urn:x' {}>", "<job {}>"])
def test_an_xpath_finds_its_value(root):
    end = root.partition(" ")[0].replace("<", "</") + ">"
    body = root.format("id='7' xml:lang='de'") + "<state> DONE </state><empty/><deep><a ref='r'>1</a></deep>" + end
    response = respond(body, "application/xml")
    values = list_values(response)
    assert sorted(each.value for each in values) == ["1", "7", "DONE", "r"]
    for each in values:
        found = SelectorChain.parse(each.selector, "selector").find_first(response, {})
        assert found is not None
        assert found[1] == each.value


def test_headers_and_plain_text():
    response = respond(" 7f3 ", "text/plain", location="/jobs/7f3")
    assert [(each.selector, each.value) for each in list_values(response)] == [
        ("header:Location", "/jobs/7f3"),
        ("response_text", "7f3"),
    ]
    assert list_values(respond("<html>" + "x" * 300, "text/html")) == []
    assert list_values(respond("", "text/plain")) == []
