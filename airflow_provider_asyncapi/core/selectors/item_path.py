"""The array that a path leads into, so that the items can be read one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.json_values import JsonValue

if TYPE_CHECKING:
    from jsonpath_ng import JSONPath


@dataclass(frozen=True, slots=True)
class ItemPath:
    """
    A path into one array: the way to the array, and the part of each item.

    :param prefix: the names that lead to the array.
    :param rest: a path into a list of one item; None for the item itself.
    :param is_filter: whether the path may leave out items.
    """

    prefix: tuple[str, ...]
    rest: JSONPath | None = None
    is_filter: bool = False

    def select(self, item: JsonValue) -> list[JsonValue]:
        """Return the values that the path finds in one item of the array, without nulls."""
        found = [item] if self.rest is None else [match.value for match in self.rest.find([item])]
        return [value for value in found if value is not None]
