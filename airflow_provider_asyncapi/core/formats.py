"""What kind of body an answer has, and how its rows are read one by one."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_asyncapi.core.charsets import codec_of
from airflow_provider_asyncapi.core.elements import READERS
from airflow_provider_asyncapi.core.errors import ConfigurationError, ContentError
from airflow_provider_asyncapi.core.messages import Response
from airflow_provider_asyncapi.core.values import JsonValue

FORMATS = ("json", "xml", "ndjson", "csv", "text")
_ELEMENTS = "objects"
_NDJSON_TYPES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/json-lines"})
#: What may be said about CSV (RFC 4180 has none of it), as :mod:`csv` calls it, and the type of each.
_DIALECT: dict[str, type] = {
    "delimiter": str,
    "quotechar": str,
    "escapechar": str,
    "doublequote": bool,
    "skipinitialspace": bool,
}


@dataclass(frozen=True, slots=True)
class Format:
    """
    How a body is read.

    :param name: one of :data:`FORMATS`; None to go by the content type.
    :param charset: of the text, where the API states a wrong one; a byte order mark still comes first.
    :param dialect: of CSV: arguments of :func:`csv.reader`.
    :param columns: of CSV without a head: the columns' names.
    :param elements: what elements of XML become: one of :data:`~.elements.READERS`.
    """

    name: str | None = None
    charset: str | None = None
    dialect: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    elements: str = _ELEMENTS

    @classmethod
    def parse(cls, given: Any) -> Format:
        """
        Read the ``result_format`` parameter: a name, or a mapping of ``format`` and what else is to be said.

        :raises ConfigurationError: naming what isn't known.
        """
        fields = dict(given) if isinstance(given, Mapping) else {"format": given}
        name, charset, columns = (fields.pop(key, None) for key in ("format", "charset", "columns"))
        elements = fields.pop("elements", _ELEMENTS)
        if name is not None and name not in FORMATS:
            raise ConfigurationError(f"result_format: {name!r} isn't one of {', '.join(FORMATS)}")
        if elements not in READERS:
            raise ConfigurationError(f"result_format: elements can't be {elements!r}; there are {', '.join(READERS)}")
        if elements != _ELEMENTS and name != "xml":
            raise ConfigurationError("result_format: 'elements' may be said of 'xml' only")
        if (fields or columns) and name != "csv":
            raise ConfigurationError(f"result_format: {next(iter(fields), 'columns')!r} may be said of 'csv' only")
        for key, value in fields.items():
            if not isinstance(value, _DIALECT.get(key, ())):
                raise ConfigurationError(
                    f"result_format: {key!r} can't be {value!r}; there are charset, columns and {', '.join(_DIALECT)}"
                )
        if charset is not None and (not isinstance(charset, str) or codec_of(charset) is None):
            raise ConfigurationError(f"result_format: {charset!r} isn't a charset; it is like 'windows-1252'")
        try:
            csv.reader((), **fields)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"result_format: {error}") from None
        return cls(name, charset, fields, tuple(columns or ()), elements)

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
            " output='file' with a destination"
        )

    def content_type(self, response: Response) -> str:
        """Give the content type that says how the text is encoded."""
        declared = response.headers.get("content-type", "")
        return declared if self.charset is None else f"{response.content_type}; charset={self.charset}"

    def csv_rows(self, lines: Iterable[str]) -> Iterator[dict[str, str]]:
        """
        Read CSV, line by line; the first names the columns, where nothing else does.

        :raises ContentError: naming the line that is none.
        """
        reader = csv.reader(iter(lines), strict=True, **self.dialect)
        names = list(self.columns)
        try:
            for row in reader:
                if not names:
                    names = _column_names(row)
                elif len(row) > len(names):
                    raise ContentError(f"expected CSV, but line {reader.line_num} has more fields than the head")
                elif row:
                    # A row that is too short has nothing in its last columns.
                    yield dict(zip(names, row + [None] * (len(names) - len(row)), strict=True))  # type: ignore[list-item]
        except csv.Error as error:
            raise ContentError(f"expected CSV, but line {reader.line_num} isn't: {error}") from None


def tabular(response: Response) -> str | None:
    """Give the format of an answer that holds rows as such."""
    if response.content_type in _NDJSON_TYPES:
        return "ndjson"
    return "csv" if response.content_type in ("text/csv", "application/csv") else None


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


def _column_names(row: list[str]) -> list[str]:
    if len(set(row)) < len(row):
        twice = next(name for name in row if row.count(name) > 1)
        raise ContentError(f"expected CSV, but two of its columns are called {twice!r}")
    return row
