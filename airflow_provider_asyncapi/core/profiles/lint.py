"""Find the mistakes in the text of a profile, each with its line and advice."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from airflow_provider_asyncapi.core.auth.registry import collect_auth_keys
from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.events.plan import EventPlan
from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
from airflow_provider_asyncapi.core.profiles.merging import EXTENDS, drop_switched_off
from airflow_provider_asyncapi.core.profiles.schema import profile_tables
from airflow_provider_asyncapi.core.requests.request_step import RequestStep
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from airflow_provider_asyncapi.core.wait.plan import WaitPlan

#: A statement of more lines isn't looked for: each of its lines is parsed with all lines before it.
_MAX_STATEMENT_LINES = 400
#: What a connection adds to its table of a profile, since it is a secret, or differs from user to user.
_HOST = {"host": "https://api.example.com"}
_CREDENTIALS = {"login": "login", "password": "password"}

#: The names of tables and keys, from the outermost one.
KeyPath: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mistake:
    """
    A mistake in a profile.

    :param message: what is wrong, and what to change.
    :param line: the line, from 1; None if the message contains it, or if it isn't known.
    :param table: the table; None for a mistake of the whole file.
    :param key: the key; None for a mistake of the whole table.
    """

    message: str
    line: int | None = None
    table: str | None = None
    key: str | None = None

    def __str__(self) -> str:
        return self.message if self.table is None else f"[{self.table}] {self.message}"

    def describe_in(self, file: object) -> str:
        """Return the mistake with its place in a file."""
        place = file if self.line is None else f"{file}:{self.line}"
        return f"{place}: {self}"


def find_mistakes(text: str) -> list[Mistake]:
    """
    Return the mistakes in a profile, in the order of their lines.

    :param text: the content of its file.
    """
    try:
        profile = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        return [Mistake(f"isn't TOML: {error}")]
    lines = map_lines(text)
    tables = profile_tables(profile)
    found = [
        mistake
        for table, content in profile.items()
        if table not in ("about", EXTENDS)
        for mistake in _check_table(table, content, tables, lines)
    ]
    if not isinstance(profile.get(EXTENDS, ""), str):
        message = f"{EXTENDS}: has to be the name of another profile, not {profile[EXTENDS]!r}"
        found.append(Mistake(message, lines.get((EXTENDS,))))
    return sorted(found, key=lambda mistake: mistake.line or 0)


def _check_table(
    table: str,
    content: Any,
    tables: Mapping[str, frozenset[str]],
    lines: Mapping[KeyPath, int],
) -> Iterator[Mistake]:
    line = lines.get((table,))
    if table not in tables:
        yield Mistake(f"unknown table [{table}]{suggest_name(table, ('about', EXTENDS, *tables))}", line)
        return
    if not isinstance(content, Mapping):
        yield Mistake(f"{table}: has to be a table, not {content!r}", line)
        return
    for key in content:
        if key not in tables[table]:
            message = f"{key}: unknown key{suggest_name(key, tables[table])}"
            yield Mistake(message, lines.get((table, key), line), table, key)
    known = {key: value for key, value in content.items() if key in tables[table]}
    if table != "connection":
        known = drop_switched_off(known)
    # What the table lacks, a connection may set: most are secrets, or differ from user to user.
    missing = tables[table] - known.keys() if table == "connection" else frozenset()
    for key, message in _find_invalid_keys(known, _parser_of(table)):
        if _find_named_key(message, missing) is None:
            yield Mistake(message, line if key is None else lines.get((table, key), line), table, key)


def _find_invalid_keys(
    content: Mapping[str, Any], parse: Callable[[Mapping[str, Any]], object]
) -> Iterator[tuple[str | None, str]]:
    """Yield each key whose value is invalid, and the message; parse again without each."""
    while True:
        try:
            parse(content)
        except ConfigurationError as error:
            key = _find_named_key(str(error), content)
            yield key, str(error)
            if key is None:
                return
            content = {name: value for name, value in content.items() if name != key}
        else:
            return


def _parser_of(table: str) -> Callable[[Mapping[str, Any]], object]:
    match table:
        case "connection":
            return _parse_connection
        case "submit":
            return lambda given: SubmitPlan.parse(given, complete=False)
        case "status":
            return lambda given: WaitPlan.parse(given, complete=False)
        case "fetch":
            return lambda given: FetchPlan.parse(given, complete=False)
        case "events":
            return lambda given: EventPlan.parse(given, complete=False)
        case _:
            return lambda given: RequestStep.parse(given, table, method="POST", complete=False)


def _parse_connection(given: Mapping[str, Any]) -> object:
    if given.get("auth") in (None, "", "none"):
        # The connection may choose a kind of authentication, and these keys belong to one.
        unused = collect_auth_keys()
        general = {key: value for key, value in given.items() if key not in unused}
        return ConnectionSettings.parse({**general, **_HOST})
    return ConnectionSettings.parse({**given, **_HOST, **_CREDENTIALS})


def _find_named_key(message: str, keys: Collection[str]) -> str | None:
    """Return the key that a message names first; None if it names none of them."""
    places = {key: match.start() for key in keys if (match := re.search(rf"\b{re.escape(key)}\b", message))}
    return min(places, key=lambda key: places[key]) if places else None


def suggest_name(name: str, known: Collection[str]) -> str:
    """Return the advice about an unknown name: the nearest known one, or all of them."""
    nearest = difflib.get_close_matches(name.lower(), known, 1)
    return f"; did you mean {nearest[0]}?" if nearest else f"; known are {', '.join(sorted(known))}"


def map_lines(text: str) -> dict[KeyPath, int]:
    """
    Return the lines of the tables and keys of a TOML document, from 1.

    A statement is the shortest run of lines that is TOML by itself.
    """
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    statement: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not statement and (not line.strip() or line.lstrip().startswith("#")):
            continue
        statement.append(line)
        try:
            parsed = tomllib.loads("\n".join(statement))
        except (tomllib.TOMLDecodeError, RecursionError):
            if len(statement) > _MAX_STATEMENT_LINES:
                break
            continue
        is_header = statement[0].lstrip().startswith("[")
        paths = list(_walk_keys(() if is_header else table, parsed))
        if is_header:
            table = paths[-1]
        for path in paths:
            lines.setdefault(path, number - len(statement) + 1)
        statement = []
    return lines


def _walk_keys(path: KeyPath, value: Any) -> Iterator[KeyPath]:
    """Yield the paths of all keys in a value, the outer ones first."""
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, Mapping):
            for key, inner in each.items():
                yield (*path, key)
                yield from _walk_keys((*path, key), inner)
