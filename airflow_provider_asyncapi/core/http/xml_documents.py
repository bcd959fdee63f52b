"""Parse XML in its actual charset, without resolving anything outside of it."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.errors import ContentError, UnsafeContentError
from airflow_provider_asyncapi.core.http import documents
from airflow_provider_asyncapi.core.http.charsets import find_codec
from airflow_provider_asyncapi.core.lazy import LazyModule

if TYPE_CHECKING:
    from lxml import etree
else:
    etree = LazyModule("lxml.etree")

#: The encoding in an XML declaration, in any charset that has ASCII in it.
_DECLARED = re.compile(rb"""<\?xml\s[^<>]{0,200}?\sencoding\s*=\s*["']([\w.:-]{1,40})["']""")
_BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_WHITE_SPACE = b" \t\r\n"
#: libxml2 reads no text that is longer, unless it is told to read huge documents (XML_MAX_TEXT_LENGTH). Then its
#: other limits are gone, too: the limits that matter are checked here.
_MAX_TEXT_LENGTH = 10_000_000
#: How deep elements may be nested; libxml2's limit in documents that aren't huge.
_MAX_DEPTH = 256


def parse_xml(body: bytes, content_type: str, charset: str | None = None) -> etree._Element:
    """
    Parse an XML body without resolving anything outside of it; an external document type is never looked at.

    The charset is that of the byte order mark, else the one that the author gives, else the document's own
    declaration, else the content type's. (RFC 7303 has the content type before the declaration; but many servers state
    a default there that isn't true.)

    :param charset: the charset that the author gives, if any.
    :raises ContentError: if it isn't XML; the message describes the body.
    :raises UnsafeContentError: if the document declares entities, uses one that only its external document type
        declares, or is nested too deeply.
    """
    text = _to_utf8(body, content_type, charset)
    is_huge = len(text) > _MAX_TEXT_LENGTH
    if b"<!DOCTYPE" in text:
        # Not asked of lxml, which copies the declarations for it in time that grows with more than their square.
        if b"<!ENTITY" in text:
            raise _build_entities_error()
        if b"<!ATTLIST" in text:
            raise UnsafeContentError(
                "the XML declares attributes, which each element would get; ask the API for plain XML"
            )
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        # lxml takes time that grows with the square of their number to pass over them.
        remove_pis=True,
        huge_tree=is_huge,
    )
    try:
        root = etree.fromstring(text, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        if problem := documents.describe_json_instead_of_xml(body, content_type):
            raise ContentError(problem) from None
        raise ContentError(f"expected XML, got {documents.describe_body(body, content_type)}: {error}") from None
    info = root.getroottree().docinfo
    undeclared = etree.ErrorTypes.WAR_UNDECLARED_ENTITY
    if info.doctype and any(entry.type == undeclared for entry in parser.error_log):
        raise _build_entities_error()
    if is_huge and etree.XPath(f"boolean({'/*' * (_MAX_DEPTH + 1)})")(root):
        raise UnsafeContentError(f"the XML has elements in more than {_MAX_DEPTH} others, which isn't read")
    return root


def _to_utf8(body: bytes, content_type: str, charset: str | None) -> bytes:
    """Return the document as UTF-8; what its declaration says about that doesn't count any more."""
    if not body.startswith(_BYTE_ORDER_MARKS):
        body = body.lstrip(_WHITE_SPACE)
    elif body.startswith(codecs.BOM_UTF8):
        body = body.removeprefix(codecs.BOM_UTF8).lstrip(_WHITE_SPACE)
    codec = _find_codec(body, content_type, charset)
    if codec in ("utf-8", "utf-8-sig", "ascii"):
        return body
    return documents.decode_text(body, f"; charset={codec}").lstrip("\ufeff \t\r\n").encode("utf-8", "replace")


def _find_codec(body: bytes, content_type: str, charset: str | None) -> str:
    if b"\0" in body[:4]:
        # UTF-16 and UTF-32: the first character of XML is ASCII, as that of JSON.
        return json.detect_encoding(body)
    declaration = _DECLARED.match(body)
    declared = "" if declaration is None else declaration[1].decode()
    for label in (charset or "", declared, documents.find_declared_charset(content_type) or ""):
        codec = find_codec(label)
        # Neither of these can be true of what has no zero bytes.
        if codec is not None and not codec.startswith(("utf-16", "utf-32")):
            return codec
    if declared and find_codec(declared) is None:
        raise ContentError(
            f"the XML declares an unknown charset {declared!r}; set result_format's charset to the right one"
        )
    return "utf-8"


def _build_entities_error() -> UnsafeContentError:
    return UnsafeContentError(
        "the XML declares entities, or uses one that only its external document type declares; entities are never"
        " resolved: ask the API for plain XML"
    )
