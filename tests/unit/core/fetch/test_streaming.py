from __future__ import annotations

import codecs
import contextlib
import gzip
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.errors import ContentError, MissingValueError
from airflow_provider_asyncapi.core.fetch import result_value, streaming
from airflow_provider_asyncapi.core.fetch.formats import streamed_body
from airflow_provider_asyncapi.core.fetch.formats.registry import ResultFormat
from airflow_provider_asyncapi.core.http.messages import Headers, Response
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain

JSON, NDJSON = "application/json", "application/x-ndjson"


def stream(body, path=None, *, kind=JSON, chosen=None, size=7):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def read():
        return (content[at : at + size] for at in range(0, len(content), size))

    chosen = ResultFormat.parse(chosen)
    rows = streaming.stream_rows(
        read,
        Response(200, Headers([("content-type", kind)] if kind else [])).with_charset(chosen.charset),
        chosen,
        SelectorChain.parse_optional(path, "result_path"),
        {"id": 7},
    )
    return None if rows is None else list(rows)


ROWS = [{"id": 7, "ok": True, "tags": ["a", "b"]}, {"id": 8, "ok": False, "tags": []}]


@pytest.mark.parametrize(
    ("document", "path", "rows"),
    [
        (ROWS, None, ROWS),
        (ROWS, "$[*]", ROWS),
        (ROWS, "$", ROWS),
        ({"data": {"rows": ROWS}}, "data.rows", ROWS),
        ({"data": {"rows": ROWS}}, "$.data.rows[*]", ROWS),
        ({"rows": ROWS}, "rows[*].id", [7, 8]),
        ({"rows": ROWS}, "rows[*].tags[*]", ["a", "b"]),
        ({"rows": ROWS}, "rows[?(@.ok == true)].id", [7]),
        ({"rows": ROWS}, "rows[?(@.id == {id})].ok", [True]),
        ({"rows": [1, None, 2]}, "rows", [1, 2]),
        ({"rows": []}, "rows[*].id", []),
        ({"rows": None}, "rows", []),
        ({"rows": [1.5, 10**30, 1e300, -0.0, True, "ü\U0001f600", [[]], {}]}, "rows", None),
    ],
)
def test_the_items_of_an_array_are_read_one_by_one(document, path, rows):
    assert stream(document, path) == (document["rows"] if rows is None else rows)


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"rows": {"a": 1}}, "rows"),
        ({"rows": 1}, "rows[*]"),
        ({"rows": {"item": 1}}, "rows"),
        ({"a": 1}, None),
        ({"rows": ROWS}, "rows[0].tags"),
        ({"rows": ROWS}, "$..id"),
        ({"rows": ROWS}, ["rows", "data"]),
        ({"rows": ROWS}, "header:Link"),
        ({"rows": ROWS}, "status_code"),
        ({"rows": ROWS}, "response_text"),
        ({"rows": ROWS}, "xpath://a"),
        ({"rows": "[1]"}, "rows.json:$[*]"),
        ({"rows": ROWS}, "rows[*].id regex: .*"),
        ({"a.b": ROWS}, '$."a.b"'),
    ],
)
def test_what_has_no_rows_is_left_to_be_read_as_a_whole(document, path):
    assert stream(document, path) is None


def test_rows_that_have_nothing_at_the_path_are_an_error_and_rows_that_are_left_out_are_not():
    with pytest.raises(MissingValueError, match=r"result_path: 'rows\[\*\].idd' found nothing"):
        stream({"rows": ROWS}, "rows[*].idd")
    assert stream({"rows": ROWS}, "rows[?(@.id == 9)].id") == []
    assert stream({"rows": []}, "rows[*].idd") == []


def test_a_path_that_leads_nowhere_is_an_error():
    with pytest.raises(MissingValueError, match=r"result_path: 'rows' found nothing"):
        stream({"data": ROWS}, "rows")


