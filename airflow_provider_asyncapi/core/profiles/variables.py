"""The variables of a profile: what a DAG or a connection sets, with their meanings and defaults."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

#: The prefix of variables that the connection sets.
CONNECTION = "connection."
#: The tables whose ``variables`` are defaults.
_TABLES = ("submit", "status", "fetch")


@dataclass(frozen=True, slots=True)
class ProfileVariable:
    """
    A variable of a profile.

    :param name: the name, with ``connection.`` if the connection sets it.
    :param meaning: what it is, for people.
    :param default: the default as JSON, a text without quotes; None if the variable is required.
    """

    name: str
    meaning: str
    default: str | None

    def __str__(self) -> str:
        default = "" if self.default is None else f" ({self.default or 'empty'} by default)"
        return f"{self.name}: {self.meaning}{default}"


def list_variables(profile: Mapping[str, Mapping[str, Any]]) -> Iterator[ProfileVariable]:
    """Yield the variables that the table ``about`` of a profile describes, in its order."""
    described = profile.get("about", {}).get("variables")
    if not isinstance(described, Mapping):
        return
    of_connection = profile.get("connection", {}).get("variables", {})
    of_tasks: dict[str, Any] = {}
    for table in _TABLES:
        of_tasks |= profile.get(table, {}).get("variables", {})
    for name, meaning in described.items():
        is_ours = name.startswith(CONNECTION)
        defaults, own = (of_connection, name.removeprefix(CONNECTION)) if is_ours else (of_tasks, name)
        yield ProfileVariable(name, str(meaning), _format_default(defaults[own]) if own in defaults else None)


def describe_profile_variables(profile: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the variables of a profile as text, for messages; empty if it describes none."""
    described = profile.get("about", {}).get("variables")
    return described if isinstance(described, str) else "; ".join(map(str, list_variables(profile)))


def _format_default(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
