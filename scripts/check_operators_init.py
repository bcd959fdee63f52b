"""
Check how operators and sensors are written: ``python scripts/check_operators_init.py FILE…``.

Airflow's maintainers check their providers in the same way (``scripts/ci/prek/validate_operators_init.py`` in
apache/airflow): templates are rendered after ``__init__``, so ``__init__`` must assign each template field as it was
given, or hand it to the parent under the same name, and must not look into it. Here the rule holds for every argument:

- all arguments are keyword-only;
- each is assigned once, as ``self.name = name``, or handed on by ``super().__init__(name=name)``;
- nothing else stands in ``__init__`` but the call of the parent's and, as the last line, ``self.validate()``.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: The classes of Airflow's that make a class an operator, by the end of their names.
BASES = ("BaseOperator", "BaseSensorOperator")
VALIDATION = "self.validate()"


def check_source(source: str, name: str) -> list[str]:
    """Return what is wrong with the operators of a file, as ``name:line: class: problem``."""
    return [
        f"{name}:{line}: {operator.name}: {problem}"
        for operator in find_operators(source)
        for line, problem in _check_class(operator)
    ]


def find_operators(source: str) -> list[ast.ClassDef]:
    """Return the classes of a file that are operators."""
    classes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]
    return [node for node in classes if any(_name_of(base).endswith(BASES) for base in node.bases)]


def _name_of(base: ast.expr) -> str:
    """Return the last part of a base class's name, without what stands in brackets."""
    return ast.unparse(base).partition("[")[0].rpartition(".")[2]


def _check_class(node: ast.ClassDef) -> Iterator[tuple[int, str]]:
    fields = _template_fields(node)
    init = next((each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"), None)
    if fields is None:
        yield node.lineno, "template_fields has to be a tuple of names, so that it can be checked"
    if init is None:
        if fields:
            yield node.lineno, "has template_fields, and no __init__ that assigns them"
        return
    yield from _check_init(init, fields or [])


def _check_init(init: ast.FunctionDef, fields: list[str]) -> Iterator[tuple[int, str]]:
    if init.args.posonlyargs or len(init.args.args) != 1 or init.args.vararg:
        yield init.lineno, "the arguments of __init__ have to be keyword-only"
    given = {argument.arg for argument in init.args.kwonlyargs}
    assigned: set[str | None] = set()
    calls_parent = False
    for statement in _without_docstring(init.body):
        name, handed_on = _plainly_assigned(statement), _handed_to_parent(statement)
        if name in given - assigned:
            assigned.add(name)
        elif handed_on is not None:
            assigned |= handed_on
            calls_parent = True
        elif statement is not init.body[-1] or ast.unparse(statement) != VALIDATION:
            yield statement.lineno, f"logic in __init__: {ast.unparse(statement).splitlines()[0]}"
    if not calls_parent:
        yield init.lineno, "__init__ doesn't call super().__init__(**kwargs)"
    for name in sorted(given - assigned):
        yield init.lineno, f"the argument {name} isn't assigned: self.{name} = {name}"
    for name in sorted(set(fields) - given):
        yield init.lineno, f"the template field {name} is no argument of __init__"


def _template_fields(node: ast.ClassDef) -> list[str] | None:
    """Return the template fields that a class declares; None if they can't be read."""
    for statement in node.body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id="template_fields")], value=value)
                | ast.AnnAssign(target=ast.Name(id="template_fields"), value=ast.expr() as value)
            ):
                elements = value.elts if isinstance(value, ast.Tuple) else [value]
                names = [str(each.value) for each in elements if isinstance(each, ast.Constant)]
                return names if len(names) == len(elements) and isinstance(value, ast.Tuple) else None
    return []


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return body[1:] if is_docstring else body


def _plainly_assigned(statement: ast.stmt) -> str | None:
    """Return the name of ``self.name = name``; None for any other statement."""
    match statement:
        case (
            ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=attribute)], value=ast.Name(id=name))
            | ast.AnnAssign(target=ast.Attribute(value=ast.Name(id="self"), attr=attribute), value=ast.Name(id=name))
        ) if attribute == name:
            return str(name)
    return None


def _handed_to_parent(statement: ast.stmt) -> set[str] | None:
    """Return the names of ``super().__init__(name=name, **kwargs)``; None for any other statement."""
    match statement:
        case ast.Expr(
            value=ast.Call(
                func=ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr="__init__"),
                args=[],
                keywords=keywords,
            )
        ):
            named = {each.arg for each in keywords if each.arg is not None}
            plain = {each.arg for each in keywords if isinstance(each.value, ast.Name) and each.value.id == each.arg}
            return named if named == plain else None
    return None


def main(files: list[str]) -> int:
    """Check files, those of the package if none are named; return the exit code."""
    paths = [Path(file) for file in files] or sorted((ROOT / "airflow_provider_asyncapi").rglob("*.py"))
    problems = [problem for path in paths for problem in check_source(path.read_text(encoding="utf-8"), str(path))]
    print("\n".join(problems) or "All operators assign their arguments plainly.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
