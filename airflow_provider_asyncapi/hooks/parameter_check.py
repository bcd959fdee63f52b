"""The check of the names of parameters that the hook and the event trigger are given."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from airflow_provider_asyncapi.core.errors import ConfigurationError


def check_parameter_names(
    method: str, parameters: Mapping[str, Any], known: Collection[str], task_parameters: Collection[str] = ()
) -> dict[str, Any]:
    """
    Return the given parameters, with times in seconds.

    :param method: the hook's method, for messages.
    :param known: the names of its parameters.
    :param task_parameters: the names of the parameters that only an operator or a sensor has.
    :raises ConfigurationError: if a name is unknown; the message contains it.
    """
    names = sorted(known)
    for name in parameters:
        if name in task_parameters:
            raise ConfigurationError(f"{name}: it needs a task; use the operator, or leave it out")
        if name not in names:
            alike = difflib.get_close_matches(name, names, 1)
            meant = f"; did you mean {alike[0]}?" if alike else "."
            raise ConfigurationError(f"{name}: isn't a parameter of {method}(){meant} It takes {', '.join(names)}")
    return {name: _to_seconds(value) for name, value in parameters.items() if value is not None}


def _to_seconds(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value
