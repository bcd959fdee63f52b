import codecs
import json

import pytest

from airflow_provider_asyncapi.core.errors import (
    ConfigurationError,
    ContentError,
    MissingValueError,
    UnsafeContentError,
)
from airflow_provider_asyncapi.core.fetch import result_value, streaming
from airflow_provider_asyncapi.core.fetch.formats.base import RowFormatKind
from airflow_provider_asyncapi.core.fetch.formats.registry import ResultFormat
from airflow_provider_asyncapi.core.http.messages import Headers, Response
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain

NDJSON = "application/x-ndjson"


def answer(body, kind="application/json"):
    content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return Response(200, Headers([("Content-Type", kind)] if kind else []), content)


def decode(body, kind="application/json", *, chosen=None, path=None, read=result_value.decode):
    chosen = ResultFormat.parse(chosen)
    return read(
        answer(body, kind).with_charset(chosen.charset),
        chosen,
        SelectorChain.parse_optional(path, "result_path"),
        {"id": 7},
    )


@pytest.mark.parametrize(
    ("body", "kind", "value"),
    [
        ({"a": 1}, "application/json", {"a": 1}),
        ("null", "application/json", None),
        ({"a": 1}, "application/vnd.api+json; charset=utf-8", {"a": 1}),
        ({"a": 1}, "", {"a": 1}),
        ("[1]", "", [1]),
        ("a text", "", "a text"),
        ("", "", None),
        ("a text", "text/plain", "a text"),
        ("", "text/plain", ""),
        ("é".encode("latin-1"), "text/plain; charset=iso-8859-1", "é"),
        (codecs.BOM_UTF8 + b'{"a": 1}', "application/json", {"a": 1}),
        ("<a>1</a>", "application/xml", "<a>1</a>"),
        ('<?xml version="1.0" encoding="iso-8859-1"?><a>é</a>'.encode("latin-1"), "text/xml", "<a>é</a>"),
        ("<a/>", "application/atom+xml", "<a/>"),
        ('{"a": 1}\n\n{"a": 2}\r\n', NDJSON, [{"a": 1}, {"a": 2}]),
        ('"one\u2028line"\n2', "application/jsonl", ["one\u2028line", 2]),
        ("", NDJSON, []),
        ('a,b\r\n1,"x\ny"\r\n2,\r\n', "text/csv", [{"a": "1", "b": "x\ny"}, {"a": "2", "b": ""}]),
        (codecs.BOM_UTF8 + "ä\n1\n".encode(), "text/csv", [{"ä": "1"}]),
        ("ä\n1\n".encode("utf-16"), "text/csv", [{"ä": "1"}]),
        ("a,b\n1\n", "application/csv", [{"a": "1", "b": None}]),
        ("a,b\n", "text/csv", []),
        ("", "text/csv", []),
    ],
)
def test_the_content_type_says_how_a_body_is_read(body, kind, value):
    assert decode(body, kind) == value


@pytest.mark.parametrize(
    ("chosen", "body", "value"),
    [
        ("json", "[1]", [1]),
        ("text", "[1]", "[1]"),
        ("ndjson", "[1]", [[1]]),
        ("csv", "a\n1", [{"a": "1"}]),
        ("tsv", 'a\tb\n"1\t2', [{"a": '"1', "b": "2"}]),
        ("xml", "<a/>", "<a/>"),
    ],
)
def test_the_author_knows_better_than_the_content_type(chosen, body, value):
    assert decode(body, "application/octet-stream", chosen=chosen) == value


@pytest.mark.parametrize(
    ("chosen", "body", "kind", "value"),
    [
        ("json", b'["\xe4"]', "application/json", ["ä"]),
        ("json", b'["\xe4"]', "application/json; charset=utf8mb4", ["ä"]),
        ("json", '["ä"]'.encode(), "application/json; charset=latin-1", ["Ã¤"]),
        ("xml", b"<?xml version='1.0' encoding='utf-8'?><a>\xe4</a>", "text/xml; charset=utf-8", "<a>ä</a>"),
        ("text", b"\xe4", "text/plain; charset=utf-8", "ä"),
        ("csv", b"\xe4\n1", "text/csv; charset=utf8mb4", [{"ä": "1"}]),
        ("ndjson", b'"\xe4"', NDJSON, ["ä"]),
    ],
)
def test_the_charset_of_the_author_overrules_all_that_the_answer_says(chosen, body, kind, value):
    assert decode(body, kind, chosen={"format": chosen, "charset": "latin-1"}) == value
    if chosen in ("json", "xml"):
        path = "$[0]" if chosen == "json" else "xpath:/a"
        assert decode(body, kind, chosen={"charset": "latin-1"}, path=path) in value


