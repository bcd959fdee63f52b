from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.fetch.formats import Format, tabular
from airflow_provider_asyncapi.core.fetch.tables import Table
from airflow_provider_asyncapi.core.http.messages import Headers, Response


def rows(text: str, **given):
    chosen = Format.parse({"format": "csv", **given})
    return list(chosen.table.rows(text.splitlines(keepends=True), chosen.name))


def test_a_format_is_a_name_or_says_more():
    assert Format.parse(None) == Format()
    assert Format.parse("csv") == Format("csv")
    assert Format.parse({"format": "csv", "delimiter": ";"}) == Format("csv", table=Table({"delimiter": ";"}))
    assert Format.parse({"format": "xml", "elements": "markup"}) == Format("xml", elements="markup")
    assert Format.parse({"charset": "latin-1"}) == Format(charset="latin-1")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("yaml", "result_format: 'yaml' isn't one of json, xml, ndjson, csv, tsv, text"),
        (["csv"], "isn't one of json"),
        ({"format": "json", "delimiter": ";"}, "'delimiter' may be said of 'csv' and 'tsv' only"),
        ({"columns": ["a"]}, "'columns' may be said of 'csv' and 'tsv' only"),
        ({"format": "csv", "separator": ";"}, "'separator' can't be ';'; there are charset, columns, delimiter"),
        ({"format": "csv", "columns": "a,b"}, "'columns' has to be a list of names, not 'a,b'"),
        ({"format": "csv", "columns": [1]}, "'columns' has to be a list of names"),
        ({"format": "csv", "skip_first": -1}, "'skip_first' has to be a number of lines, not -1"),
        ({"format": "tsv", "skip_last": True}, "'skip_last' has to be a number of lines, not True"),
        ({"format": "csv", "comment": ""}, "'comment' has to be the beginning of a line, not ''"),
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


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("application/fhir+ndjson", "ndjson"),
        ("application/x-ndjson; charset=utf-8", "ndjson"),
        ("application/jsonlines", "ndjson"),
        ("application/jsonl", "ndjson"),
        ("application/x-jsonlines", "ndjson"),
        ("application/jsonlines+json", "ndjson"),
        ("application/stream+json", "ndjson"),
        ("text/jsonl", "ndjson"),
        ("text/tab-separated-values", "tsv"),
        ("text/tsv", "tsv"),
        ("text/x-csv", "csv"),
        ("image/csv", None),
        ("application/json", None),
        ("", None),
    ],
)
def test_content_types_of_rows_are_known(content_type, kind):
    assert tabular(Response(200, Headers([("content-type", content_type)]))) == kind
