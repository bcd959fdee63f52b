"""Decoders, paginators and error handlers of a manifest become parameters of the three tasks."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.unit.importing.airbyte.manifests import gaps_of, import_one, make_manifest, make_stream, path, requester


def fetch_of(**retriever: Any) -> dict[str, Any]:
    fetch: dict[str, Any] = import_one(make_manifest(make_stream(**retriever))).profile["fetch"]
    return fetch


CSV = {"type": "CsvDecoder"}


@pytest.mark.parametrize(
    ("decoder", "expected"),
    [
        ({"type": "JsonDecoder"}, {"result_format": "json"}),
        ({"type": "JsonlDecoder"}, {"result_format": "ndjson", "result_path": "$[*]"}),
        (CSV, {"result_format": "csv", "result_path": "$[*]"}),
        (
            {"type": "GzipDecoder", "decoder": {**CSV, "delimiter": "\\t", "encoding": "latin-1"}},
            {"result_format": {"format": "csv", "delimiter": "\t", "charset": "latin-1"}, "result_path": "$[*]"},
        ),
        ({**CSV, "encoding": "utf-8-sig"}, {"result_format": "csv", "result_path": "$[*]"}),
        (
            {"type": "JsonItemsDecoder", "items_path": "data.rows"},
            {"result_format": "json", "result_path": "data.rows[*]"},
        ),
        ({"type": "ZipfileDecoder", "decoder": CSV}, {"output_type": "zip"}),
        ({"type": "XmlDecoder"}, {"result_format": "xml"}),
    ],
)
def test_a_decoder_is_a_format(decoder, expected):
    assert fetch_of(download_decoder=decoder) == {"endpoint": "{download_target}", **expected}


def test_what_a_decoder_does_with_values_is_named():
    draft = import_one(make_manifest(make_stream(download_decoder={**CSV, "set_values_to_none": ["", "--"]})))
    place = "streams[0].retriever.download_decoder.set_values_to_none"
    assert gaps_of(draft) == {place: "the values '', '--' aren't made null"}
    custom = {"type": "CustomDecoder", "class_name": "acme.Decoder"}
    draft = import_one(make_manifest(make_stream(download_decoder=custom)))
    assert "acme.Decoder" in gaps_of(draft)["streams[0].retriever.download_decoder"]


def test_an_extractor_is_a_path_of_rows():
    assert fetch_of(download_extractor=path("data", "0", "rows"))["result_path"] == "data[0].rows"
    assert fetch_of(download_extractor=path("*", "*"))["result_path"] == "$.*[*]"
    assert fetch_of(download_extractor={"type": "ResponseToFileExtractor"})["result_format"] == "csv"


def page(strategy: dict[str, Any], token: Any = None, size: Any = None) -> dict[str, Any]:
    options = {"page_token_option": token, "page_size_option": size}
    return {
        "type": "DefaultPaginator",
        "pagination_strategy": strategy,
        **{key: value for key, value in options.items() if value},
    }


def put(name: str, place: str = "request_parameter") -> dict[str, Any]:
    return {"type": "RequestOption", "inject_into": place, "field_name": name}


LINK = {"type": "CursorPagination", "cursor_value": "{{ headers['link']['next']['url'] }}"}
CURSOR = {"type": "CursorPagination", "cursor_value": "{{ response.get('meta', {}).get('next') }}", "page_size": 50}


@pytest.mark.parametrize(
    ("paginator", "expected"),
    [
        ({"type": "NoPagination"}, {}),
        (
            page({"type": "OffsetIncrement", "page_size": 100}, put("offset"), put("limit")),
            {"page_size": 100, "query_params": {"offset": "{offset}", "limit": "{limit}"}},
        ),
        (
            page({"type": "PageIncrement", "page_size": 100, "start_from_page": 1}, put("page"), put("size")),
            {"first_page": 1, "query_params": {"page": "{page}", "size": 100}},
        ),
        (
            page(CURSOR, put("after", "body_json"), put("X-Size", "header")),
            {"cursor": "meta.next", "json": {"after": "{cursor}"}, "headers": {"X-Size": 50}},
        ),
        (page(LINK, {"type": "RequestPath"}), {"next_page": "header:Link"}),
        (
            page({**CURSOR, "stop_condition": "{{ not response['meta']['next'] }}"}, put("after")),
            {"cursor": "meta.next", "query_params": {"after": "{cursor}"}},
        ),
    ],
)
def test_a_paginator_is_a_way_of_paging(paginator, expected):
    pages = {"output_type": "pages"} if expected else {}
    assert fetch_of(download_paginator=paginator) == {"endpoint": "{download_target}", **pages, **expected}


def test_a_text_that_ends_the_pages_isnt_a_cursor():
    strategy = {
        "type": "CursorPagination",
        "cursor_value": "{{ headers['Sforce-Locator'] }}",
        "stop_condition": "{{ headers['Sforce-Locator'] == 'null' }}",
    }
    fetch = fetch_of(download_paginator=page(strategy, put("locator")))
    header, _, pattern = fetch["cursor"].partition(" regex:")
    assert header == "header:Sforce-Locator"
    for text in ("MTAw", "n", "nul", "nullx", "xnull", "Null"):
        assert re.search(pattern, text)
    assert not re.search(pattern, "null")


def test_what_ends_the_pages_otherwise_is_named():
    draft = import_one(
        make_manifest(
            make_stream(
                download_paginator=page({**CURSOR, "stop_condition": "{{ last_page_size < 50 }}"}, put("after"))
            )
        )
    )
    assert "the manifest ends them if {{ last_page_size < 50 }}" in str(draft.gaps)


@pytest.mark.parametrize(
    ("paginator", "message"),
    [
        (page({"type": "CustomPaginationStrategy", "class_name": "acme.Pages"}), "acme.Pages: no way of paging"),
        ({"type": "CustomPaginator", "class_name": "acme.Paginator"}, "acme.Paginator: no way of paging"),
        (page({"type": "CursorPagination", "cursor_value": "{{ last_record['id'] }}"}), "write a selector for {{ last"),
        (page(CURSOR, {"type": "RequestOption", "inject_into": "path"}), "the token is the path"),
    ],
)
def test_a_paginator_without_counterpart_is_named(paginator, message):
    assert message in str(import_one(make_manifest(make_stream(download_paginator=paginator))).gaps)


def submit_with(*filters: Any, **handler: Any) -> tuple[dict[str, Any], str]:
    error_handler = {"type": "DefaultErrorHandler", "response_filters": list(filters), **handler}
    composite = {"type": "CompositeErrorHandler", "error_handlers": [error_handler]}
    creation = requester("jobs", http_method="POST", error_handler=composite)
    draft = import_one(make_manifest(make_stream(creation_requester=creation)))
    given = draft.profile["submit"]
    return {key: value for key, value in given.items() if key not in ("endpoint", "identifier")}, str(draft.gaps)


def act(action: str, **keys: Any) -> dict[str, Any]:
    return {"type": "HttpResponseFilter", "action": action, **keys}


@pytest.mark.parametrize(
    ("response_filter", "rule"),
    [
        (act("RETRY", http_codes=[400]), {"selector": "status_code", "in": 400, "outcome": "retry"}),
        (
            act("RATE_LIMITED", http_codes=[400, 403], error_message_contains="quota (daily)"),
            {
                "all": [
                    {"selector": "status_code", "in": [400, 403]},
                    {"selector": "response_text", "matches": r"quota \(daily\)"},
                ],
                "outcome": "retry",
            },
        ),
        (
            act("FAIL", predicate="{{ response.get('code') == 8 }}"),
            {"selector": "code", "in": 8, "outcome": "failure"},
        ),
        (
            act("FAIL", predicate="{{ 'error' in response }}"),
            {"selector": "response_text", "matches": "error", "outcome": "failure"},
        ),
        (
            act("FAIL", predicate="{{ not response['ok'] }}"),
            {"selector": "ok", "exists": False, "outcome": "failure"},
        ),
        (
            act("RETRY", predicate="{{ headers['X-State'] in ['busy', 'full'] }}"),
            {"selector": "header:X-State", "in": ["busy", "full"], "outcome": "retry"},
        ),
    ],
)
def test_a_response_filter_is_a_rule(response_filter, rule):
    assert submit_with(response_filter) == ({"rules": [rule]}, "[]")


def test_what_is_repeated_or_refused_anyway_needs_no_rule():
    assert submit_with(act("RETRY", http_codes=[429, 503]), act("FAIL", http_codes=[401])) == ({}, "[]")


def test_delays_and_numbers_of_retries():
    header = {"type": "WaitTimeFromHeader", "header": "X-Reset", "regex": r"(\d+)s"}
    assert submit_with(backoff_strategies=[header], max_retries=3) == (
        {"retry_after": r"header:X-Reset regex:(\d+)s", "max_consecutive_errors": 4},
        "[]",
    )
    constant = {"type": "ConstantBackoff", "backoff_time_in_seconds": 7}
    standard = {"type": "WaitTimeFromHeader", "header": "Retry-After"}
    exponential = {"type": "ExponentialBackoff", "factor": 5}
    assert submit_with(backoff_strategies=[constant, standard, exponential]) == (
        {"retry_delays": {"429": 7, "503": 7}},
        "[]",
    )


@pytest.mark.parametrize(
    ("filters", "handler", "message"),
    [
        ([act("IGNORE", http_codes=[404])], {}, "the action IGNORE for status codes 404"),
        ([act("IGNORE", error_message_contains="x")], {}, "the action IGNORE for x"),
        ([act("IGNORE")], {}, "for all responses"),
        ([act("FAIL", predicate="{{ response | length > 3 }}")], {}, "the condition {{ response | length > 3 }}"),
        ([], {"backoff_strategies": [{"type": "CustomBackoffStrategy", "class_name": "acme.Wait"}]}, "acme.Wait"),
    ],
)
def test_what_has_no_rule_is_named(filters, handler, message):
    keys, gaps = submit_with(*filters, **handler)
    assert keys == {}
    assert message in gaps


def test_a_handler_in_code_is_named():
    custom = {"type": "CustomErrorHandler", "class_name": "acme.Errors"}
    creation = requester("jobs", http_method="POST", error_handler=custom)
    assert "acme.Errors" in str(import_one(make_manifest(make_stream(creation_requester=creation))).gaps)


def test_bodies_of_all_types():
    def submit(**keys: Any) -> Any:
        creation = requester("jobs", http_method="POST", **keys)
        return import_one(make_manifest(make_stream(creation_requester=creation)))

    def body(kind: str, value: Any) -> dict[str, Any]:
        return {"request_body": {"type": kind, "value": value}}

    assert submit(**body("RequestBodyUrlEncodedForm", {"a": "1"})).profile["submit"]["data"] == {"a": "1"}
    assert submit(**body("RequestBodyPlainText", "a={{ config['b'] }}")).profile["submit"]["data"] == "a={connection.b}"
    graphql = submit(**body("RequestBodyGraphQL", {"query": "{ jobs { id } }", "variables": None}))
    assert graphql.profile["submit"]["json"] == {"query": "{ jobs { id } }"}
    assert submit(request_body_data={"a": "b"}).profile["submit"]["data"] == {"a": "b"}
    unknown = submit(**body("RequestBodyOther", 1))
    assert "a body of an unknown type" in str(unknown.gaps)
    headers = submit(request_body_json={"a": 1}, request_headers={"Content-Type": "application/json"})
    assert "headers" not in headers.profile["submit"]
