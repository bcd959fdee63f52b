from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.errors import ContentError, ResponseError, UnsafeContentError
from airflow_provider_asyncapi.core.http.xml_documents import parse_xml


def test_xml_is_read_with_comments_left_out():
    root = parse_xml(b"<?xml version='1.0' encoding='iso-8859-1'?><a>\xe4<!-- x --><b/></a>", "application/xml")
    assert (root.tag, root.text, len(root)) == ("a", "ä", 1)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", r"expected XML, got an empty body \(text/xml\)"),
        (b"<html><br></html>", r"got an HTML page \(text/xml\): .*line 1"),
        (b'{"a": 1}', r"expected XML, got JSON \(text/xml\); selectors of JSON have no prefix, as in job.state"),
        (b"a: 1", r"got 4 bytes of text/xml: Start tag expected"),
        (b"<a>", r"expected XML"),
        (b"<a>&nbsp;</a>", "nbsp"),
        (b"<a>\xe4</a>", "expected XML"),
        (b"<?xml version='1.0' encoding='klingon'?><a/>", "declares an unknown charset 'klingon'; set result_format's"),
    ],
)
def test_what_is_no_xml_is_an_error_that_says_what_came_instead(body, message):
    with pytest.raises(ContentError, match=message):
        parse_xml(body, "text/xml")


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE a [<!ENTITY x "y">]>',
        '<!DOCTYPE a [<!ENTITY % p "y">]>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://example.com/a.dtd"> %p;]>',
        '<!DOCTYPE a [<!ENTITY x0 "ha"><!ENTITY x1 "&x0;&x0;">]>',
    ],
)
def test_xml_with_entities_is_refused(doctype):
    with pytest.raises(UnsafeContentError, match="declares entities, or uses one that only its external") as caught:
        parse_xml(f"{doctype}<a>1</a>".encode(), "application/xml")
    assert "passwd" not in str(caught.value)


def test_xml_that_declares_attributes_is_refused_before_it_is_parsed():
    """Reading 8,000 of them took lxml seconds, and each element would get each."""
    declared = "".join(f'<!ATTLIST a a{number:06} CDATA "x">' for number in range(30_000))
    with pytest.raises(UnsafeContentError, match="the XML declares attributes"):
        parse_xml(f"<!DOCTYPE a [{declared}]><a>1</a>".encode(), "application/xml")


def test_an_entity_in_use_gives_nothing_away():
    with pytest.raises(ResponseError):
        parse_xml(b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "application/xml")


@pytest.mark.parametrize(
    "doctype",
    [
        "<!DOCTYPE a>",
        "<!DOCTYPE a [<!ELEMENT a ANY>]>",
        '<!DOCTYPE a SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE a PUBLIC "-//NCBI//NCBI BlastOutput/EN" "http://www.ncbi.nlm.nih.gov/dtd/NCBI_BlastOutput.dtd">',
    ],
)
def test_a_document_type_that_nobody_need_resolve_is_passed_over(doctype):
    root = parse_xml(f"{doctype}<a b='1'>x</a>".encode(), "")
    assert (root.tag, root.text, root.get("b")) == ("a", "x", "1")


@pytest.mark.parametrize("content", ["<a>x&eacute;</a>", "<a b='x&eacute;'/>"])
def test_an_entity_that_only_the_external_document_type_declares_is_refused_and_not_lost(content):
    with pytest.raises(UnsafeContentError, match="uses one that only its external document type declares"):
        parse_xml(f'<!DOCTYPE a SYSTEM "http://example.com/a.dtd">{content}'.encode(), "")


@pytest.mark.parametrize(
    ("body", "content_type", "charset"),
    [
        ("\r\n <?xml version='1.0'?><a>ä</a>".encode(), "", None),
        (b"\xef\xbb\xbf\n<?xml version='1.0'?><a>\xc3\xa4</a>", "", None),
        (b"<a>\xe4</a>", "text/xml; charset=ISO-8859-1", None),
        (b"<?xml version='1.0'?><a>\xe4</a>", "text/xml; charset=ISO-8859-1", None),
        (b"<?xml version='1.0' encoding='UTF-16'?><a>\xc3\xa4</a>", "text/xml; charset=utf-8", None),
        (b"<?xml version='1.0' encoding='utf-16'?><a>\xc3\xa4</a>", "", None),
        (b"<?xml version='1.0' encoding='UTF-8'?><a>\xc3\xa4</a>", "text/xml; charset=ISO-8859-1", None),
        (b"<?xml version='1.0' encoding='klingon'?><a>\xc3\xa4</a>", "text/xml; charset=utf-8", None),
        (b"<a>\xc3\xa4</a>", "text/xml; charset=utf-16", None),
        (b"<a>\xc3\xa4</a>", "text/xml; charset=klingon", None),
        (b"<?xml version='1.0' encoding='UTF-8'?><a>\xe4</a>", "text/xml; charset=utf-8", "windows-1252"),
        ("<?xml version='1.0' encoding='utf-16'?><a>ä</a>".encode("utf-16"), "text/xml; charset=utf-8", "latin-1"),
        ("\ufeff <?xml version='1.0'?><a>ä</a>".encode("utf-16-be"), "", None),
        ("<a>ä</a>".encode("utf-16-le"), "", None),
        ("<a>ä</a>".encode("utf-32"), "", None),
        ("<?xml version='1.0' encoding='windows-1251'?><a>ä</a>".encode("windows-1252"), "", "windows-1252"),
    ],
)
def test_xml_is_read_in_the_charset_that_it_really_has(body, content_type, charset):
    assert parse_xml(body, content_type, charset).text == "ä"


def test_bytes_that_are_not_valid_in_the_charset_are_an_error():
    with pytest.raises(ContentError, match="isn't valid shift-jis"):
        parse_xml(b"<a>\x80\xff</a>", "text/xml; charset=shift_jis")


@pytest.mark.parametrize("document", ["<a>{}</a>", "<a b='{}'/>"])
def test_a_text_may_be_longer_than_libxml2_reads_by_default(document):
    root = parse_xml(document.format("x" * 12_000_000).encode(), "text/xml")
    assert len(root.text or root.get("b") or "") == 12_000_000


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("<!DOCTYPE a [<!ENTITY x 'y'>]><a>{}</a>", "declares entities"),
        (f"{'<a>' * 257}{{}}{'</a>' * 257}", "elements in more than 256 others"),
    ],
)
def test_a_huge_document_has_the_limits_of_others(document, message):
    with pytest.raises(UnsafeContentError, match=message):
        parse_xml(document.format("x" * 11_000_000).encode(), "text/xml")
    root = parse_xml(f"{'<a>' * 256}{'x' * 11_000_000}{'</a>' * 256}".encode(), "text/xml")
    assert len(root.xpath("string()")) == 11_000_000


@given(st.binary() | st.text("<a/>!DOCTYPE&x;[]", max_size=60).map(str.encode))
def test_any_bytes_are_xml_or_a_response_error(body):
    with contextlib.suppress(ResponseError):
        assert parse_xml(body, "") is not None
