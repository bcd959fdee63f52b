from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.formats import Format
from airflow_provider_asyncapi.core.messages import Headers, Response


def rows(text: str, **given):
    return list(Format.parse({"format": "csv", **given}).csv_rows(text.splitlines(keepends=True)))


def test_a_format_is_a_name_or_says_more():
    assert Format.parse(None) == Format()
    assert Format.parse("csv") == Format("csv")
    assert Format.parse({"format": "csv", "delimiter": ";"}) == Format("csv", dialect={"delimiter": ";"})
    assert Format.parse({"format": "xml", "elements": "markup"}) == Format("xml", elements="markup")
    assert Format.parse({"charset": "latin-1"}) == Format(charset="latin-1")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("yaml", "result_format: 'yaml' isn't one of json, xml, ndjson, csv, text"),
        (["csv"], "isn't one of json"),
        ({"format": "json", "delimiter": ";"}, "'delimiter' may be said of 'csv' only"),
        ({"columns": ["a"]}, "'columns' may be said of 'csv' only"),
        ({"format": "csv", "separator": ";"}, "'separator' can't be ';'; there are charset, columns and delimiter"),
        ({"format": "csv", "delimiter": 1}, "'delimiter' can't be 1"),
        ({"format": "csv", "delimiter": ";;"}, "delimiter"),
        ({"charset": "utf-9"}, "'utf-9' isn't a charset"),
        ({"charset": 8}, "8 isn't a charset"),
        ({"format": "xml", "elements": "rows"}, "elements can't be 'rows'; there are objects, markup"),
        ({"elements": "markup"}, "'elements' may be said of 'xml' only"),
    ],
)
def test_what_can_not_be_a_format_is_an_error(given, message):
    with pytest.raises(ConfigurationError, match=message):
        Format.parse(given)


@pytest.mark.parametrize(
    ("text", "given", "expected"),
    [
        ("a;b\n1;2\n", {"delimiter": ";"}, [{"a": "1", "b": "2"}]),
        ("a,b\n'1,2',3\n", {"quotechar": "'"}, [{"a": "1,2", "b": "3"}]),
        ('a\n"1\\"2"\n', {"escapechar": "\\", "doublequote": False}, [{"a": '1"2'}]),
        ("a, b\n1, 2\n", {"skipinitialspace": True}, [{"a": "1", "b": "2"}]),
        ("1,2\n3,4\n", {"columns": ["a", "b"]}, [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]),
        ("a,b\n\n1\n", {}, [{"a": "1", "b": None}]),
    ],
)
def test_csv_has_dialects(text, given, expected):
    assert rows(text, **given) == expected


def test_a_charset_of_the_authors_own_overrules_the_answers():
    response = Response(200, Headers([("content-type", "text/csv; charset=utf-8")]))
    assert Format(charset="latin-1").content_type(response) == "text/csv; charset=latin-1"
    assert Format().content_type(response) == "text/csv; charset=utf-8"
