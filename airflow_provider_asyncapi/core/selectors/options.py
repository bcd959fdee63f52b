"""Parameters that are a selector, or a mapping of a selector and options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain


def parse_selector_with_options(
    given: Any, parameter: str, keys: Mapping[str, str]
) -> tuple[SelectorChain, Mapping[str, Any]]:
    """
    Parse a selector, or a mapping whose first key is the selector; return the selector and the mapping.

    :param parameter: the name of the parameter, for messages.
    :param keys: each key of the mapping and its meaning, for messages; the first one is required.
    :raises ConfigurationError: naming the key that is wrong.
    """
    if not isinstance(given, Mapping) or "selector" in given:
        return SelectorChain.parse(given, parameter), {}
    selector = next(iter(keys))
    if selector not in given or not given.keys() <= keys.keys():
        known = " and ".join(f"{key!r} ({meaning})" for key, meaning in keys.items())
        raise ConfigurationError(f"{parameter}: has the keys {known}, not {', '.join(map(repr, given))}")
    return SelectorChain.parse(given[selector], f"{parameter}.{selector}"), given
