from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.fetch.formats.registry import RESULT_FORMATS, ResultFormat
from airflow_provider_asyncapi.core.fetch.formats.tables import Table
from airflow_provider_asyncapi.core.http.messages import Headers, Response
from airflow_provider_asyncapi.core.selectors import elements


def rows(text: str, **given):
    chosen = ResultFormat.parse({"format": "csv", **given})
    return list(chosen.options.parse_rows(text.splitlines(keepends=True)))


def test_a_format_is_a_name_or_has_options():
    csv, xml = RESULT_FORMATS["csv"], RESULT_FORMATS["xml"]
    assert ResultFormat.parse(None) == ResultFormat()
    assert ResultFormat.parse("csv") == ResultFormat(csv, options=Table())
    assert ResultFormat.parse({"format": "csv", "delimiter": ";"}) == ResultFormat(
        csv, options=Table(dialect={"delimiter": ";"})
    )
    assert ResultFormat.parse({"format": "xml", "elements": "markup"}) == ResultFormat(
        xml, options=elements.read_markup
    )
    assert ResultFormat.parse({"charset": "latin-1"}) == ResultFormat(charset="latin-1")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("yaml", "result_format: 'yaml' isn't one of json, xml, ndjson, csv, tsv, text"),
        (["csv"], "isn't one of json"),
        ({"format": "json", "delimiter": ";"}, "'delimiter' can be set for 'csv' and 'tsv' only"),
        ({"separator": ";"}, "unknown key 'separator'; known are format, charset$"),
        ({"columns": ["a"]}, "'columns' can be set for 'csv' and 'tsv' only"),
        ({"format": "csv", "separator": ";"}, "unknown key 'separator'; known are format, charset, columns, delimiter"),
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
        ({"elements": "markup"}, "'elements' can be set for 'xml' only"),
    ],
)
def test_what_can_not_be_a_format_is_an_error(given, message):
    with pytest.raises(ConfigurationError, match=message):
        ResultFormat.parse(given)


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
    found = ResultFormat().choose_row_kind(Response(200, Headers([("content-type", content_type)])))
    assert getattr(found, "name", None) == kind