def test_an_html_page_may_be_wanted():
    assert decode("<html/>", "text/html", chosen="text") == "<html/>"


@pytest.mark.parametrize(
    ("body", "kind", "chosen", "message"),
    [
        ("<html/>", "text/html", None, "the response is an HTML page; if that is the result, set result_format='text'"),
        ("<html/>", "text/html", "csv", "expected CSV, got an HTML page"),
        ("<html/>", "text/html", "ndjson", "expected NDJSON, got an HTML page"),
        ("<html/>", "text/html", "json", "expected JSON, got an HTML page"),
        (b"PK\3\4", "application/zip", None, "is application/zip, which isn't text: .* or output_type='file'"),
        (b"\xff", "text/plain", None, "isn't valid utf-8"),
        ("", "application/json", None, "expected JSON, got an empty body"),
        ("", "application/xml", None, "expected XML, got an empty body"),
        ("{", "application/json", None, "line 1, column 2"),
        ('{"a": 1}\n{', NDJSON, None, "expected NDJSON, but line 2 isn't JSON"),
        ("[" * 100_000, NDJSON, None, "expected NDJSON, but line 1"),
        ("a,b\n1,2,3\n", "text/csv", None, "line 2 has 3 fields, and there are 2 columns; result_format describes"),
        ('a\n"1\n', "text/csv", None, "expected CSV, but line 2 isn't"),
    ],
)
def test_a_body_that_is_not_what_was_promised_is_an_error(body, kind, chosen, message):
    with pytest.raises(ContentError, match=message):
        decode(body, kind, chosen=chosen)


def test_xml_with_entities_is_refused():
    with pytest.raises(UnsafeContentError):
        decode('<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>', "application/xml")


@pytest.mark.parametrize(
    ("body", "kind", "path", "value"),
    [
        ({"rows": [{"a": 1}]}, "application/json", "rows", [{"a": 1}]),
        ({"rows": []}, "application/json", "rows", []),
        ({"rows": [{"a": 1}]}, "application/json", "rows[*]", [{"a": 1}]),
        ({"rows": [{"a": 1}, {"a": 2}]}, "application/json", "rows[*]", [{"a": 1}, {"a": 2}]),
        ({"rows": []}, "application/json", "rows[*]", []),
        ({"rows": [{"a": 1}]}, "application/json", "rows[*].a", [1]),
        ({"rows": []}, "application/json", "rows[*].a", []),
        ({"rows": [{"a": 1}]}, "application/json", "rows[?(@.a == 1)]", [{"a": 1}]),
        ({"rows": [{"a": 1}]}, "application/json", "rows[?(@.a == 2)]", []),
        ({"rows": [{"a": 1}]}, "application/json", "rows[-1:].a", 1),
        ([], "application/json", "$[*]", []),
        ({"b": 2}, "application/json", ["a", "b"], 2),
        ({"b": 0}, "application/json", "b", 0),
        ("<a><b>1</b></a>", "application/xml", "xpath://b", ["1"]),
        ("<a><b>1</b></a>", "application/xml", "xpath:(//b)[1]", "1"),
        ("<a><b>1</b></a>", "application/xml", "xpath:string(//b)", "1"),
        ("<a><b>1</b></a>", "application/xml", "xpath:/a", {"b": "1"}),
        ("<a><b><c>1</c></b><b><c>2</c></b></a>", "application/xml", "xpath://b", [{"c": "1"}, {"c": "2"}]),
        ("<a><b><c>1</c></b></a>", "application/xml", "xpath://b", [{"c": "1"}]),
        ("<a><b><c>1</c></b></a>", "application/xml", "xpath://b[*]", [{"c": "1"}]),
        ("<a/>", "application/xml", "xpath://b[*]", []),
        ('<a><b c="1">{"d": 2}</b></a>', "application/xml", "xpath:/a/b[1] json:d", 2),
        ('<a><b c="1">id=7</b></a>', "application/xml", r"xpath:/a/b[1] regex:=(\d)", "7"),
        ('{"a": 1}\n{"a": 2}', NDJSON, "$[*].a", [1, 2]),
        ("a\n1\n2\n", "text/csv", "$[1].a", "2"),
        ('{"a": 1}', "application/octet-stream", "a", 1),
    ],
)
def test_a_path_keeps_a_part(body, kind, path, value):
    assert decode(body, kind, path=path) == value


