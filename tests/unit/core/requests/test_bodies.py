import datetime as dt
import json
from email import message_from_bytes

import pytest
from lxml import etree

from airflow_provider_asyncapi.core.errors import ConfigurationError, UnsafeValueError
from airflow_provider_asyncapi.core.requests.bodies import Body

VARIABLES = {"id": 7, "name": "a \"<b>\" & 'c'", "list": ["x", 1], "half": "\ud800"}


def render(**given):
    body = Body.parse(given, "request")
    assert body is not None
    return body.render(VARIABLES)


def test_no_parameter_makes_no_body():
    assert Body.parse({"method": "GET", "json": None}, "request") is None


def test_json_keeps_types_and_unicode():
    body, content_type = render(json={"id": "{id}", "q": "{ job { state } }", "ü": "{name}"})
    assert content_type == "application/json"
    assert json.loads(body) == {"id": 7, "q": "{ job { state } }", "ü": VARIABLES["name"]}
    assert "ü".encode() in body


def test_an_empty_json_object_is_a_body():
    assert render(json={}) == (b"{}", "application/json")
    assert render(json=0)[0] == b"0"


@pytest.mark.parametrize("value", [{"at": dt.date(2026, 1, 2)}, [float("nan")], {("a", "b"): 1}])
def test_what_json_has_no_form_for_is_an_error(value):
    with pytest.raises(ConfigurationError, match=r"^json: .*; write it as a string or a number"):
        render(json=value)


def test_values_are_escaped_in_xml():
    body, content_type = render(xml='<?xml version="1.0"?><a b="{name}">{name} {unknown}</a>')
    root = etree.fromstring(body)
    assert (root.get("b"), root.text) == (VARIABLES["name"], f"{VARIABLES['name']} {{unknown}}")
    assert content_type == "application/xml; charset=utf-8"


def test_the_only_item_of_a_list_is_written_in_xml():
    body = Body.parse({"xml": "<a>{one}{many}</a>"}, "")
    assert body is not None
    assert body.render({"one": ["7"], "many": [1, 2]})[0] == b"<a>7[1,2]</a>"


def test_a_string_of_data_is_a_text():
    assert render(data="id={id} ü {x}") == ("id=7 ü {x}".encode(), "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    "data",
    [
        {"id": "{id}", "n": "a b", "l": "{list}", "none": None, "t": True, 5: "x", "o": {"a": 1}},
        [("id", "{id}"), ("n", "a b"), ["l", "{list}"], ("none", None), ("t", True), (5, "x"), ("o", {"a": 1})],
    ],
)
def test_a_mapping_or_pairs_of_data_are_a_form(data):
    body, content_type = render(data=data)
    assert content_type == "application/x-www-form-urlencoded"
    assert body == b"id=7&n=a+b&l=x&l=1&t=true&5=x&o=%7B%22a%22%3A1%7D"


def multipart(**given):
    body, content_type = render(**given)
    assert body.endswith(b"--\r\n")
    message = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    return message.get_payload()


def test_files_are_sent_as_multipart_with_the_form_fields_before_them():
    field, plain, full = multipart(
        data={"id": "{id}"},
        files={
            "a": "content {id}\r\n",
            "b": {
                "content": "{list}",
                "filename": 'x"{id}\n.csv',
                "content_type": "text/csv",
            },
        },
    )
    assert field.get_param("name", header="content-disposition") == "id"
    assert field.get_payload() == "7"
    assert plain["content-disposition"] == 'form-data; name="a"; filename="a"'
    assert plain["content-type"] == "application/octet-stream"
    assert plain.get_payload() == "content 7\r\n"
    assert full["content-disposition"] == 'form-data; name="b"; filename="x%227%0A.csv"'
    assert full["content-type"] == "text/csv"
    assert full.get_payload() == '["x",1]'


def test_a_file_may_be_one_variable_or_empty():
    one, empty = multipart(files={"a": "{id}", 2: {"content": ""}})
    assert one.get_payload() == "7"
    assert (empty["content-disposition"], empty.get_payload()) == ('form-data; name="2"; filename="2"', "")


def test_the_boundary_is_the_same_each_time_and_not_in_the_content():
    first, again = (render(files={"a": "x"}) for _ in range(2))
    assert first == again
    assert render(files={"a": "y"})[1] != first[1]


def test_a_content_type_with_a_line_break_is_an_error():
    with pytest.raises(ConfigurationError, match=r"files\['a'\]\.content_type: the header"):
        render(files={"a": {"content": "x", "content_type": "text/plain\r\nX: {id}"}})


@pytest.mark.parametrize(
    "given",
    [
        {"json": {"a": "{half}"}},
        {"xml": "<a>{half}</a>"},
        {"data": "{half}"},
        {"data": {"a": "{half}"}},
        {"files": {"a": "{half}"}},
    ],
)
def test_half_a_character_is_an_error_that_names_it(given):
    with pytest.raises(UnsafeValueError, match=r"holds half a character \('\\ud800'\)"):
        render(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"json": {}, "xml": "<a/>"}, "request: only one body is possible, but json and xml are given"),
        ({"json": {}, "data": "x", "files": {}}, "only one body is possible, but json and data and files"),
        ({"xml": 7}, "xml has to be a string, not int"),
        ({"data": 7}, r"data has to be a string \(text\) or a mapping or list of pairs \(a form\), not int"),
        ({"data": ["a"]}, "data has to be .*, not list"),
        ({"data": [("a",)]}, "data has to be .*, not list"),
        ({"data": "x", "files": {"a": "b"}}, "data beside files has to be a mapping"),
        ({"files": ["a"]}, "files has to be a mapping of field names, not list"),
        ({"files": {"a": 7}}, r"files\['a'\] has to be the content as a string"),
        ({"files": {"a": {"filename": "x"}}}, r"files\['a'\] has to be the content"),
        ({"files": {"a": {"content": "x", "file_name": "y"}}}, r"files\['a'\] has the unknown key 'file_name'"),
    ],
)
def test_a_wrong_body_is_an_error_that_names_the_parameter(given, message):
    with pytest.raises(ConfigurationError, match=message):
        Body.parse(given, "request")
