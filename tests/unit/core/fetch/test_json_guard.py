import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.errors import ContentError
from airflow_provider_asyncapi.core.fetch.formats.registry import ResultFormat
from airflow_provider_asyncapi.core.fetch.json_guard import guard_json
from airflow_provider_asyncapi.core.fetch.streaming import stream_rows
from airflow_provider_asyncapi.core.http.messages import Headers, Response

SIZES = [1, 7, 4096, 1_000_000]


def in_pieces(body, size):
    return [body[start : start + size] for start in range(0, len(body), size)]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.text('"\\[]{}1'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('"\\[{a'), inner),
)


@given(values, st.integers(1, 50), st.booleans())
def test_json_passes_as_it_is_wherever_it_is_cut(value, size, ascii_only):
    body = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "replace")
    pieces = in_pieces(body, size)
    assert list(guard_json(pieces)) == pieces


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"1" * 4300 + b"]",
        b'["' + b"1" * 10_000 + b'", "' + b"[" * 10_000 + b'"]',
        b'{"' + b'\\"' * 3000 + b"[" * 3000 + b'": "' + b"\\\\" * 3000 + b'"}',
        b"[" * 250 + b"]" * 250,
        b"[" + b'{"a": [1, 2, 3]}, ' * 10_000 + b"1]",
        b"[" + b"123456789, " * 10_000 + b"1]",
    ],
)
def test_large_json_passes(body, size):
    assert b"".join(guard_json(in_pieces(body, size))) == body


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("before", [b"[", b"[" + b"9, " * 5000, b"[" + b"1" * 4000 + b",'", b'["\\\\", ', b'["\\"", '])
def test_a_number_that_crashes_parsers_is_refused(before, size):
    with pytest.raises(ContentError, match="more than 4300 digits"):
        list(guard_json(in_pieces(before + b"1" * 4301 + b"]", size)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 600 + b"1" + b"}" * 600,
        b'["]", ' + b"[[1, 2], " * 600,
        (b"[" * 200 + b"]" * 100) * 6,
    ],
)
def test_nesting_that_takes_all_memory_is_refused(body, size):
    with pytest.raises(ContentError, match="nested at most 256 deep"):
        list(guard_json(in_pieces(body, size)))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[" + b"1" * 4301 + b"]", "more than 4300 digits"),
        (b"[" + b"[" * 50_000 + b"]" * 50_000 + b"]", "nested at most 256 deep"),
        (b"[1e99999999999999999999]", "it is broken"),
    ],
)
@pytest.mark.parametrize("charset", ["utf-8", "utf-16"])
def test_no_rows_are_read_of_what_crashes_the_parser(body, message, charset):
    """Without the guard these end the process, or take 6 GiB."""
    head = Response(200, Headers([("content-type", "application/json")]))
    body = body.decode().encode(charset)
    with pytest.raises(ContentError, match=message):
        list(stream_rows(lambda: in_pieces(body, 65536), head, ResultFormat.parse("json"), None, {}) or ())
