"""Write what a manifest's templates stand for as templates, selectors and variables of a profile."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_asyncapi.core.profiles.lint import KeyPath
from airflow_provider_asyncapi.core.templates import CONNECTION
from airflow_provider_asyncapi.importing.airbyte.components import Component
from airflow_provider_asyncapi.importing.airbyte.expressions import (
    Constant,
    Encoded,
    Expression,
    Joined,
    Path,
    Unknown,
    read_template,
)
from airflow_provider_asyncapi.importing.drafts import Draft, make_name
from airflow_provider_asyncapi.importing.selectors import build_selector

TARGET = "download_target"
#: Names that mean something else in a profile, or that a selector of an identifier is likely to set.
_TAKEN = frozenset(
    ("callback_url", "cursor", "id", "idempotency_key", "identifier", "limit", "offset", "page", "result_identifier")
) | {TARGET, "url"}
#: A group of a configuration that holds the credentials of one of several kinds of authentication.
_GROUP = "credentials"
_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*")
#: What a template can be translated from although a part of it is unknown: what no response contains.
_RESPONSES = frozenset(
    ("creation_response", "create_job_response", "polling_response", "response", "headers", "download_target", "record")
)


class GapError(Exception):
    """A value that the profile can't contain; the message says what it is."""


@dataclass(slots=True)
class Renderer:
    """
    Translates the templates of one stream.

    :param draft: the profile, which gets captures and the descriptions of variables.
    :param secret_names: the names of the configuration that the specification marks as secrets.
    :param formats: the format of the times of the stream's interval.
    :param aliases: the fields of the connection that hold keys of the configuration: ``login`` and ``password``.
    :param host: the address of the connection, as a template; endpoints below it are paths.
    """

    draft: Draft
    secret_names: frozenset[str]
    formats: str = ""
    aliases: dict[str, str] = field(default_factory=dict)
    host: str = ""

    def read(self, component: Component, key: str) -> Expression:
        """Return what the value of a key stands for."""
        return read_template(component.get(key), component.parameters)

    def text(self, component: Component, key: str, path: KeyPath = ()) -> str:
        """
        Return the value of a key as a template; empty if there is none.

        :param path: the key of the profile, for the name of a variable.
        :raises GapError: if it can't be translated.
        """
        value = component.get(key)
        return "" if value is None else str(self.render_text(value, component.parameters, (*path, key)))

    def placeholder(self, component: Component, key: str, field_name: str = "") -> str:
        """
        Return the value of a key with ``<name>`` in place of what a user has to fill in.

        :param field_name: the field of the connection that holds it, by which requests can name it.
        """
        return self._fill_in(self.read(component, key), field_name)

    def _fill_in(self, value: Expression, field_name: str = "") -> str:
        match value:
            case Constant():
                return "" if value.value is None else str(value.value)
            case Path(source="config"):
                name = config_name(value.keys)
                if field_name:
                    self.aliases[name] = field_name
                return f"<{name}>"
            case Joined():
                return "".join(map(self._fill_in, value.parts))
            case _:
                return f"<{make_name(getattr(value, 'text', 'value'))[:40]}>"

    def render(self, value: Any, parameters: Mapping[str, Any], path: KeyPath, types: tuple[type, ...] = ()) -> Any:
        """
        Return a value with its templates translated; values of mappings that can't be are left out, and named.

        :param types: the types that a text of Python's syntax may stand for, beside text; by default the types of JSON.
        """
        if isinstance(value, Mapping):
            rendered = {}
            for key, each in value.items():
                try:
                    name = str(self.render_text(key, parameters, path))
                    rendered[name] = self.render(each, parameters, (*path, name), types)
                except GapError as error:
                    self.draft.add_gap(".".join((*path, key)), str(error), path[:2])
            return {key: each for key, each in rendered.items() if each is not None}
        if isinstance(value, list):
            return [self.render(each, parameters, path, types) for each in value]
        if not isinstance(value, str):
            return value
        return _evaluate_literal(self.render_text(value, parameters, path), types)

    def render_text(self, value: Any, parameters: Mapping[str, Any], path: KeyPath) -> Any:
        """
        Return the translation of one template: a text, or a value of another type that the manifest contains.

        :raises GapError: if a profile can't contain it.
        """
        return self._write(read_template(value, parameters), path)

    def _write(self, value: Expression, path: KeyPath) -> Any:
        match value:
            case Constant():
                return value.value
            case Path():
                return f"{{{self._name(value)}}}"
            case Joined():
                return "".join(str(self._write(part, path)) for part in value.parts)
            case Unknown():
                return f"{{{self._name_unknown(value, path)}}}"
            case Encoded():
                raise GapError("a value in Base64 that the connection's authentication doesn't make")
            case _:
                raise GapError("a condition")

    def _name(self, path: Path) -> str:
        match path.source:
            case "config":
                return self._name_config(path)
            case "interval":
                name = str(path.keys[0])
                end = "start" if name == "start_time" else "end"
                meaning = f"{end} of the interval" + (f", as {self.formats}" if self.formats else "")
                return self._add_variable(name, meaning)
            case "partition":
                key = str(path.keys[0])
                name = make_name(key)
                return self._add_variable(f"partition_{name}" if name in _TAKEN else name, f"{key} of the partition")
            case "creation":
                return self._name_capture("submit", path.keys)
            case "polling":
                return self._name_capture("status", path.keys)
            case "target" if not path.keys:
                return TARGET
            case _:
                raise GapError(f"a value of {path.source}")

    def _name_config(self, path: Path) -> str:
        if not path.keys:
            raise GapError("the whole configuration")
        name = config_name(path.keys)
        if name in self.aliases:
            return CONNECTION + self.aliases[name]
        if path.default is not None and name not in self.secret_names:
            defaults = self.draft.tables["connection"].setdefault("variables", {})
            defaults.setdefault(name, path.default)
        return CONNECTION + name

    def _name_capture(self, table: str, keys: Sequence[str | int]) -> str:
        if not keys:
            raise GapError("a whole response")
        selector = build_selector(keys)
        content = self.draft.tables[table]
        if table == "submit" and content.setdefault("identifier", selector) == selector:
            return "identifier"
        name = make_name("_".join(map(str, keys)))
        name = f"job_{name}" if name in _TAKEN else name
        content.setdefault("capture", {})[name] = selector
        return name

    def _name_unknown(self, value: Unknown, path: KeyPath) -> str:
        if value.names & _RESPONSES:
            raise GapError(f"an expression of a response: {value.text}")
        return self._add_variable(make_name("_".join(path[-2:])), value.text)

    def _add_variable(self, name: str, meaning: str) -> str:
        self.draft.variables.setdefault(name, meaning)
        return name


def config_name(keys: Sequence[str | int]) -> str:
    """Return the name of a value of the configuration among the variables and secrets of a connection."""
    own = keys[1:] if len(keys) > 1 and keys[0] == _GROUP else keys
    name = "_".join(map(str, own))
    return name if _PLAIN_NAME.fullmatch(name) else make_name(name)


def _evaluate_literal(value: Any, types: tuple[type, ...]) -> Any:
    """Return what a text of Python's syntax for values stands for, as Airbyte does: ``"'2.0'"`` is the text ``2.0``."""
    if not isinstance(value, str):
        return value
    try:
        found = ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return value
    return found if isinstance(found, types or (str, int, float, list, dict, type(None))) else value
