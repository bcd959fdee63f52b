import codecs
import contextlib
import encodings

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError, ContentError
from airflow_provider_asyncapi.core.fetch.formats.registry import ResultFormat
from airflow_provider_asyncapi.core.fetch.streaming import stream_rows
from airflow_provider_asyncapi.core.http.charsets import _LABELS, find_codec
from airflow_provider_asyncapi.core.http.documents import decode_text, parse_form, parse_json
from airflow_provider_asyncapi.core.http.filenames import choose_file_name
from airflow_provider_asyncapi.core.http.messages import Headers, Response


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        ("UTF-8", "utf-8"),
        ("utf8", "utf-8"),
        ("ISO-8859-1", "latin-1"),
        ("iso_8859-15", "iso8859-15"),
        ("Windows-1252", "cp1252"),
        ("x-cp1251", "cp1251"),
        ("Shift_JIS", "shift-jis"),
        (" gb2312 ", "gb2312"),
        ("ANSI_X3.4-1968", "ascii"),
        ("windows-874", "cp874"),
        ("cp037", "cp037"),
        # Codecs of Python that aren't charsets, or of which time or memory grows faster than the text.
        ("punycode", None),
        ("idna", None),
        ("unicode_escape", None),
        ("raw-unicode-escape", None),
        ("utf-7", None),
        ("hex", None),
        ("zlib", None),
        ("rot13", None),
        ("undefined", None),
        ("mbcs", None),
        ("klingon", None),
        ("", None),
        ("\u00fctf-8", None),
    ],
)
def test_a_charset_is_one_of_a_list(label, codec):
    assert find_codec(label) == codec


def test_every_codec_of_the_list_exists():
    for label in _LABELS:
        codec = find_codec(label)
        assert codec is not None
        codecs.lookup(codec)


@pytest.fixture
def asked():
    """The names that Python's registry of codecs was asked for and doesn't know: it keeps each for ever."""
    names: list[str] = []
    codecs.register(names.append)
    yield names
    codecs.unregister(names.append)


def read_rows(content_type):
    response = Response(200, Headers([("content-type", content_type)]))
    return list(stream_rows(lambda: [b"a\n1\n"], response, ResultFormat.parse("csv"), None, {}) or ())


@pytest.mark.parametrize("charset", ["vendor-47-11", "punycode"])
@pytest.mark.parametrize(
    "read",
    [
        lambda charset: decode_text(b"a", f"text/plain; charset={charset}"),
        lambda charset: decode_text(b"a", f"text/plain; charset={charset}", errors="replace"),
        lambda charset: parse_json(b"{}", f"application/json; charset={charset}"),
        lambda charset: parse_form(b"a=1", f"application/x-www-form-urlencoded; charset={charset}"),
        lambda charset: read_rows(f"text/csv; charset={charset}"),
        lambda charset: ResultFormat.parse({"charset": charset}),
        lambda charset: choose_file_name(
            Response(200, Headers([("content-disposition", f"attachment; filename*={charset}''a-b")])), "x"
        ),
    ],
)
def test_an_unknown_charset_never_reaches_pythons_registry(read, charset, asked, monkeypatch):
    monkeypatch.setattr(encodings, "_cache", {**encodings._cache})
    encodings._cache.pop(charset, None)
    known = set(encodings._cache)
    with contextlib.suppress(ContentError, ConfigurationError):
        read(charset)
    assert charset not in asked
    assert charset.replace("-", "_") not in asked
    assert {charset, charset.replace("-", "_")} & (set(encodings._cache) - known) == set()
