"""JSON: one document; the items of an array in it can be read one by one."""

from __future__ import annotations

import io
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.core.errors import ContentError, MissingValueError
from airflow_provider_asyncapi.core.fetch.formats.base import FormatKind
from airflow_provider_asyncapi.core.lazy import LazyModule

if TYPE_CHECKING:
    import ijson

    from airflow_provider_asyncapi.core.fetch.formats.streamed_body import StreamedBody
    from airflow_provider_asyncapi.core.http.messages import Response
    from airflow_provider_asyncapi.core.json_values import JsonValue
    from airflow_provider_asyncapi.core.selectors.item_path import ItemPath
else:
    ijson = LazyModule("ijson")


class Json(FormatKind):
    """A JSON document (RFC 8259)."""

    name = "json"
    summary = "One JSON document."

    def matches(self, response: Response) -> bool:
        """Return whether the content type is one of JSON; without a content type, whether the body begins like it."""
        kind = response.content_type
        if kind == "":
            return response.body.lstrip()[:1] in (b"{", b"[")
        return kind == "application/json" or kind.endswith("+json")

    def decode(self, response: Response, options: Any) -> JsonValue:
        """Return the document."""
        return response.json

    def stream(self, body: StreamedBody, options: Any, items: ItemPath, shown: str) -> Iterator[JsonValue] | None:
        """Return the items of the array that the path leads to; None if it leads to something else."""
        prefix = ".".join(items.prefix)
        try:
            found = next((event for name, event, _ in ijson.parse(body.open_json()) if name == prefix), None)
        except (ijson.JSONError, ArithmeticError) as error:
            raise _make_syntax_error(error) from None
        if found is None:
            raise MissingValueError(f"result_path: {shown} found nothing")
        if found == "null":
            return iter(())
        return _iterate_items(body.open_json(), f"{prefix}.item".removeprefix(".")) if found == "start_array" else None


def _iterate_items(body: io.BufferedIOBase, prefix: str) -> Iterator[JsonValue]:
    try:
        for item in ijson.items(body, prefix):
            yield _convert_decimals(item)
    except (ijson.JSONError, ArithmeticError) as error:
        raise _make_syntax_error(error) from None


def _make_syntax_error(error: Exception) -> ContentError:
    return ContentError(f"expected JSON, but it is broken: {' '.join(str(error).split())[:200]}")


def _convert_decimals(value: JsonValue) -> JsonValue:
    """Return numbers as the json module reads them: ijson's are decimals, since otherwise it refuses large integers."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list):
        return [_convert_decimals(each) for each in value]
    if isinstance(value, dict):
        return {name: _convert_decimals(each) for name, each in value.items()}
    return value
