from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError, ContentError, UnsafeValueError
from airflow_provider_asyncapi.core.http import documents, xml_documents
from airflow_provider_asyncapi.core.http.messages import (
    Headers,
    Request,
    Response,
    ResponsePart,
    parse_origin,
    validate_header,
)
from tests.unit.recorded_calls import recorded


def test_headers_are_found_in_any_case_and_repeated_ones_joined():
    headers = Headers([("Link", "<a>"), ("Content-Type", "text/plain"), ("LINK", "<b>")])
    assert headers["lInK"] == "<a>, <b>"
    assert headers.get("content-type") == "text/plain"
    assert "Location" not in headers
    assert (list(headers), len(headers), len(Headers())) == (["link", "content-type"], 2, 0)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTPS://API.Example.com/x", ("https", "api.example.com", 443)),
        ("http://h", ("http", "h", 80)),
        ("https://u:p@h:8443/", ("https", "h", 8443)),
        ("https://[::1]:9/", ("https", "::1", 9)),
        ("ftp://h", ("ftp", "h", None)),
        ("/relative", ("", "", None)),
    ],
)
def test_an_origin_is_scheme_host_and_port(url, expected):
    assert parse_origin(url) == expected


@pytest.mark.parametrize("url", ["http://h:port/", "http://h:99999/", "http://[::1", "https://u:geheim@h:x/?k=geheim"])
def test_what_has_no_origin_is_an_error_without_secrets(url):
    with pytest.raises(UnsafeValueError, match="isn't the address of a server") as caught:
        parse_origin(url)
    assert "geheim" not in str(caught.value)


def test_a_request_shows_neither_its_query_nor_headers_nor_body():
    request = Request("GET", "https://u:geheim@h/p?key=geheim", (("X-Key", "geheim"),), b"geheim")
    assert str(request) == "GET https://h/p?…"
    assert repr(request) == "<Request GET https://h/p?…>"


def test_headers_of_a_request_are_replaced_in_any_case():
    request = Request("GET", "https://h", (("accept", "a"), ("X", "1")))
    changed = request.with_headers(pair for pair in [("Accept", "b"), ("Y", "2")])
    assert changed.headers == (("X", "1"), ("Accept", "b"), ("Y", "2"))
    assert changed.has_header("ACCEPT")
    assert not request.has_header("y")
    assert (changed.method, changed.url, changed.body) == ("GET", "https://h", None)


@pytest.mark.parametrize(("status", "ok"), [(199, False), (200, True), (299, True), (300, False)])
def test_a_response_is_ok_from_200_to_299(status, ok):
    assert Response(status).ok is ok


def test_a_response_reads_its_body_as_json_xml_and_text():
    response = Response(200, Headers([("Content-Type", "Application/JSON; charset=utf-8")]), b'{"a": 1}')
    assert response.content_type == "application/json"
    assert response.json == {"a": 1}
    assert response.json is response.json
    assert response.text == '{"a": 1}'
    assert Response(200, body=b"<a/>").xml.tag == "a"
    assert Response(200).content_type == ""
    with pytest.raises(ContentError):
        _ = Response(200, body=b"<a/>").json


def test_undecodable_text_is_shown_all_the_same():
    assert Response(200, Headers([("content-type", "x; charset=klingon")]), b"a\xff").text == "a\ufffd"


def test_a_response_shows_no_query():
    assert repr(Response(200, url="https://h/p?key=geheim")) == "<Response 200 https://h/p?…>"


def test_a_header_loses_the_white_space_around_it():
    assert validate_header("X-A", " b\tc\n", "headers") == ("X-A", "b\tc")


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\nb", "ä", 7, None])
def test_a_name_that_http_does_not_allow_is_an_error(name):
    with pytest.raises(ConfigurationError, match=r"headers: .*can't be the name of a header"):
        validate_header(name, "x", "headers")


@pytest.mark.parametrize("value", ["geheim\nX: y", "geheim\r", "gehe\x00im", "geheimé€"])
def test_a_header_with_a_line_break_is_an_error_that_does_not_show_it(value):
    if value == "geheim\r":
        assert validate_header("X", value, "headers") == ("X", "geheim")
        return
    with pytest.raises(ConfigurationError, match="headers: the header 'X' holds a line break") as caught:
        validate_header("X", value, "headers")
    assert "geheim" not in str(caught.value)


def part(value: object, body: bytes = b"{}") -> ResponsePart:
    return ResponsePart(
        Response(200, Headers([("Content-Type", "application/json; charset=iso-8859-1")]), body, url="u"), value
    )


def test_a_part_of_an_answer_is_an_answer_of_its_own():
    one = part({"id": "ä"})
    assert (one.status, one.content_type, one.url, one.ok) == (200, "application/json", "u", True)
    assert one.json == {"id": "ä"}
    # Whatever the charset of the whole.
    assert one.text == '{"id": "ä"}'
    assert one.body == '{"id": "ä"}'.encode()
    assert (part(None).json, part(None).text, part(None).body) == (None, "", b"")
    assert part("\ud800").body == b'"?"'


def test_parts_are_compared_by_their_values():
    assert part({"id": 1, "n": [None, 0.5]}, b"1").fingerprint == part({"id": 1, "n": [None, 0.5]}, b"2").fingerprint
    different = [part(value).fingerprint for value in (1, True, 1.0, "1", [1], None, {"id": 1}, {"id": "1"})]
    assert len(set(different)) == len(different)


def test_what_is_nested_too_deeply_can_not_be_compared():
    value: list[object] = []
    for _ in range(5000):
        value = [value]
    assert part(value).fingerprint is None


@pytest.mark.parametrize(("kind", "module"), [("json", documents), ("xml", xml_documents)])
def test_a_body_that_cannot_be_read_is_parsed_once_however_many_selectors_look_into_it(kind, module, monkeypatch):
    parsed: list[Any] = []
    parse = getattr(module, f"parse_{kind}")
    monkeypatch.setattr(module, f"parse_{kind}", recorded(parse, parsed, lambda body, *_: body))
    response = Response(200, Headers([("content-type", "text/x")]), b"<a")
    errors = set()
    for _ in range(20):
        with pytest.raises(ContentError) as caught:
            getattr(response, kind)
        errors.add(caught.value)
    assert len(parsed) == 1
    assert len(errors) == 20
