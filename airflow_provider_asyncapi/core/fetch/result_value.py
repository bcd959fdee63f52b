"""Decode a result: the selected part of a body in one of the result formats."""

from __future__ import annotations

from airflow_provider_asyncapi.core.errors import ConfigurationError, ContentError, MissingValueError
from airflow_provider_asyncapi.core.fetch.formats.base import FormatKind
from airflow_provider_asyncapi.core.fetch.formats.registry import RESULT_FORMATS, ResultFormat
from airflow_provider_asyncapi.core.http.messages import Headers, Response
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.selectors import jsonpath
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.templates import Variables


def decode(response: Response, chosen: ResultFormat, path: SelectorChain | None, variables: Variables) -> JsonValue:
    """
    Decode a body, and return what the path selects.

    :param chosen: the format of the body; if it names none, the path and the content type decide.
    :param path: the selector of the part to keep; None for all. One that may find several values returns a list,
        however many it finds.
    :return: a JSON value: a list of objects for CSV, for XML what :mod:`~.elements` makes of the selected elements, or
        without a path the whole document as text; None for no content at all.
    :raises ContentError: if the body isn't of the format.
    :raises MissingValueError: if the path finds nothing.
    """
    if path is None:
        if chosen.kind is None and not response.content_type and not response.body.strip():
            return None
        return _decode_whole(response, chosen.choose_kind(response), chosen)
    selectable = make_selectable(response, chosen)
    found = path.find_first_keeping_lists(selectable, variables, chosen.element_reader)
    if found is not None:
        return found[1]
    raise MissingValueError(f"result_path: {path} found nothing{path.describe_nearest(selectable, variables)}")


def decode_rows(
    response: Response, chosen: ResultFormat, path: SelectorChain | None, variables: Variables
) -> list[JsonValue]:
    """
    Return the rows of a page, as :func:`decode` finds them; an empty list if there is null instead.

    :raises ContentError: if the body isn't of the format.
    :raises MissingValueError: if the path finds nothing.
    """
    try:
        return to_rows(decode(response, chosen, path, variables))
    except MissingValueError:
        if path is not None and any(_is_null(selector.text, response) for selector in path.selectors):
            return []
        raise


def to_rows(value: JsonValue) -> list[JsonValue]:
    """Return the rows of a page: a list's items, nothing for null, one row for anything else."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def make_selectable(response: Response, chosen: ResultFormat) -> Response:
    """Return a response that selectors can read: the rows of NDJSON and CSV become a JSON list."""
    kind = chosen.choose_row_kind(response)
    if kind is None or not kind.has_rows:
        return response
    return make_json_response(_decode_whole(response, kind, chosen))


def make_json_response(value: JsonValue) -> Response:
    """Return a response with a value as its JSON body."""
    response = Response(200, Headers([("content-type", "application/json")]))
    response.json = value
    return response


def _decode_whole(response: Response, kind: FormatKind, chosen: ResultFormat) -> JsonValue:
    with RESULT_FORMATS.explain_missing_package(kind):
        return kind.decode(response, chosen.parse_options_for(kind))


def _is_null(path: str, response: Response) -> bool:
    """Return whether a plain JSONPath leads to null, which selectors count as nothing."""
    try:
        return None in jsonpath.find(path, response.json)
    except (ConfigurationError, ContentError):
        return False
