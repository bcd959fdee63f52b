"""Values of parameters that several plans check in the same way."""

from __future__ import annotations

from typing import Any, TypeVar

from airflow_provider_asyncapi.core.errors import ConfigurationError

D = TypeVar("D")

#: The longest timeout, in seconds. The deadline is stored as a date, and dates end with the year 9999.
LONGEST_TIMEOUT = 200 * 365 * 86400


def parse_whole_number(value: Any, name: str, default: D, *, minimum: int = 1) -> int | D:
    """
    Return the value of a parameter that is a whole number, or the default if the value is None.

    :param name: the parameter, for the message.
    :raises ConfigurationError: if the value isn't a whole number, or is less than the minimum.
    """
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ConfigurationError(f"{name}: has to be a whole number of at least {minimum}, not {value!r}")
    return value
