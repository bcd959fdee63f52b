"""The rows of a body that is larger than memory: read piece by piece, one row at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from airflow_provider_asyncapi.core.errors import MissingValueError
from airflow_provider_asyncapi.core.fetch.formats.base import FormatKind
from airflow_provider_asyncapi.core.fetch.formats.registry import JSON, RESULT_FORMATS, ResultFormat
from airflow_provider_asyncapi.core.fetch.formats.streamed_body import ReadPieces, StreamedBody
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.selectors.item_path import ItemPath
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.templates import Variables


def stream_rows(
    read: ReadPieces, head: Response, chosen: ResultFormat, path: SelectorChain | None, variables: Variables
) -> Iterator[JsonValue] | None:
    """
    Return rows one by one: the lines of NDJSON and CSV, the items of an array in a JSON document.

    :param read: returns the body in pieces, from its beginning.
    :param head: the response without its body.
    :param chosen: the format of the body; if it names none, the path and the content type decide.
    :param path: the selector of the rows, or of a part of each; None for all rows.
    :return: the rows; None if the body can only be read as a whole.
    :raises ContentError: at once or while reading, if the body isn't of the format.
    :raises MissingValueError: if the path finds nothing.
    """
    items = ItemPath(()) if path is None else _find_item_path(path, variables)
    if items is None:
        return None
    body = StreamedBody(read, head.declared_type)
    kind = chosen.choose_row_kind(head)
    if kind is None:
        kind = JSON if path else chosen.choose_kind(dataclasses.replace(head, body=body.beginning))
    with RESULT_FORMATS.explain_missing_package(kind):
        rows = kind.stream(body, chosen.parse_options_for(kind), items, str(path))
    return None if rows is None else _select_rows(_read_rows(kind, rows), items, str(path))


def _read_rows(kind: FormatKind, rows: Iterator[JsonValue]) -> Iterator[JsonValue]:
    with RESULT_FORMATS.explain_missing_package(kind):
        yield from rows


def _select_rows(rows: Iterator[JsonValue], items: ItemPath, shown: str) -> Iterator[JsonValue]:
    """
    Yield what the path finds in each row.

    :raises MissingValueError: if there are rows, and the path finds nothing in any of them.
    """
    has_rows = has_found = False
    for row in rows:
        found = items.select(row)
        has_rows, has_found = True, has_found or bool(found)
        yield from found
    if has_rows and not has_found and items.rest is not None and not items.is_filter:
        raise MissingValueError(f"result_path: {shown} found nothing")


def _find_item_path(path: SelectorChain, variables: Variables) -> ItemPath | None:
    return path.selectors[0].split_at_array(variables) if len(path.selectors) == 1 else None
