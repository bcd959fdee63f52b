"""Docstrings name parameters and objects that exist."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import airflow_provider_asyncapi

PACKAGE = Path(airflow_provider_asyncapi.__file__).parent
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
TREES = {module: ast.parse(path.read_text(encoding="utf-8")) for module, path in MODULES.items()}
#: Packages whose objects are referred to by their full names.
OTHERS = {"aiohttp", "airflow", *sys.stdlib_module_names}
PARAMETER = re.compile(r":param (\w+):")
REFERENCE = re.compile(r":(?:class|meth|func|data|attr|mod|exc):`([^`<>]+)`")


def argument_names(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
    return {each.arg for each in every}


def assigned_names(node: ast.AST) -> Iterator[str]:
    """Yield the names of variables, fields and attributes that a statement assigns."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    for target in targets:
        if isinstance(target, ast.Name):
            yield target.id
        elif isinstance(target, ast.Attribute):
            yield target.attr


def unpacked_names(node: Any) -> set[str]:
    """Return the keys that a function takes as keyword arguments (``**given: Unpack[Keys]``)."""
    kind = node.args.kwarg and node.args.kwarg.annotation
    if not isinstance(kind, ast.Subscript) or ast.unparse(kind.value) != "Unpack":
        return set()
    classes = (each for tree in TREES.values() for each in tree.body if isinstance(each, ast.ClassDef))
    keys = next(each for each in classes if each.name == ast.unparse(kind.slice))
    return {name for each in keys.body if isinstance(each, ast.AnnAssign) for name in assigned_names(each)}


def parameter_names(node: Any) -> set[str] | None:
    """Return the parameters of a function or a class; None if a base class has them."""
    if not isinstance(node, ast.ClassDef):
        return argument_names(node)
    names = {name for each in node.body if isinstance(each, ast.AnnAssign) for name in assigned_names(each)}
    made = [each for each in node.body if isinstance(each, ast.FunctionDef) and each.name in ("__init__", "__new__")]
    return names.union(*map(argument_names, made), *map(unpacked_names, made)) if names or made else None


def qualified_names(tree: ast.AST, prefix: str) -> Iterator[str]:
    """Yield the full names of what a module or a class defines, the attributes of its instances included."""
    for node in ast.iter_child_nodes(tree):
        for name in assigned_names(node):
            yield f"{prefix}.{name}"
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}.{node.name}"
            # What a method assigns to belongs to its class.
            yield from qualified_names(node, f"{prefix}.{node.name}" if isinstance(node, ast.ClassDef) else prefix)
        else:
            yield from qualified_names(node, prefix)


def test_each_described_parameter_exists() -> None:
    wrong = []
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                described = PARAMETER.findall(ast.get_docstring(node) or "")
                names = parameter_names(node) if described else None
                if names is not None:
                    wrong += [f"{module}.{node.name}: {name}" for name in described if name not in names]
    assert wrong == []


def test_each_reference_ends_the_full_name_of_an_object() -> None:
    ends = set()
    for module, tree in TREES.items():
        for name in (module, *qualified_names(tree, module)):
            parts = name.split(".")
            ends |= {".".join(parts[start:]) for start in range(len(parts))}
    wrong = [
        f"{module}: {target}"
        for module, path in MODULES.items()
        for target in REFERENCE.findall(path.read_text(encoding="utf-8"))
        if target.lstrip("~.") not in ends and target.lstrip("~").split(".")[0] not in OTHERS
    ]
    assert wrong == []
