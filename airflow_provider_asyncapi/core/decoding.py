"""A result as the next task wants it: the selected part of a JSON, XML, NDJSON, CSV or text body."""

from __future__ import annotations

import csv
import io
import json

from airflow_provider_asyncapi.core import documents, jsonpath
from airflow_provider_asyncapi.core.errors import ConfigurationError, ContentError, MissingValueError
from airflow_provider_asyncapi.core.messages import Headers, Response
from airflow_provider_asyncapi.core.selectors import Selection, Selector
from airflow_provider_asyncapi.core.templates import Variables
from airflow_provider_asyncapi.core.values import JsonValue

FORMATS = ("json", "xml", "ndjson", "csv", "text")
_NDJSON_TYPES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/json-lines"})
_ALL_ITEMS = "[*]"


def check_format(given: str | None) -> str | None:
    """
    Check the ``result_format`` parameter.

    :raises ConfigurationError: on one that isn't known.
    """
    if given is not None and given not in FORMATS:
        raise ConfigurationError(f"result_format: {given!r} isn't one of {', '.join(FORMATS)}")
    return given


def decode(response: Response, chosen: str | None, path: Selection | None, variables: Variables) -> JsonValue:
    """
    Read a body, and keep what the path selects.

    :param chosen: one of :data:`FORMATS`; None to go by the path and the content type.
    :param path: what to keep; None for all. One that ends in ``[*]`` gives a list, however many it finds.
    :return: a JSON value; CSV gives a list of objects, XML without a path its text; None for no content at all.
    :raises ContentError: where the body isn't what was promised.
    :raises MissingValueError: where the path finds nothing.
    """
    if path is None:
        if chosen is None and not response.content_type and not response.body.strip():
            return None
        return _document(response, chosen or _guessed(response))
    response = selectable(response, chosen)
    found = path.find(response, variables)
    if found is not None:
        selector, value = found
        return selector.find(response, variables) if selector.text.endswith(_ALL_ITEMS) else value
    for selector in path.selectors:
        if Selector(selector.text.removesuffix(_ALL_ITEMS)).value(response, variables) == []:
            return []
    raise MissingValueError(f"result_path: {path} found nothing")


def decode_rows(
    response: Response, chosen: str | None, path: Selection | None, variables: Variables
) -> list[JsonValue]:
    """
    Read a page's rows, as :func:`decode` does; null where the rows should be is none.

    :raises ContentError: where the body isn't what was promised.
    :raises MissingValueError: where the path leads nowhere.
    """
    try:
        return rows_of(decode(response, chosen, path, variables))
    except MissingValueError:
        if path is not None and any(_is_null(selector.text, response) for selector in path.selectors):
            return []
        raise


def rows_of(value: JsonValue) -> list[JsonValue]:
    """Give the rows of a page: a list's items, nothing for null, one row for anything else."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def selectable(response: Response, chosen: str | None) -> Response:
    """Give an answer as selectors can read it: the rows of NDJSON and CSV as a JSON list."""
    kind = chosen or _tabular(response)
    return json_response(_document(response, kind)) if kind in ("ndjson", "csv") else response


def json_response(value: JsonValue) -> Response:
    """Give a value as the answer that would have held it."""
    response = Response(200, Headers([("content-type", "application/json")]))
    response.json = value
    return response


def _is_null(path: str, response: Response) -> bool:
    """Tell whether a plain JSONPath leads to null, which selectors count as nothing."""
    try:
        return None in jsonpath.find(path, response.json)
    except (ConfigurationError, ContentError):
        return False


def _tabular(response: Response) -> str | None:
    if response.content_type in _NDJSON_TYPES:
        return "ndjson"
    return "csv" if response.content_type in ("text/csv", "application/csv") else None


def _guessed(response: Response) -> str:
    kind = response.content_type
    if tabular := _tabular(response):
        return tabular
    if kind == "application/json" or kind.endswith("+json"):
        return "json"
    if kind in ("text/html", "application/xhtml+xml"):
        # An error or login page far more often than a result.
        raise ContentError("the answer is an HTML page; if that is the result, set result_format='text'")
    if kind in ("application/xml", "text/xml") or kind.endswith("+xml"):
        return "xml"
    if kind == "" and response.body.lstrip()[:1] in (b"{", b"["):
        return "json"
    if kind == "" or kind.startswith("text/"):
        return "text"
    raise ContentError(
        f"the answer is {kind}, which is no text: set result_format to one of {', '.join(FORMATS)}, or output='file'"
        " with a destination"
    )


def _document(response: Response, kind: str) -> JsonValue:
    if kind == "json":
        return response.json
    if kind == "xml":
        from lxml import etree

        # Written anew, since a str can't keep the encoding that the document declares.
        return etree.tostring(response.xml, encoding="unicode")
    text = documents.decode_text(response.body, response.headers.get("content-type", ""))
    if kind == "text":
        return text
    if response.content_type == "text/html":
        raise ContentError(f"expected {kind.upper()}, got an HTML page")
    return _csv_rows(text) if kind == "csv" else _ndjson_rows(text)


def _csv_rows(text: str) -> list[JsonValue]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        names = reader.fieldnames or []
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ContentError(f"expected CSV, but two of its columns are called {twice!r}")
        rows: list[JsonValue] = []
        for row in reader:
            if None in row:
                raise ContentError(f"expected CSV, but line {reader.line_num} has more fields than the head")
            rows.append(row)
    except csv.Error as error:
        raise ContentError(f"expected CSV, but line {reader.line_num} isn't: {error}") from None
    return rows


def _ndjson_rows(text: str) -> list[JsonValue]:
    rows = []
    # Not splitlines: JSON strings may hold what it takes for line breaks (U+2028, for one).
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise ContentError(f"expected NDJSON, but line {number} isn't JSON: {error}") from None
    return rows
