"""What kind of body an answer has, and how its rows are read one by one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_asyncapi.core.errors import ConfigurationError, ContentError
from airflow_provider_asyncapi.core.fetch.tables import TABLES, Table
from airflow_provider_asyncapi.core.http.charsets import codec_of
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.selectors.elements import READERS

FORMATS = ("json", "xml", "ndjson", "csv", "tsv", "text")
#: Those of them whose lines are rows.
ROW_FORMATS = frozenset({"ndjson", *TABLES})
_ELEMENTS = "objects"
#: No media type is registered; these are the names that servers use. ``+ndjson`` is that of FHIR's bulk data
#: (https://hl7.org/fhir/uv/bulkdata/export.html).
_NDJSON_SUBTYPES = frozenset(
    {"ndjson", "x-ndjson", "jsonl", "x-jsonl", "jsonlines", "x-jsonlines", "json-lines", "x-json-lines"}
    | {"jsonlines+json", "stream+json", "x-json-stream"}
)
_CSV_SUBTYPES = frozenset({"csv", "x-csv", "comma-separated-values", "x-comma-separated-values"})
_TSV_SUBTYPES = frozenset({"tab-separated-values", "tsv", "x-tsv"})
_TEXT_TREES = frozenset({"application", "text"})


@dataclass(frozen=True, slots=True)
class Format:
    """
    How a body is read.

    :param name: one of :data:`FORMATS`; None to go by the content type.
    :param charset: the charset of the text, if the API states a wrong one: what is read is read as this
        (:meth:`~.messages.Response.read_as`). A byte order mark still comes first.
    :param table: how CSV or TSV is written.
    :param elements: what elements of XML become: one of :data:`~.elements.READERS`.
    """

    name: str | None = None
    charset: str | None = None
    table: Table = field(default_factory=Table)
    elements: str = _ELEMENTS

    @classmethod
    def parse(cls, given: Any) -> Format:
        """
        Read the ``result_format`` parameter: a name, or a mapping of ``format`` and what else is to be said.

        :raises ConfigurationError: naming what isn't known.
        """
        fields = dict(given) if isinstance(given, Mapping) else {"format": given}
        name, charset = (fields.pop(key, None) for key in ("format", "charset"))
        elements = fields.pop("elements", _ELEMENTS)
        if name is not None and name not in FORMATS:
            raise ConfigurationError(f"result_format: {name!r} isn't one of {', '.join(FORMATS)}")
        if elements not in READERS:
            raise ConfigurationError(f"result_format: elements can't be {elements!r}; there are {', '.join(READERS)}")
        if elements != _ELEMENTS and name != "xml":
            raise ConfigurationError("result_format: 'elements' may be said of 'xml' only")
        if fields and name not in TABLES:
            raise ConfigurationError(
                f"result_format: {next(iter(fields))!r} may be said of {' and '.join(map(repr, TABLES))} only"
            )
        if charset is not None and (not isinstance(charset, str) or codec_of(charset) is None):
            raise ConfigurationError(f"result_format: {charset!r} isn't a charset; it is like 'windows-1252'")
        return cls(name, charset, Table.parse(fields, name) if name in TABLES else Table(), elements)

    def kind_of(self, response: Response) -> str:
        """
        Give the format of an answer, as it was chosen or as the content type says.

        :raises ContentError: where the content type is that of no text.
        """
        kind = response.content_type
        if found := self.name or tabular(response):
            return found
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
            f"the answer is {kind}, which is no text: set result_format to one of {', '.join(FORMATS)}, or"
            " output_type='file' with a destination"
        )


def tabular(response: Response) -> str | None:
    """Give the format of an answer that holds rows as such."""
    tree, _, subtype = response.content_type.partition("/")
    if tree not in _TEXT_TREES:
        return None
    if subtype in _NDJSON_SUBTYPES or subtype.endswith("+ndjson"):
        return "ndjson"
    if subtype in _TSV_SUBTYPES:
        return "tsv"
    return "csv" if subtype in _CSV_SUBTYPES else None


def ndjson_rows(lines: Iterable[str]) -> Iterator[JsonValue]:
    """
    Read NDJSON, line by line.

    :raises ContentError: naming the line that isn't JSON.
    """
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ContentError(f"expected NDJSON, but line {number} isn't JSON: {error}") from None
            yield row
