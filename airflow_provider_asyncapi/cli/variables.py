"""Variables of requests on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterable

from airflow_provider_asyncapi.cli.running import CommandError
from airflow_provider_asyncapi.core.json_values import JsonValue


def parse_assignments(given: Iterable[str], option: str = "--var") -> dict[str, JsonValue]:
    """
    Return the variables of options such as ``--var table=orders``.

    :param option: the option, for messages.

    A value that is JSON, such as a number or a list, is read as JSON; any other is a string.

    :raises CommandError: if one isn't an assignment.
    """
    variables: dict[str, JsonValue] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise CommandError(f"{option}: {text!r} isn't an assignment; write it as name=value")
        try:
            variables[name.strip()] = json.loads(value)
        except ValueError:
            variables[name.strip()] = value
    return variables
