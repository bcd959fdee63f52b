"""Parse bodies: JSON, forms and text."""

from __future__ import annotations

import codecs
import contextlib
import json
import re
from urllib.parse import parse_qs

from airflow_provider_asyncapi.core.errors import ContentError
from airflow_provider_asyncapi.core.http.charsets import find_codec
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.text import shorten

#: Of a form.
_MOST_FIELDS = 1000
#: Lists and objects that a JSON text may hold for each value that a selector may search. (In a status document, each
#: takes 8 bytes on average then, as ``{"a":1},``.) Python's garbage collector looks at all of them several times while
#: they are made, and lets no thread run meanwhile: of 1 MiB of ``[],`` for up to half a second.
_CONTAINERS_PER_VALUE = 4
#: Bytes that are decoded at a time.
_PIECE = 16 * 1024
_BEGIN_OF_XML = re.compile(rb"\s*<[?!A-Za-z_]")
_ESCAPE = re.compile(r"\\.", re.DOTALL)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)


def decode_text(body: bytes, content_type: str, *, errors: str = "strict") -> str:
    """
    Decode a text body: a byte order mark first, then the declared charset, then UTF-8.

    :param errors: what to do with bytes that aren't valid in it, as for ``bytes.decode``. Unless it is strict, a body
        in an unknown charset is read as UTF-8.
    :raises ContentError: if the charset is unknown, or if the bytes aren't valid in it and ``errors`` is strict.
    """
    if errors != "strict":
        return _decode_leniently(body, content_type, errors)
    charset = find_charset(body, content_type)
    try:
        return body.decode(charset)
    except UnicodeError as error:
        raise ContentError(f"the body isn't valid {charset}: {_describe_decoding_error(error)}") from None


def _decode_leniently(body: bytes, content_type: str, errors: str) -> str:
    try:
        charset = find_charset(body, content_type)
    except ContentError:
        charset = "utf-8"
    # Replacing is slow in some codecs, and lets no other thread run meanwhile: not for longer than for one piece.
    pieces = (body[start : start + _PIECE] for start in range(0, len(body), _PIECE))
    return "".join(codecs.iterdecode(pieces, charset, errors))


def _describe_decoding_error(error: UnicodeError) -> str:
    # Python's codec of UTF-16 raises a bare UnicodeError, too.
    return f"{error.reason} at byte {error.start}" if isinstance(error, UnicodeDecodeError) else str(error)


def find_charset(begins: bytes, content_type: str) -> str:
    """
    Return the codec of a text: as its byte order mark says, else as declared, else UTF-8.

    :param begins: its first bytes.
    :raises ContentError: if the declared charset is unknown.
    """
    declared = find_declared_charset(content_type)
    if begins.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if begins.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if begins.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if declared is None:
        return "utf-8"
    codec = find_codec(declared)
    if codec is None:
        raise ContentError(
            f"the body declares an unknown charset {shorten(declared, 40)!r}; set result_format's charset to the"
            " right one"
        )
    # Without a byte order mark, as browsers read it.
    return f"{codec}-le" if codec in ("utf-16", "utf-32") else codec


def find_declared_charset(content_type: str) -> str | None:
    """Return the charset that a content type names, as it is written there."""
    found = _CHARSET.search(content_type)
    return None if found is None else found[1]


def find_json_charset(begins: bytes, content_type: str) -> str:
    """
    Return the codec of a JSON text: UTF-16 and UTF-32 are told from the first bytes (RFC 4627, section 3).

    An unknown charset counts as UTF-8, the only one that JSON may have (RFC 8259, section 8.1).
    """
    if b"\0" in begins[:4]:
        return json.detect_encoding(begins)
    try:
        return find_charset(begins, content_type)
    except ContentError:
        return "utf-8"


def describe_json_instead_of_xml(body: bytes, content_type: str) -> str | None:
    """Return what is wrong with JSON that is read as XML; None if a body isn't JSON."""
    if not body[:1024].removeprefix(codecs.BOM_UTF8).lstrip().startswith((b"{", b"[")):
        return None
    return f"expected XML, got JSON ({_name_type(content_type)}); selectors of JSON have no prefix, as in job.state"


def describe_body(body: bytes, content_type: str) -> str:
    """Return a short description of a body that isn't in the expected format."""
    declared = _name_type(content_type)
    if not body.strip():
        return f"an empty body ({declared})"
    if is_html(body):
        return f"an HTML page ({declared})"
    return f"{len(body)} bytes of {declared}"


def _name_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip() or "no content type"


def is_html(body: bytes) -> bool:
    """Return whether a body is an HTML page, which is never the response of an API."""
    start = body[:1024].lstrip(codecs.BOM_UTF8).lstrip()[:15].lower()
    return start.startswith((b"<!doctype html", b"<html"))


def is_xml(body: bytes) -> bool:
    """Return whether a body is probably XML: it begins with a tag or a declaration, and isn't an HTML page."""
    return _BEGIN_OF_XML.match(body[:1024].removeprefix(codecs.BOM_UTF8)) is not None and not is_html(body)


def parse_json(body: bytes, content_type: str, max_values: int | None = None) -> JsonValue:
    """
    Parse a JSON body, whatever its content type.

    :param max_values: maximum number of values for selectors that search all of them; None for no limit. Several
        times as many lists and objects can be read.
    :raises ContentError: if it isn't JSON; the message describes the body, and contains the position of the error.
    """
    if not body.strip():
        raise ContentError(f"expected JSON, got {describe_body(body, content_type)}")
    try:
        text = _decode_json(body, content_type)
        if max_values is not None:
            _check_containers(text, _CONTAINERS_PER_VALUE * max_values)
        return json.loads(text)
    except json.JSONDecodeError as error:
        if is_xml(body):
            raise ContentError(
                f"expected JSON, got XML ({_name_type(content_type)}); selectors of XML begin with xpath:, as in xpath://job/state"
            ) from None
        raise ContentError(
            f"expected JSON, got {describe_body(body, content_type)}:"
            f" {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    # A ValueError is undecodable, or a number of more digits than Python reads.
    except (ValueError, RecursionError) as error:
        raise ContentError(f"expected JSON, got {describe_body(body, content_type)}: {error}") from None


def _check_containers(text: str, limit: int) -> None:
    """
    Check the number of lists and objects in a JSON text.

    :raises ContentError: if there are more than the limit.
    """
    if text.count("[") + text.count("{") <= limit:
        return
    outside_strings = "".join(_ESCAPE.sub("", text).split('"')[::2])
    if outside_strings.count("[") + outside_strings.count("{") > limit:
        raise ContentError(f"the JSON holds more than {limit} lists and objects; ask the API for fewer")


def _decode_json(body: bytes, content_type: str) -> str:
    if b"\0" in body[:4]:
        return body.decode(json.detect_encoding(body))
    try:
        return decode_text(body, content_type)
    except ContentError:
        # RFC 8259, sections 8.1 and 11: JSON is UTF-8, and a charset of its media type says nothing.
        with contextlib.suppress(UnicodeError):
            return body.decode()
        raise


def parse_form(body: bytes, content_type: str) -> dict[str, JsonValue]:
    """
    Parse a form body (``application/x-www-form-urlencoded``); a repeated field becomes a list.

    :raises ContentError: if its bytes aren't valid, or it has more than a thousand fields.
    """
    try:
        fields = parse_qs(decode_text(body, content_type), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise ContentError(f"expected a form, got {describe_body(body, content_type)}: {error}") from None
    return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}
