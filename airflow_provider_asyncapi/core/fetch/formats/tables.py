"""Tables as text (CSV and TSV): which lines belong to the table, and how they become rows."""

from __future__ import annotations

import csv
import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_asyncapi.core.errors import ConfigurationError, ContentError
from airflow_provider_asyncapi.core.fetch.column_names import make_unique
from airflow_provider_asyncapi.core.fetch.formats.base import RowFormatKind

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.json_values import JsonValue

#: The keys of :mod:`csv` that an author may set (RFC 4180 has none of them), and the type of each.
_DIALECT: dict[str, type] = {
    "delimiter": str,
    "quotechar": str,
    "escapechar": str,
    "doublequote": bool,
    "skipinitialspace": bool,
}
#: Which lines of the body aren't lines of the table.
_LINES = ("skip_first", "skip_last", "comment")
TABLE_KEYS = ("columns", *_DIALECT, *_LINES)
#: Characters of a field. Python's limit of 131,072 is too small for a document or a geometry in a field.
_MAX_FIELD_LENGTH = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Table:
    """
    How a table is written.

    :param name: the name of the format, for messages.
    :param dialect: arguments of :func:`csv.reader`, as far as they differ from RFC 4180.
    :param columns: the names of the columns, if no line of the table names them.
    :param skip_first: the number of lines before the table.
    :param skip_last: the number of lines after the table.
    :param comment: the beginning of lines that are comments.
    """

    name: str = "csv"
    dialect: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    skip_first: int = 0
    skip_last: int = 0
    comment: str | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any], name: str, defaults: Mapping[str, Any]) -> Table:
        """
        Parse the keys of ``result_format`` that describe a table.

        :param given: a mapping with keys of :data:`TABLE_KEYS`.
        :param name: the name of the format.
        :param defaults: the dialect of the format.
        :raises ConfigurationError: naming the key that is wrong.
        """
        dialect: dict[str, Any] = dict(defaults)
        for key, value in given.items():
            if key == "quotechar" and value in (None, ""):
                dialect[key] = None
            elif key in _DIALECT:
                if not isinstance(value, _DIALECT[key]):
                    raise _make_option_error(key, value)
                dialect[key] = value
        columns = given.get("columns") or ()
        if isinstance(columns, str) or not all(isinstance(name, str) for name in columns):
            raise ConfigurationError(f"result_format: 'columns' has to be a list of names, not {columns!r}")
        first, last = (_parse_line_count(key, given.get(key, 0)) for key in ("skip_first", "skip_last"))
        comment = given.get("comment")
        if comment is not None and (not isinstance(comment, str) or not comment):
            raise ConfigurationError(f"result_format: 'comment' has to be the beginning of a line, not {comment!r}")
        table = cls(name, dialect, tuple(columns), first, last, comment)
        try:
            table._reader(())
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"result_format: {error}") from None
        return table

    def parse_rows(self, lines: Iterable[str]) -> Iterator[dict[str, JsonValue]]:
        """
        Yield the rows of a table; unless the columns are given, its first line names them.

        :raises ContentError: naming the line that isn't part of a table of this dialect.
        """
        # The limit is one of the whole process, so it is only ever raised.
        csv.field_size_limit(max(csv.field_size_limit(), _MAX_FIELD_LENGTH))
        source = _Lines(self._skip_edges(lines), self.skip_first, self.comment)
        reader = self._reader(source)
        names = list(self.columns)
        while True:
            source.begin_record()
            try:
                row = next(reader, None)
            except csv.Error as error:
                raise ContentError(
                    f"expected {self.name.upper()}, but line {source.number} isn't: {error}; result_format describes"
                    " the table: delimiter, quotechar (None if it has no quotes), skip_first, skip_last, comment"
                ) from None
            if row is None:
                return
            if not names:
                names = _name_columns(row)
            elif row:
                if len(row) != len(names):
                    row = _fit_row(row, len(names), self.name, source.number)
                yield dict(zip(names, row, strict=True))

    def _skip_edges(self, lines: Iterable[str]) -> Iterator[str]:
        lines = itertools.islice(lines, self.skip_first, None)
        held: deque[str] = deque()
        for line in lines:
            held.append(line)
            if len(held) > self.skip_last:
                yield held.popleft()

    def _reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        dialect = dict(self.dialect)
        if "quotechar" in dialect and dialect["quotechar"] is None:
            dialect["quoting"] = csv.QUOTE_NONE
        return csv.reader(lines, strict=True, **dialect)


