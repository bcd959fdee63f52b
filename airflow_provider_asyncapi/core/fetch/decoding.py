"""A result as the next task wants it: the selected part of a JSON, XML, NDJSON, CSV or text body."""

from __future__ import annotations

import io

from airflow_provider_asyncapi.core.errors import ConfigurationError, ContentError, MissingValueError
from airflow_provider_asyncapi.core.fetch.formats import ROW_FORMATS, Format, ndjson_rows, tabular
from airflow_provider_asyncapi.core.fetch.tables import TABLES
from airflow_provider_asyncapi.core.http import documents
from airflow_provider_asyncapi.core.http.messages import Headers, Response
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.selectors import elements, jsonpath
from airflow_provider_asyncapi.core.selectors.jsonpath import Many
from airflow_provider_asyncapi.core.selectors.selection import Selection
from airflow_provider_asyncapi.core.templates import Variables


def decode(response: Response, chosen: Format, path: Selection | None, variables: Variables) -> JsonValue:
    """
    Read a body, and keep what the path selects.

    :param chosen: how the body is read; where that says nothing, the path and the content type do.
    :param path: what to keep; None for all. One that takes each item of something, or those that match a filter, gives
        a list, however many it finds.
    :return: a JSON value; CSV gives a list of objects, XML what :mod:`~.elements` says, without a path the whole
        document as text; None for no content at all.
    :raises ContentError: where the body isn't what was promised.
    :raises MissingValueError: where the path finds nothing.
    """
    if path is None:
        if chosen.name is None and not response.content_type and not response.body.strip():
            return None
        return _document(response, chosen, chosen.kind_of(response))
    response = selectable(response, chosen)
    found = path.collect(response, variables, elements.READERS[chosen.elements], least=Many.MATCHING)
    if found is not None:
        return found[1]
    raise MissingValueError(f"result_path: {path} found nothing")


def decode_rows(response: Response, chosen: Format, path: Selection | None, variables: Variables) -> list[JsonValue]:
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


def selectable(response: Response, chosen: Format) -> Response:
    """Give an answer as selectors can read it: the rows of NDJSON and CSV as a JSON list."""
    kind = chosen.name or tabular(response)
    return json_response(_document(response, chosen, kind)) if kind in ROW_FORMATS else response


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


def _document(response: Response, chosen: Format, kind: str) -> JsonValue:
    if kind == "json":
        return response.json
    if kind == "xml":
        # Written anew, since a str can't keep the encoding that the document declares.
        return elements.as_markup(response.xml)
    text = documents.decode_text(response.body, response.declared_type)
    if kind == "text":
        return text
    if response.content_type == "text/html":
        raise ContentError(f"expected {kind.upper()}, got an HTML page")
    if kind in TABLES:
        return list(chosen.table.rows(io.StringIO(text, newline=""), kind))
    # Not splitlines: JSON strings may hold what it takes for line breaks (U+2028, for one).
    return list(ndjson_rows(text.split("\n")))
