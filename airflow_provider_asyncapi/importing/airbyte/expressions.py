"""
Read the Jinja of a manifest, without evaluating it: what a template stands for, as far as a profile can say it.

Jinja's parser makes a tree of a template; nothing of it is compiled or run.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import jinja2
from jinja2 import nodes

_PARSER = jinja2.Environment(autoescape=False)  # noqa: S701 - it renders nothing
#: Names that versions of a manifest have for the same value.
_SLICES = ("stream_slice", "stream_partition", "stream_interval")
_INTERVAL = ("start_time", "end_time")
_RESPONSES = {
    "creation_response": "creation",
    "create_job_response": "creation",
    "polling_response": "polling",
}
_TARGETS = ("download_target", "url")
#: Names of the components of Airbyte that have the same meaning in each of their versions.
_ROOTS = {
    "config": "config",
    "download_target": "target",
    "response": "response",
    "headers": "headers",
    "session_token": "session_token",
    **_RESPONSES,
}
#: Filters that change nothing that a request would show.
_NEUTRAL_FILTERS = ("string", "trim", "safe")


class UntranslatableError(Exception):
    """An expression that a profile can't say."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that the manifest itself contains."""

    value: Any


@dataclass(frozen=True, slots=True)
class Path:
    """
    A value that is known when the profile is used.

    :param source: ``config``, ``interval``, ``partition``, ``creation`` and ``polling`` (responses), ``target`` (the
        address of a result), ``response`` and ``headers`` (of a page or an error), ``session_token``.
    :param keys: the keys that lead to it.
    :param default: what it is if it isn't there.
    """

    source: str
    keys: tuple[str | int, ...] = ()
    default: Any = None


@dataclass(frozen=True, slots=True)
class Encoded:
    """The Base64 of a text."""

    value: Expression


@dataclass(frozen=True, slots=True)
class Joined:
    """Several values after each other, as a text."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Unknown:
    """
    An expression that can't be translated.

    :param text: the source.
    :param names: the variables of Jinja in it.
    """

    text: str
    names: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    A condition.

    :param operator: ``eq``, ``ne``, ``in``, ``notin``, ``gt``, ``lt``, or ``exists``.
    """

    path: Path
    operator: str
    value: Any = None
    is_negated: bool = False


Expression: TypeAlias = Constant | Path | Encoded | Joined | Unknown | Comparison


def read_template(text: Any, parameters: Mapping[str, Any], values: Mapping[str, Any] | None = None) -> Expression:
    """
    Return what a value of a manifest stands for.

    :param parameters: the parameters of its component.
    :param values: the values of a template of streams (``components_values``).
    """
    if not isinstance(text, str) or ("{{" not in text and "{%" not in text and "{#" not in text):
        return Constant(text)
    try:
        tree = _parse(text)
        reader = _Reader({"parameters": parameters, "components_values": values or {}})
        return _join([part for node in tree.body for part in reader.read_statement(node, text)])
    except (jinja2.TemplateSyntaxError, UntranslatableError, RecursionError):
        return Unknown(text, _find_names(text))


@functools.lru_cache(maxsize=1024)
def _parse(text: str) -> nodes.Template:
    return _PARSER.parse(text)


def _find_names(text: str) -> frozenset[str]:
    try:
        return frozenset(node.name for node in _parse(text).find_all(nodes.Name)) | frozenset(
            node.value for node in _parse(text).find_all(nodes.Const) if node.value in _RESPONSES
        )
    except (jinja2.TemplateSyntaxError, RecursionError):
        return frozenset()


