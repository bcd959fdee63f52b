"""Write Python source: literals, nested data, and expressions of the file that was read."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from typing import Any, TypeAlias

from airflow_provider_asyncapi.importing.http_dags.tasks import HttpTask

#: Source text that is written as it is.
Source: TypeAlias = str
_LINE = 110


def quote(text: str) -> Source:
    """Return a literal in double quotes."""
    return json.dumps(text, ensure_ascii=False)


def unparse(node: ast.expr) -> Source:
    """Return the source of an expression."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isprintable():
        return quote(node.value)
    return ast.unparse(node)


def to_source(value: Any) -> Any:
    """Return the source of plain data, with double quotes."""
    if isinstance(value, dict):
        return {name: to_source(each) for name, each in value.items()}
    if isinstance(value, list):
        return [to_source(each) for each in value]
    return quote(value) if isinstance(value, str) else repr(value)


def format_source(value: Any, indent: int) -> str:
    """Return nested source in a line, or in lines that are indented by four spaces for each level."""
    flat = _format_flat(value)
    if not isinstance(value, dict | list) or indent + len(flat) <= _LINE:
        return flat
    return "\n".join(_format_lines(value, 4))


def _format_lines(value: Any, indent: int) -> Iterator[str]:
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    yield opening
    entries = (
        [(f"{quote(str(key))}: ", each) for key, each in value.items()]
        if isinstance(value, dict)
        else [("", each) for each in value]
    )
    pad = " " * (indent + 4)
    for name, each in entries:
        flat = _format_flat(each)
        if not isinstance(each, dict | list) or len(pad) + len(name) + len(flat) <= _LINE:
            yield f"{pad}{name}{flat},"
        else:
            first, *rest = _format_lines(each, indent + 4)
            yield f"{pad}{name}{first}"
            yield from rest[:-1]
            yield f"{rest[-1]},"
    yield f"{' ' * indent}{closing}"


def _format_flat(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quote(str(key))}: {_format_flat(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_format_flat, value)) + "]"
    return str(value)


class IdentifierFiller(ast.NodeTransformer):
    """Puts ``{identifier}`` in place of the XComs of some tasks."""

    def __init__(self, names: set[str]) -> None:
        self._names = names

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        """Replace Jinja expressions."""
        if not isinstance(node.value, str):
            return node
        task = HttpTask("", None, 0, {"endpoint": node})
        text = node.value
        for reference in task.find_references():
            if reference.text is not None and reference.task in self._names:
                text = text.replace(reference.text, "{identifier}")
        return ast.copy_location(ast.Constant(text), node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        """Replace parts of an f-string; without other parts it becomes a plain string."""
        values = [ast.Constant("{identifier}") if self._is_output(each) else each for each in node.values]
        values = [self.visit_Constant(each) if isinstance(each, ast.Constant) else each for each in values]
        if all(isinstance(each, ast.Constant) for each in values):
            return ast.Constant("".join(str(each.value) for each in values if isinstance(each, ast.Constant)))
        return ast.JoinedStr(values)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Replace ``task.output``."""
        is_output = node.attr == "output" and isinstance(node.value, ast.Name) and node.value.id in self._names
        return ast.Constant("{identifier}") if is_output else node

    def _is_output(self, node: ast.expr) -> bool:
        return isinstance(node, ast.FormattedValue) and isinstance(self.visit(node.value), ast.Constant)
