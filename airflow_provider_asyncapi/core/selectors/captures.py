"""Captures: variables whose values selectors find in a response."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from airflow_provider_asyncapi.core import templates
from airflow_provider_asyncapi.core.errors import SelectorError
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain


class VariableUser(Protocol):
    """A part of a plan that may name variables: a selector, or an operand of a rule."""

    @property
    def text(self) -> str:
        """The part as the author has written it."""

    def variable_names(self) -> list[str]:
        """Return the names of all variables in it."""


def walk_variable_users(value: Any) -> Iterator[VariableUser]:
    """Walk all selectors and operands of a plan or of a part of one."""
    if hasattr(value, "variable_names"):
        yield value
    elif isinstance(value, Mapping):
        yield from walk_variable_users(tuple(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from walk_variable_users(item)
    elif dataclasses.is_dataclass(value):
        yield from walk_variable_users([getattr(value, each.name) for each in dataclasses.fields(value)])


def capture_values(
    chains: Mapping[str, SelectorChain], response: Response, variables: templates.Variables
) -> dict[str, JsonValue]:
    """Return what the chains find, each under its name and under the selector that found it."""
    captured: dict[str, JsonValue] = {}
    for name, selector_chain in chains.items():
        if found := selector_chain.find_first_keeping_lists(response, variables):
            selector, value = found
            captured[name] = captured[selector.text] = value
    return captured


def parse_captures(given: Any, where: str) -> dict[str, SelectorChain]:
    """
    Parse a mapping of variable names to selectors.

    :raises SelectorError: if it isn't one.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise SelectorError(f"{where}: has to map variable names to selectors, not be {type(given).__name__}")
    for name in given:
        if not isinstance(name, str) or templates.find_whole_variable(f"{{{name}}}") != name:
            raise SelectorError(f"{where}: {name!r} can't be the name of a variable")
        if name.startswith(templates.CONNECTION):
            raise SelectorError(
                f"{where}: {name!r} can't be captured; only the connection sets variables that begin with connection."
            )
    return {name: SelectorChain.parse(selector, f"{where}[{name!r}]") for name, selector in given.items()}
