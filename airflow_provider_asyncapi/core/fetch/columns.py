"""Make objects of rows that are arrays of values: the page states the names of the columns once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_asyncapi.core.errors import ConfigurationError, MissingValueError, ResultError, SelectorError
from airflow_provider_asyncapi.core.fetch.column_names import make_unique
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.json_values import JsonValue, as_text
from airflow_provider_asyncapi.core.selectors import jsonpath
from airflow_provider_asyncapi.core.selectors.options import parse_selector_with_options
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.templates import Variables

_KEYS = {"names": "the selector of the names in a page", "values": "the path of the values in a row"}


@dataclass(frozen=True, slots=True)
class Columns:
    """
    How rows without names become objects.

    :param names: the selector of the names of the columns in a page.
    :param values: the JSONPath of the values in a row; None if the row is an array of them.
    """

    names: SelectorChain
    values: str | None = None

    @classmethod
    def parse_optional(cls, given: Any) -> Columns | None:
        """
        Parse the parameter ``columns``: the selector of the names, or a mapping with ``names`` and ``values``.

        :raises ConfigurationError: naming the key that is wrong.
        """
        if given is None:
            return None
        names, options = parse_selector_with_options(given, "columns", _KEYS)
        values = options.get("values")
        if values is not None:
            if not isinstance(values, str):
                raise ConfigurationError(f"columns.values: has to be a JSONPath, not {values!r}")
            try:
                jsonpath.check(values)
            except SelectorError as error:
                raise SelectorError(f"columns.values: {error}") from None
        return cls(names, values)

    def find_names(self, response: Response, variables: Variables) -> list[str]:
        """Return the names of the columns that a page states, each once; none if it states none."""
        found = self.names.find_first_keeping_lists(response, variables)
        if found is None:
            return []
        names = found[1] if isinstance(found[1], list) else [found[1]]
        return make_unique([as_text(name) for name in names])

    def name_values(self, rows: Sequence[JsonValue], names: Sequence[str]) -> list[JsonValue]:
        """
        Return the rows as objects; a row that is an object stays as it is.

        :raises ResultError: if a row has more or fewer values than there are names.
        """
        return [self._name_row(row, names) for row in rows]

    def _name_row(self, row: JsonValue, names: Sequence[str]) -> JsonValue:
        values = row if self.values is None else jsonpath.find(self.values, row)
        if not isinstance(values, list):
            return row
        if len(values) != len(names):
            raise ResultError(f"columns: a row has {len(values)} values, and {self.names} finds {len(names)} names")
        return dict(zip(names, values, strict=True))

    def make_missing_error(self, response: Response, variables: Variables) -> MissingValueError:
        """Return the error of a page with rows for which there are no names."""
        nearest = self.names.describe_nearest(response, variables)
        return MissingValueError(f"columns: {self.names} found nothing{nearest}")
