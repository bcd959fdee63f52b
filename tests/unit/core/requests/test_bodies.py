import datetime as dt
import json
from email import message_from_bytes
from pathlib import PurePosixPath
from typing import Any

import pytest
from lxml import etree

from airflow_provider_asyncapi.core.errors import ConfigurationError, UnknownVariableError, UnsafeValueError
from airflow_provider_asyncapi.core.http.file_bodies import FileBody
from airflow_provider_asyncapi.core.requests.bodies import Body
from tests.unit.fake_files import MemoryFiles

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


# Files


def parse_with_files(**given):
    body = Body.parse(given, "submit", sends_files=True)
    assert body is not None
    return body


def test_a_body_may_be_a_file():
    files = MemoryFiles(a_csv=b"1,2")
    body = parse_with_files(body={"path": "/data/{day}.csv", "content_type": "text/{kind}"})
    assert body.files[""].render_path({"day": "d1"}) == "/data/d1.csv"
    source = files.inspect("a.csv")
    assert body.render({"kind": "csv"}, {"": source}) == (FileBody((source,)), "text/csv")
    assert parse_with_files(body={"path": "/x"}).render({}, {"": source})[1] == "application/octet-stream"


def test_parts_may_be_files_beside_texts_and_fields():
    files = MemoryFiles(a_csv=b"1,2", b_bin=b"\xff")
    body = parse_with_files(
        data={"purpose": "{id}"},
        files={
            "note": "hello",
            "a": {"path": "/x/a.csv", "content_type": "text/csv"},
            "b": {"path": "s3://bucket/b.bin", "filename": "{id}.bin"},
        },
    )
    sources = {"a": files.inspect("a.csv"), "b": files.inspect("b.bin")}
    content, content_type = body.render({"id": 7, "idempotency_key": "k"}, sources)
    assert isinstance(content, FileBody)
    encoded = b"".join(content.read_chunks())
    assert len(encoded) == content.size
    message: Any = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + encoded)
    field, note, first, second = message.get_payload()
    assert (field.get_payload(), note.get_payload()) == ("7", "hello")
    assert first["content-disposition"] == 'form-data; name="a"; filename="a.csv"'
    assert (first["content-type"], first.get_payload()) == ("text/csv", "1,2")
    assert second["content-disposition"] == 'form-data; name="b"; filename="7.bin"'
    assert second.get_payload(decode=True) == b"\xff"


def test_the_boundary_between_files_is_the_same_each_time_and_depends_on_the_key():
    body = parse_with_files(files={"a": {"path": "/x/a.csv"}})
    source = MemoryFiles(a_csv=b"1").inspect("a.csv")
    first, again, other = (body.render({"idempotency_key": key}, {"a": source}) for key in "aab")
    assert first == again
    assert first[1] != other[1]


def test_a_path_may_be_an_object():
    assert parse_with_files(body={"path": PurePosixPath("/x/a.csv")}).files[""].path == "/x/a.csv"
    assert parse_with_files(body={"path": ObjectPath("s3://b/a.csv")}).files[""].path == "s3://b/a.csv"


class ObjectPath:
    """A path as that of an object store, which has no path in the file system."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __str__(self) -> str:
        return self.url

    def as_uri(self) -> str:
        return self.url


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        (
            "/data/{file}",
            UnknownVariableError,
            r"submit: body\.path: the variable \{file\} isn't set; .* an API must not",
        ),
        (" ", UnsafeValueError, r"submit: body\.path: is empty; it is the path or URL of a file"),
        ("/data/{up}/x", UnsafeValueError, r"body\.path: a variable must not lead to another folder: '/data/\.\./x'"),
        ("/data/{half}", UnsafeValueError, r"body\.path: the variable \{half\} holds a line break or another control"),
    ],
)
def test_a_path_that_a_response_or_a_variable_could_choose_is_refused(path, kind, message):
    reference = parse_with_files(body={"path": path}).files[""]
    with pytest.raises(kind, match=message):
        reference.render_path({"up": "..", "half": "\ud800"})


def test_the_author_of_the_dag_may_name_any_folder():
    assert parse_with_files(body={"path": "../x"}).files[""].render_path({}) == "../x"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"body": "text"},
            r"submit: body has to be a mapping with the path of a file, not str; a text is sent with data",
        ),
        ({"body": {"content_type": "x"}}, "body has to be a mapping with the path of a file"),
        ({"body": {"path": 7}}, r"submit: body\.path: has to be a path or URL, not 7"),
        ({"body": {"path": "/x", "file": "y"}}, "body has the unknown key 'file'; it may have path, content_type, max"),
        ({"body": {"path": "/x", "max_bytes": "1"}}, r"body\.max_bytes: has to be a number of bytes, not '1'"),
        ({"body": {"path": "/x", "max_bytes": True}}, r"body\.max_bytes: has to be a number of bytes, not True"),
        ({"body": {"path": "/x", "max_bytes": -1}}, r"body\.max_bytes: has to be a number of bytes, not -1"),
        ({"body": {"path": "/x"}, "json": {}}, "only one body is possible, but json and body are given"),
        ({"files": {"a": {"path": "/x", "content": "y"}}}, r"files\['a'\] has the unknown key 'content'"),
        ({"files": {"a": {"path": None}}}, r"files\['a'\]\.path: has to be a path or URL, not None"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_the_parameter(given, message):
    with pytest.raises(ConfigurationError, match=message):
        parse_with_files(**given)


@pytest.mark.parametrize("given", [{"body": {"path": "/x"}}, {"files": {"a": {"path": "/x"}}}])
def test_a_request_that_is_not_sent_on_a_worker_cant_send_a_file(given):
    with pytest.raises(ConfigurationError, match=r"status request: .*\.path: this request can't send a file: only"):
        Body.parse(given, "status request")
