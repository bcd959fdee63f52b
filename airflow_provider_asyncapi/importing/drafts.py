"""The result of an import: a profile, the connection that it needs, and the parts that couldn't be carried over."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_asyncapi.core.profiles.lint import KeyPath, Mistake, find_mistakes
from airflow_provider_asyncapi.importing.profile_toml import format_profile

#: The tables of a profile, in the order in which they are written.
_TABLES = ("about", "connection", "submit", "status", "fetch", "cancel")
_NO_NAME = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True, slots=True)
class Gap:
    """
    A part of a document that the profile doesn't contain.

    :param place: where it is in the document.
    :param message: what it is, and what to do about it.
    :param path: the key of the profile that would hold it; empty for none.
    """

    place: str
    message: str
    path: KeyPath = field(default=(), compare=False)

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


@dataclass(slots=True)
class Draft:
    """
    A profile that is being written.

    :param name: the name of its file, without ``.toml``.
    :param source: the document, and the part of it that the profile is made from.
    :param tables: the tables of the profile.
    :param extends: the profile that it extends.
    :param connection: the connection that the profile needs, with ``<names>`` in place of values.
    :param variables: what a DAG has to set: the name of each variable, and its meaning in the document.
    :param gaps: what isn't carried over.
    :param comments: comments by the path of a key; that of a key that isn't there marks a gap.
    """

    name: str
    source: str
    tables: dict[str, dict[str, Any]] = field(default_factory=lambda: {table: {} for table in _TABLES})
    extends: str | None = None
    connection: dict[str, Any] = field(default_factory=lambda: {"conn_type": "asyncapi", "host": ""})
    variables: dict[str, str] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    comments: dict[KeyPath, str] = field(default_factory=dict)

    def add_gap(self, place: str, message: str, path: KeyPath = ()) -> None:
        """
        Name what isn't carried over.

        :param path: the key of the profile that would hold it, where the gap is marked.
        """
        gap = Gap(place, message, path)
        if gap not in self.gaps:
            self.gaps.append(gap)
        if path:
            self.comments[path] = f"not set: {message}"

    def drop_gaps(self, path: KeyPath) -> None:
        """Forget the gaps of a key of the profile, since something else sets the key."""
        self.gaps = [gap for gap in self.gaps if gap.path != path]
        self.comments.pop(path, None)

    def rename(self, name: str) -> None:
        """Change the name of the file, and of the profile in its connection."""
        self.name = name
        self.connection.setdefault("extra", {})["profile"] = name

    @property
    def profile(self) -> dict[str, Any]:
        """The tables that hold anything, and ``extends``."""
        extends = {} if self.extends is None else {"extends": self.extends}
        return {**extends, **{name: content for name, content in self.tables.items() if content}}

    def format(self) -> str:
        """
        Return the profile as TOML that ``profiles check`` accepts.

        A key with a value that a profile can't hold is left out, and becomes a gap.
        """
        if self.variables:
            self.tables["about"]["variables"] = dict(self.variables)
        while mistakes := [each for each in find_mistakes(self._format()) if each.table is not None]:
            self._drop(mistakes[0])
        return self._format()

    def _drop(self, mistake: Mistake) -> None:
        table = str(mistake.table)
        if mistake.key is None or mistake.key not in self.tables[table]:
            self.tables[table] = {}
            self.add_gap(f"[{table}]", mistake.message)
            return
        del self.tables[table][mistake.key]
        self.add_gap(f"[{table}] {mistake.key}", mistake.message, (table, mistake.key))

    def _format(self) -> str:
        lines = [f"Imported from {self.source}."]
        if self.gaps:
            lines += ["Not carried over:", *(f"- {gap}" for gap in self.gaps)]
        return format_profile(self.profile, heading="\n".join(lines), comments=self.comments)


def make_name(text: str) -> str:
    """Return a text as the name of a file or a variable, in lower case with underscores."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", text)
    return _NO_NAME.sub("_", spaced).strip("_").lower() or "unnamed"


def set_value(tables: dict[str, Any], path: KeyPath, value: Any) -> None:
    """Set the value of a key in tables that may not be there yet."""
    for key in path[:-1]:
        tables = tables.setdefault(key, {})
    tables[path[-1]] = value


def join_url(base: str, path: str) -> str:
    """Return a URL and a path below it as one URL."""
    return f"{base.rstrip('/')}/{path.lstrip('/')}" if base and path else base or path


def relative_to(url: str, host: str) -> str:
    """Return a URL as an endpoint: a path if it is below the connection's address, else itself."""
    if host and url.startswith(host):
        rest = url[len(host) :]
        if not rest or rest[0] in "/?" or host.endswith("/"):
            return rest if rest.startswith(("/", "?")) else f"/{rest}"
    return url


def list_or_empty(value: Any) -> list[Any]:
    """Return a value if it is a list, as it should be; else an empty one."""
    return value if isinstance(value, list) else []


def mapping_or_empty(value: Any) -> Mapping[str, Any]:
    """Return a value if it is a mapping, as it should be; else an empty one."""
    return value if isinstance(value, Mapping) else {}