class Csv(RowFormatKind):
    """
    Comma-separated values (RFC 4180). Its options are a :class:`Table`.

    :cvar dialect: arguments of :func:`csv.reader`, as far as they differ from RFC 4180.
    """

    name = "csv"
    summary = (
        "Comma-separated values; rows are objects. `columns`: the names, if no line has them; `delimiter`, `quotechar`"
        " (None for no quotes), `escapechar`, `doublequote`, `skipinitialspace`; `skip_first`, `skip_last`: lines"
        " before and after the table; `comment`: the beginning of lines to skip."
    )
    options = TABLE_KEYS
    subtypes = frozenset({"csv", "x-csv", "comma-separated-values", "x-comma-separated-values"})
    dialect: ClassVar[Mapping[str, Any]] = {}

    def parse_options(self, given: Mapping[str, Any]) -> Table:
        """Return the description of the table."""
        return Table.parse(given, self.name, self.dialect)

    def parse_rows(self, lines: Iterable[str], options: Table) -> Iterator[JsonValue]:
        """Yield an object for each row."""
        return options.parse_rows(lines)


class Tsv(Csv):
    """
    Tab-separated values.

    They have no quotes (https://www.iana.org/assignments/media-types/text/tab-separated-values).
    """

    name = "tsv"
    summary = "Tab-separated values, without quotes; options as for `csv`."
    subtypes = frozenset({"tab-separated-values", "tsv", "x-tsv"})
    dialect: ClassVar[Mapping[str, Any]] = {"delimiter": "\t", "quotechar": None}


class _Lines:
    """
    The lines of a table, without comments; a line within quotes is never a comment.

    :param number: the number of the line that was read last.
    """

    def __init__(self, lines: Iterator[str], number: int, comment: str | None) -> None:
        self._lines = lines
        self._comment = comment
        self._is_first = True
        self.number = number

    def begin_record(self) -> None:
        """Treat the next line as the first line of a record."""
        self._is_first = True

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        for line in self._lines:
            self.number += 1
            if self._is_first and self._comment is not None and line.startswith(self._comment):
                continue
            self._is_first = False
            return line
        raise StopIteration


def _name_columns(row: list[str]) -> list[str]:
    """Return a name for each column, without blank ones at the end: some exports end each line with a delimiter."""
    heads = list(row)
    while heads and not heads[-1].strip():
        heads.pop()
    return make_unique(heads)


def _fit_row(row: list[str], width: int, name: str, number: int) -> list[Any]:
    """
    Return a row with one field for each column: null for missing fields, without blank extra fields.

    :raises ContentError: if there is something in a field that has no column.
    """
    if any(extra.strip() for extra in row[width:]):
        raise ContentError(
            f"expected {name.upper()}, but line {number} has {len(row)} fields, and there are {width} columns;"
            " result_format describes the table: columns, delimiter, skip_first, skip_last"
        )
    return [*row[:width], *[None] * (width - len(row))]


def _make_option_error(key: str, value: Any) -> ConfigurationError:
    return ConfigurationError(f"result_format: {key!r} can't be {value!r}; there are charset, {', '.join(TABLE_KEYS)}")


def _parse_line_count(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigurationError(f"result_format: {key!r} has to be a number of lines, not {value!r}")
    return value