def test_elements_can_stay_markup():
    body = '<v:a xmlns:v="urn:v"><v:b><v:c>1</v:c></v:b><v:b/></v:a>'
    chosen = {"format": "xml", "elements": "markup"}
    assert decode(body, "application/xml", chosen=chosen, path="xpath://v:b") == [
        '<v:b xmlns:v="urn:v"><v:c>1</v:c></v:b>',
        '<v:b xmlns:v="urn:v"/>',
    ]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ('<!DOCTYPE a [<!ENTITY e "x">]><a><b>&e;</b></a>', UnsafeContentError),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a><b>&e;</b></a>', UnsafeContentError),
        ("<b>" * 1000 + "</b>" * 1000, ContentError),
    ],
    ids=["entities", "external", "depth"],
)
def test_hostile_xml_is_refused_before_its_elements_are_read(body, error):
    with pytest.raises(error):
        decode(body, "application/xml", path="xpath://b")


@pytest.mark.parametrize(
    ("body", "nearest"),
    [
        ({"rows": None}, r"; \$\.rows is null; the JSON has the keys rows"),
        ({"other": []}, "; the JSON has the keys other"),
        ({"rows": {}}, r"; there is \$\.rows; \$\.rows is an object, not a list"),
    ],
)
def test_a_path_that_finds_nothing_is_an_error_that_names_what_is_near(body, nearest):
    with pytest.raises(MissingValueError, match=rf"^result_path: 'rows\[\*\]' or 'items' found nothing{nearest}$"):
        decode(body, path=["rows[*]", "items"])


@pytest.mark.parametrize(
    ("body", "path", "rows"),
    [
        ({"rows": [1, 2]}, "rows", [1, 2]),
        ({"rows": {"a": 1}}, "rows", [{"a": 1}]),
        ({"rows": None}, "rows", []),
        ({"rows": None}, ["items", "rows"], []),
        ([1], None, [1]),
        ("null", None, []),
    ],
)
def test_a_page_has_rows(body, path, rows):
    assert decode(body, path=path, read=result_value.decode_rows) == rows


@pytest.mark.parametrize(
    ("body", "kind", "path"),
    [({"error": "x"}, "application/json", "rows"), ("<a/>", "application/xml", "xpath://b")],
)
def test_a_page_whose_path_leads_nowhere_is_not_an_empty_page(body, kind, path):
    with pytest.raises(MissingValueError):
        decode(body, kind, path=path, read=result_value.decode_rows)


def test_a_page_that_has_no_body_where_rows_are_selected_is_an_error():
    with pytest.raises(ContentError):
        decode("", path="rows", read=result_value.decode_rows)


def test_a_value_may_stand_for_its_answer():
    response = result_value.make_json_response([{"a": 1}])
    assert result_value.make_selectable(response, ResultFormat()) is response
    assert SelectorChain.parse("$[0].a", "x").find_value(response, {}) == 1


def test_a_path_selects_from_a_named_format_whatever_the_content_type_is():
    assert decode({"a": 1}, "text/plain", chosen="json", path="a") == 1


class Packed(RowFormatKind):
    name = "packed"
    summary = "Rows that a package unpacks."
    package = "example[packed]"
    subtypes = frozenset({"packed"})

    def parse_rows(self, lines, options):
        raise ModuleNotFoundError(name="unpacker")


@pytest.mark.parametrize(
    "read",
    [
        lambda response, chosen: result_value.decode(response, chosen, None, {}),
        result_value.make_selectable,
        lambda response, chosen: list(
            streaming.stream_rows(lambda: iter([response.body]), response, chosen, None, {}) or ()
        ),
    ],
    ids=["whole", "for selectors", "row by row"],
)
def test_a_format_whose_package_is_missing_says_what_to_install(read):
    chosen = ResultFormat(Packed())
    with pytest.raises(ConfigurationError, match=r"'packed' needs unpacker: install example\[packed\]$"):
        read(answer("1", "application/packed"), chosen)