@pytest.mark.parametrize(
    ("body", "kind", "chosen", "path", "rows"),
    [
        (b'{"a": 1}\n\n{"a": 2}', NDJSON, None, None, [{"a": 1}, {"a": 2}]),
        (b'{"a": 1}\n{"a": 2}', NDJSON, None, "$[*].a", [1, 2]),
        (b'"one\xe2\x80\xa8line"\n2', NDJSON, None, None, ["one\u2028line", 2]),
        (b'a,b\r\n1,"x\ny"\r\n', "text/csv", None, None, [{"a": "1", "b": "x\ny"}]),
        (b"a;b\n1;2\n", "text/plain", {"format": "csv", "delimiter": ";"}, "$[?(@.a == '1')].b", ["2"]),
        (codecs.BOM_UTF8 + "ä\n1\n".encode(), "text/csv", None, None, [{"ä": "1"}]),
        ("ä\n1\n".encode("utf-16"), "text/csv", None, None, [{"ä": "1"}]),
        ("ä\n1\n".encode("latin-1"), "text/csv", {"format": "csv", "charset": "latin-1"}, None, [{"ä": "1"}]),
        ('["ä"]'.encode("latin-1"), "application/json; charset=latin-1", None, None, ["ä"]),
        ('["ä"]'.encode("utf-16-le"), JSON, None, None, ["ä"]),
        (codecs.BOM_UTF8 + b"[1]", JSON, None, None, [1]),
        (b"[1]", "", None, None, [1]),
        (b"", NDJSON, None, None, []),
        (gzip.compress(b"a\n1\n"), "text/csv", None, None, [{"a": "1"}]),
        (gzip.compress(b"[1, 2]"), "application/gzip", "json", None, [1, 2]),
    ],
)
def test_rows_are_read_whatever_they_are_written_in(body, kind, chosen, path, rows):
    assert stream(body, path, kind=kind, chosen=chosen, size=100) == rows
    if not body.startswith(b"\x1f") and kind:
        assert stream(body, path, kind=kind, chosen=chosen, size=100) == rows


@pytest.mark.parametrize("kind", ["text/plain", "application/xml"])
def test_a_text_has_no_rows(kind):
    assert stream(b"<a/>", kind=kind) is None


def test_a_path_into_a_table_may_not_go_below_a_name():
    assert stream(b"a\n1\n", "rows[*]", kind="text/csv") is None


@pytest.mark.parametrize(
    ("body", "kind", "path", "message"),
    [
        (b'{"rows": [1, ', JSON, "rows", "expected JSON, but it is broken"),
        (b'{"rows" [', JSON, "rows", "expected JSON, but it is broken"),
        (b"", JSON, "rows", "expected JSON, but it is broken"),
        (b"<html>", JSON, "rows", "expected JSON, but it is broken"),
        (b"\xff\n1", "text/csv", None, "the body isn't valid utf-8"),
        (b'"\xff"\n1', NDJSON, None, "the body isn't valid utf-8"),
        (b"1\n{", NDJSON, None, "line 2 isn't JSON"),
        (b"1", "application/x-ndjson; charset=utf-9", None, "unknown charset 'utf-9'"),
        (gzip.compress(b"[1]" * 100)[:-6], NDJSON, None, "begins as gzip, and ends too early"),
        (b"\x1f\x8b" + b"\xff" * 30, NDJSON, None, "begins as gzip, and is broken"),
    ],
)
def test_a_body_that_is_not_what_was_promised_is_an_error(body, kind, path, message):
    with pytest.raises(ContentError, match=message):
        stream(body, path, kind=kind, size=100)


def test_a_line_that_never_ends_is_an_error(monkeypatch):
    monkeypatch.setattr(streamed_body, "_MAX_LINE_LENGTH", 100)
    with pytest.raises(ContentError, match="a line of the body has 100 characters or more"):
        stream(b"1" * 100, kind=NDJSON)


@pytest.mark.any_python
def test_memory_is_flat():
    items = (b'%s{"id": %d, "text": "%s"}' % (b"," if number else b"", number, b"x" * 200) for number in range(20_000))

    def read():
        yield b'{"rows": ['
        yield from items
        yield b"]}"

    reads = iter([[b'{"rows": [1]}'], [b'{"rows": [1]}'], read()])
    path = SelectorChain.parse("rows[?(@.id == 19999)].id", "result_path")
    head = Response(200, Headers([("content-type", JSON)]))
    tracemalloc.start()
    try:
        rows = streaming.stream_rows(lambda: next(reads), head, ResultFormat(), path, {})
        assert rows is not None
        assert list(rows) == [19999]
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def within(inner):
    """Return a strategy for containers of the values of another strategy."""
    return inner | st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["rows", "a", "b"]), inner, max_size=3)


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
)
VALUES = within(within(within(LEAVES)))


@given(VALUES, st.sampled_from(["rows", "rows[*]", "$.a.rows[*]", "rows[*].a", "$[*]"]))
def test_what_is_streamed_is_what_is_decoded(document, path):
    text = json.dumps(document).encode()
    response = Response(200, Headers([("content-type", JSON)]), text)
    selection = SelectorChain.parse(path, "result_path")
    try:
        rows = stream(text, path)
    except MissingValueError:
        with pytest.raises(MissingValueError):
            result_value.decode_rows(response, ResultFormat(), selection, {})
        return
    if rows is not None:
        try:
            decoded = result_value.decode_rows(response, ResultFormat(), selection, {})
        except MissingValueError:
            decoded = []
        assert rows == [row for row in decoded if row is not None]


@given(st.binary(), st.sampled_from([JSON, NDJSON, "text/csv"]), st.sampled_from([None, "rows", "$[*]"]))
def test_no_body_leads_to_another_error(body, kind, path):
    with contextlib.suppress(ContentError, MissingValueError):
        stream(body, path, kind=kind)
