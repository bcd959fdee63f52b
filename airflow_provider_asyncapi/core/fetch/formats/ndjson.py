"""NDJSON: a JSON value in each line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.core.errors import ContentError
from airflow_provider_asyncapi.core.fetch.formats.base import RowFormatKind

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.json_values import JsonValue


class Ndjson(RowFormatKind):
    """
    Lines of JSON.

    No media type is registered; the subtypes are the names that servers use. ``+ndjson`` is that of FHIR's bulk data
    (https://hl7.org/fhir/uv/bulkdata/export.html).
    """

    name = "ndjson"
    summary = "A JSON value in each line."
    subtypes = frozenset(
        {"ndjson", "x-ndjson", "jsonl", "x-jsonl", "jsonlines", "x-jsonlines", "json-lines", "x-json-lines"}
        | {"jsonlines+json", "stream+json", "x-json-stream"}
    )

    def matches_subtype(self, subtype: str) -> bool:
        """Return whether the subtype is one of NDJSON."""
        return subtype in self.subtypes or subtype.endswith("+ndjson")

    def split_lines(self, text: str) -> Iterable[str]:
        """Return the lines; JSON strings can hold characters that splitlines takes for line breaks (U+2028)."""
        return text.split("\n")

    def parse_rows(self, lines: Iterable[str], options: Any) -> Iterator[JsonValue]:
        """Yield the value of each line that isn't blank."""
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise ContentError(f"expected NDJSON, but line {number} isn't JSON: {error}") from None
                yield row
