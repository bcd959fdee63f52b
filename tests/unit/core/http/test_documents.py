import codecs
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.errors import ContentError
from airflow_provider_asyncapi.core.http.documents import decode_text, find_json_charset, parse_form, parse_json


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        (b"\xc3\xa4", "", "ä"),
        (b"\xc3\xa4", "text/plain; charset=utf-8", "ä"),
        (b"\xe4", 'text/plain; charset="ISO-8859-1"', "ä"),
        (b"\xe4", "text/plain; Charset = 'latin-1'; x=y", "ä"),
        (codecs.BOM_UTF8 + "ä".encode(), "text/plain; charset=latin-1", "ä"),
        ("ä".encode("utf-16"), "", "ä"),
        (codecs.BOM_UTF16_BE + "ä".encode("utf-16-be"), "text/plain; charset=utf-8", "ä"),
        ("ä".encode("utf-32"), "text/plain; charset=utf-8", "ä"),
        ("ä".encode("utf-16-le"), "text/plain; charset=UTF-16", "ä"),
        (b"\x80", "text/plain; charset=x-cp1252", "€"),
    ],
)
def test_text_is_decoded_by_byte_order_mark_then_charset_then_utf8(body, content_type, text):
    assert decode_text(body, content_type) == text


def test_text_in_another_encoding_than_declared_is_an_error_that_says_where():
    with pytest.raises(ContentError, match=r"isn't valid utf-8: invalid .* at byte 3"):
        decode_text(b"abc\xe4def", "text/plain; charset=utf-8")


@pytest.mark.parametrize("charset", ["klingon", "hex", "undefined", "punycode", "unicode_escape", "utf-7"])
def test_a_charset_that_is_none_is_an_error_that_names_it(charset):
    with pytest.raises(ContentError, match=f"charset '{charset}'"):
        decode_text(b"\xff" * 100, f"text/plain; charset={charset}")


@pytest.mark.parametrize("charset", ["klingon", "hex", "undefined", "idna", "utf-8"])
def test_text_that_is_only_shown_is_decoded_as_well_as_can_be(charset):
    assert decode_text(b"ab\xff", f"text/plain; charset={charset}", errors="replace") == "ab\ufffd"


def test_text_that_is_only_shown_is_decoded_in_pieces_that_may_cut_a_character():
    text = "aä€" * 20_000
    for charset in ("utf-8", "utf-16-le", "shift_jis"):
        body = text.replace("ä", "").replace("€", "語").encode(charset)
        assert decode_text(body, f"text/plain; charset={charset}", errors="replace").count("語") == 20_000


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_json_is_read_in_every_unicode_encoding(encoding):
    assert parse_json('{"a": "ä"}'.encode(encoding), "application/json") == {"a": "ä"}


def test_json_is_read_in_its_declared_charset_and_whatever_it_is_called():
    assert parse_json(b'{"a": "\xe4"}', "text/html; charset=latin-1") == {"a": "ä"}
    assert parse_json(b" 7\n", "") == 7


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (b"", "application/json", r"expected JSON, got an empty body \(application/json\)"),
        (b" \r\n", "", r"expected JSON, got an empty body \(no content type\)"),
        (
            b"<!DOCTYPE html><title>Login</title>",
            "text/html; charset=utf-8",
            r"got an HTML page \(text/html\): Expecting value at line 1, column 1",
        ),
        (codecs.BOM_UTF8 + b"\n<html>", "application/json", r"got an HTML page \(application/json\)"),
        (
            b'{"a": 1,\n "b" 2}',
            "application/json",
            r"got 16 bytes of application/json: Expecting ':' delimiter at line 2, column 6",
        ),
        (b'{"a": "b', "text/plain", "Unterminated string"),
        (b'{"a": "\xe4"}', "application/json", "the body isn't valid utf-8"),
        (b'{\x00"\x00a\x00', "application/json", "got 6 bytes of application/json"),
        (b"{\x00\xd8", "application/json", "expected JSON, got 3 bytes"),
        (b"[" * 200_000, "application/json", "recursion"),
        (b"1" * 5000, "application/json", "digits"),
        (b"{}{}", "", "Extra data"),
    ],
)
def test_what_is_no_json_is_an_error_that_says_what_came_instead(body, content_type, message):
    with pytest.raises(ContentError, match=message):
        parse_json(body, content_type)


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf8mb4", "application/json; charset=binary", "application/json; charset=us-ascii"],
)
def test_a_charset_that_json_does_not_have_is_passed_over(content_type):
    assert parse_json('{"a": "ü"}'.encode(), content_type) == {"a": "ü"}
    assert find_json_charset(b"{", content_type) in ("utf-8", "ascii")


@given(
    st.binary() | st.text().map(str.encode),
    st.sampled_from(["", "application/json", "x; charset=utf-16", "x; charset=punycode"]),
)
def test_any_bytes_are_json_or_a_content_error(body, content_type):
    with contextlib.suppress(ContentError):
        json.dumps(parse_json(body, content_type))
    assert isinstance(decode_text(body, content_type, errors="replace"), str)


def test_a_form_is_read_and_a_field_that_is_repeated_is_a_list():
    body = b"a=1&b=%C3%A4+x&c=&a=2"
    assert parse_form(body, "application/x-www-form-urlencoded") == {"a": ["1", "2"], "b": "ä x", "c": ""}
    assert parse_form(b"", "") == {}


@pytest.mark.parametrize("body", [b"a=\xff", b"a=1&" * 1001])
def test_what_is_no_form_is_an_error_that_does_not_show_it(body):
    with pytest.raises(ContentError, match=r"expected a form, got|isn't valid utf-8") as caught:
        parse_form(body, "application/x-www-form-urlencoded")
    assert "a=" not in str(caught.value)


@given(st.binary(max_size=100))
def test_any_bytes_are_a_form_or_a_content_error(body):
    with contextlib.suppress(ContentError):
        assert all(isinstance(name, str) for name in parse_form(body, ""))


@pytest.mark.parametrize(
    "text", ["[{}, {}, [[]], {}]", '{"state": [1, [], [], [], [], []]}', '["\\"", [], [], [], [], []]']
)
def test_json_of_too_many_lists_and_objects_is_not_read(text):
    with pytest.raises(ContentError, match=r"^the JSON holds more than 4 lists and objects; ask the API for fewer$"):
        parse_json(text.encode(), "", 1)
    parse_json(text.encode(), "", 2)


@pytest.mark.parametrize(
    "text", ['["[[[[[[", {}, {}, []]', r'["\"[[[[[[", {}]', r'["\\", [], "[[[", {}, "]]{"]', "[[], {}, []]"]
)
def test_brackets_in_strings_are_no_lists_or_objects(text):
    assert parse_json(text.encode(), "", 1) == json.loads(text)