def _join(parts: list[Expression]) -> Expression:
    flat = [each for part in parts for each in (part.parts if isinstance(part, Joined) else (part,))]
    flat = [part for part in flat if part != Constant("")]
    if all(isinstance(part, Constant) for part in flat) and len(flat) != 1:
        return Constant("".join(str(part.value) for part in flat if isinstance(part, Constant)))
    return flat[0] if len(flat) == 1 else Joined(tuple(flat))


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the nodes of Jinja's tree; ``known`` are the names whose values the manifest contains."""

    known: Mapping[str, Any]

    def read_statement(self, node: nodes.Node, text: str) -> list[Expression]:
        if not isinstance(node, nodes.Output):
            raise UntranslatableError
        parts: list[Expression] = []
        for each in node.nodes:
            if isinstance(each, nodes.TemplateData):
                parts.append(Constant(each.data))
                continue
            try:
                parts.append(self.read(each))
            except UntranslatableError:
                names = frozenset(name.name for name in each.find_all(nodes.Name))
                if isinstance(each, nodes.Name):
                    names |= {each.name}
                names |= {const.value for const in each.find_all(nodes.Const) if const.value in _RESPONSES}
                source = text.strip() if len(node.nodes) == 1 else f"part of {text.strip()}"
                parts.append(Unknown(source, names))
        return parts

    def read(self, node: nodes.Node) -> Expression:
        """
        Return what an expression stands for.

        :raises UntranslatableError: if a profile can't say it.
        """
        read = _METHODS.get(type(node))
        if read is None:
            raise UntranslatableError
        return read(self, node)

    def negate(self, node: nodes.Not) -> Expression:
        condition = self.as_condition(self.read(node.node))
        return replace(condition, is_negated=not condition.is_negated)

    def read_dict(self, node: nodes.Dict) -> Expression:
        return Constant({self.read_constant(each.key, str): self.read_constant(each.value) for each in node.items})

    def read_name(self, name: str) -> Expression:
        if name in self.known:
            return Constant(self.known[name])
        if name in _SLICES:
            return Path("slice")
        if name in _ROOTS:
            return Path(_ROOTS[name])
        raise UntranslatableError

    def read_constant(self, node: nodes.Node, types: type | tuple[type, ...] = object) -> Any:
        value = self.read(node)
        if isinstance(value, Constant) and isinstance(value.value, types):
            return value.value
        raise UntranslatableError

    def step(self, value: Expression, key: Any, default: Any = None) -> Expression:
        if isinstance(value, Constant):
            return Constant(_find_item(value.value, key, default))
        if not isinstance(value, Path) or not isinstance(key, (str, int)):
            raise UntranslatableError
        if value.source == "slice":
            return self.step_into_slice(key, default)
        if value.source in ("creation", "polling") and value.keys == ("headers",):
            return replace(value, keys=("headers", key), default=default)
        return replace(value, keys=(*value.keys, key), default=default)

    def step_into_slice(self, key: str | int, default: Any) -> Path:
        if key in ("extra_fields", "partition", "cursor_slice"):
            return Path("slice")
        if key in _RESPONSES:
            return Path(_RESPONSES[str(key)])
        if key in _TARGETS:
            return Path("target")
        return Path("interval" if key in _INTERVAL else "partition", (key,), default)

    def read_call(self, node: nodes.Call) -> Expression:
        if not isinstance(node.node, nodes.Getattr) or node.kwargs or node.dyn_args or node.dyn_kwargs:
            raise UntranslatableError
        value, method = self.read(node.node.node), node.node.attr
        if method == "json" and not node.args and isinstance(value, Path) and value.source in ("creation", "polling"):
            return value
        if method != "get" or not node.args:
            raise UntranslatableError
        found = self.step(value, self.read_constant(node.args[0]))
        default = self.read(node.args[1]) if node.args[1:] else Constant(None)
        if isinstance(found, Constant):
            return default if found.value is None else found
        return self.either(found, default)

    def add(self, left: Expression, right: Expression) -> Expression:
        if isinstance(left, Constant) and isinstance(right, Constant):
            try:
                return Constant(left.value + right.value)
            except TypeError:
                raise UntranslatableError from None
        return _join([left, right])

    def either(self, left: Expression, right: Expression) -> Expression:
        """Return ``left or right``: a value with a default, or one of two ways to the same value."""
        if isinstance(left, Constant):
            return left if left.value else right
        if isinstance(left, Path) and isinstance(right, Constant):
            # An empty mapping as the default only keeps the next step from failing.
            return left if right.value in ({}, "", None) else replace(left, default=right.value)
        if isinstance(left, Path) and isinstance(right, Path) and left.source == right.source == "config":
            # The same key in a group of the configuration, or beside it.
            if not left.keys or not right.keys:
                return Path("config")
            if left.keys[-1] == right.keys[-1]:
                return left if len(left.keys) <= len(right.keys) else right
        raise UntranslatableError

    def choose(self, node: nodes.CondExpr) -> Expression:
        """Return ``a if condition else b``."""
        test = self.read(node.test)
        otherwise = Constant("") if node.expr2 is None else self.read(node.expr2)
        if isinstance(test, Constant):
            return self.read(node.expr1) if test.value else otherwise
        chosen = self.read(node.expr1)
        if chosen == test:
            return self.either(chosen, otherwise)
        raise UntranslatableError

    def filter(self, node: nodes.Filter) -> Expression:
        if node.node is None:
            raise UntranslatableError
        value = self.read(node.node)
        if node.name in _NEUTRAL_FILTERS and not node.args:
            return value
        if node.name in ("default", "d") and len(node.args) == 1:
            return self.either(value, self.read(node.args[0]))
        if node.name == "base64encode" and not isinstance(value, Comparison):
            return Encoded(value)
        raise UntranslatableError

    def compare(self, node: nodes.Compare) -> Expression:
        left, right = self.read(node.expr), self.read(node.ops[0].expr)
        operator = node.ops[0].op
        if len(node.ops) != 1:
            raise UntranslatableError
        if isinstance(left, Path) and isinstance(right, Constant):
            return Comparison(left, operator, right.value)
        if isinstance(left, Constant) and isinstance(right, Path) and operator in ("in", "eq"):
            return Comparison(right, "contains" if operator == "in" else "eq", left.value)
        raise UntranslatableError

    def as_condition(self, value: Expression) -> Comparison:
        if isinstance(value, Comparison):
            return value
        if isinstance(value, Path):
            return Comparison(value, "exists")
        raise UntranslatableError


#: How each kind of node is read.
_METHODS: dict[type[nodes.Node], Callable[[_Reader, Any], Expression]] = {
    nodes.Add: lambda reader, node: reader.add(reader.read(node.left), reader.read(node.right)),
    nodes.Call: _Reader.read_call,
    nodes.Compare: _Reader.compare,
    nodes.Concat: lambda reader, node: _join([reader.read(each) for each in node.nodes]),
    nodes.CondExpr: _Reader.choose,
    nodes.Const: lambda _, node: Constant(node.value),
    nodes.Dict: _Reader.read_dict,
    nodes.Filter: _Reader.filter,
    nodes.Getattr: lambda reader, node: reader.step(reader.read(node.node), node.attr),
    nodes.Getitem: lambda reader, node: reader.step(reader.read(node.node), reader.read_constant(node.arg)),
    nodes.List: lambda reader, node: Constant([reader.read_constant(each) for each in node.items]),
    nodes.Name: lambda reader, node: reader.read_name(node.name),
    nodes.Neg: lambda reader, node: Constant(-reader.read_constant(node.node, (int, float))),
    nodes.Not: _Reader.negate,
    nodes.Or: lambda reader, node: reader.either(reader.read(node.left), reader.read(node.right)),
}


def _find_item(value: Any, key: Any, default: Any) -> Any:
    try:
        found = value[key]
    except (TypeError, LookupError):
        return default
    return default if found is None else found
