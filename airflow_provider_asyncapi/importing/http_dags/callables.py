"""Translate ``response_check`` and ``response_filter``, which are Python functions, into rules and selectors."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.selectors.suggestions import format_path

#: The selector of the whole JSON document.
WHOLE = "$"
_COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Eq: ("in", "not_in"),
    ast.NotEq: ("not_in", "in"),
    ast.In: ("in", "not_in"),
    ast.NotIn: ("not_in", "in"),
    ast.Is: ("in", "not_in"),
    ast.IsNot: ("not_in", "in"),
}
#: Of numbers that aren't whole, the opposite of "greater" can't be expressed.
_BOUNDS: dict[type[ast.cmpop], str] = {ast.Gt: "gt", ast.Lt: "lt"}
_LOADS = ("json.loads", "loads")
_STATUS_CODE = "status_code"
_PARTS = {"status_code": _STATUS_CODE, "text": "response_text", "content": "content"}
#: More alternatives are no rules that people would read.
_MAX_ALTERNATIVES = 32

#: Conditions of which all have to be met.
Conditions = tuple[dict[str, Any], ...]


class UntranslatableError(Exception):
    """
    An expression can't be expressed as a selector or a rule.

    :ivar node: the expression.
    """

    def __init__(self, node: ast.AST) -> None:
        super().__init__(ast.unparse(node))
        self.node = node


@dataclass(slots=True)
class Check:
    """
    A function that was translated.

    :param rules: its rules, in order.
    :param ignore_case: whether it changes a status to upper or lower case before it compares it.
    """

    rules: list[dict[str, Any]] = field(default_factory=list)
    ignore_case: bool = False

    def to_parameters(self) -> dict[str, Any]:
        """Return the parameters of a wait: values of one status if that is enough, and rules otherwise."""
        more: dict[str, Any] = {"ignore_case": True} if self.ignore_case else {}
        selectors = {rule.get("selector") for rule in self.rules}
        names = {Outcome.SUCCESS: "completion_value", Outcome.FAILURE: "failure_value"}
        is_simple = len(selectors) == 1 and all("in" in rule and rule["outcome"] in names for rule in self.rules)
        (selector, *_) = selectors or {None}
        outcomes = [rule["outcome"] for rule in self.rules]
        if not is_simple or selector == _STATUS_CODE or len({*outcomes}) < len(outcomes):
            return {"rules": self.rules, **more}
        values = {names[rule["outcome"]]: rule["in"] for rule in self.rules}
        return {"completion_key": selector, **dict(sorted(values.items())), **more}


class FunctionReader:
    """
    Reads the functions of a file.

    :param functions: the functions by name.
    """

    def __init__(self, functions: Mapping[str, ast.FunctionDef]) -> None:
        self._functions = functions
        self._ignore_case = False
        self._names: dict[str, ast.expr] = {}
        self._response = ""

    def read_selector(self, function: ast.expr) -> str:
        """
        Return the selector of what a function takes from a response; :data:`WHOLE` for the whole document.

        :raises UntranslatableError: if it does more.
        """
        *statements, last = self._begin(function)
        for statement in statements:
            self._assign(statement)
        if not isinstance(last, ast.Return) or last.value is None:
            raise UntranslatableError(last)
        return self._select(last.value)

    def read_check(self, function: ast.expr) -> Check:
        """
        Return the rules of a function that returns whether a job is over, and raises an error if it has failed.

        :raises UntranslatableError: if it can't be expressed with rules.
        """
        check = Check()
        for statement in self._begin(function):
            check.rules += self._read_statement(statement)
        check.ignore_case = self._ignore_case
        return check

    def read_requirement(self, function: ast.expr) -> Check:
        """
        Return the rules for responses that a function refuses.

        :raises UntranslatableError: if they can't be expressed with rules.
        """
        (statement,) = self._begin_single(function)
        check = Check(_to_rules(self._find(statement, positive=False), Outcome.FAILURE))
        check.ignore_case = self._ignore_case
        return check

    def _begin(self, function: ast.expr) -> list[ast.stmt]:
        """Return the statements of a function, without its docstring."""
        self._ignore_case, self._names = False, {}
        body: list[ast.stmt]
        if isinstance(function, ast.Name) and function.id in self._functions:
            found = self._functions[function.id]
            arguments = found.args.args
            body = found.body[1:] if ast.get_docstring(found) is not None else found.body
        elif isinstance(function, ast.Lambda):
            arguments, body = function.args.args, [ast.Return(function.body)]
        else:
            raise UntranslatableError(function)
        if not arguments or not body:
            raise UntranslatableError(function)
        self._response = arguments[0].arg
        return body

    def _begin_single(self, function: ast.expr) -> list[ast.expr]:
        *statements, last = self._begin(function)
        for statement in statements:
            self._assign(statement)
        if not isinstance(last, ast.Return) or last.value is None:
            raise UntranslatableError(last)
        return [last.value]

    def _assign(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self._names[name] = value
            case ast.Expr(value=ast.Call()):
                # It logs or prints.
                pass
            case _:
                raise UntranslatableError(statement)

    def _read_statement(self, statement: ast.stmt) -> list[dict[str, Any]]:
        match statement:
            case ast.Return(value=ast.Constant(value=False)):
                return []
            case ast.Return(value=ast.expr() as value):
                return _to_rules(self._find(value, positive=True), Outcome.SUCCESS)
            case ast.If(test=test, body=[*before, ast.Raise()], orelse=[]):
                outcome = Outcome.FAILURE
            case ast.If(test=test, body=[*before, ast.Return(value=ast.Constant(value=bool() as is_over))], orelse=[]):
                outcome = Outcome.SUCCESS if is_over else Outcome.RUNNING
            case _:
                self._assign(statement)
                return []
        for each in before:
            self._assign(each)
        return _to_rules(self._find(test, positive=True), outcome)

    def _find(self, node: ast.expr, *, positive: bool) -> list[Conditions]:
        """Return the alternatives under which an expression is true, or false; each is a list of conditions."""
        match node:
            case ast.BoolOp(op=operator, values=values):
                parts = [self._find(value, positive=positive) for value in values]
                # By De Morgan, "not (a and b)" is "not a or not b".
                if isinstance(operator, ast.And) == positive:
                    combined = _combine(parts)
                    if len(combined) > _MAX_ALTERNATIVES:
                        raise UntranslatableError(node)
                    return combined
                return [each for part in parts for each in part]
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self._find(operand, positive=not positive)
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                return [(self._compare(node, left, operator, right, positive=positive),)]
            case ast.Constant(value=bool() as value):
                return [()] if value == positive else []
            case ast.Attribute(value=ast.Name(id=name), attr="ok") if name == self._response:
                # Other status codes than 2xx are errors anyway.
                return [()] if positive else []
            case ast.Call(func=ast.Name(id="bool"), args=[inner]):
                return self._find(inner, positive=positive)
        return [({"selector": self._select(node), "in" if positive else "not_in": True},)]

    def _compare(
        self, node: ast.expr, left: ast.expr, operator: ast.cmpop, right: ast.expr, *, positive: bool
    ) -> dict[str, Any]:
        if isinstance(operator, ast.In | ast.NotIn) and isinstance(left, ast.Constant):
            return self._contain(node, left, right, is_wanted=isinstance(operator, ast.In) == positive)
        if isinstance(left, ast.Constant) and isinstance(operator, ast.Eq | ast.NotEq):
            left, right = right, left
        if bound := _BOUNDS.get(type(operator)):
            value = _read_literal(right)
            if not positive or isinstance(value, bool) or not isinstance(value, int | float):
                raise UntranslatableError(node)
            return {"selector": self._select(left), bound: value}
        if type(operator) not in _COMPARISONS:
            raise UntranslatableError(node)
        condition = _COMPARISONS[type(operator)][not positive]
        value = _read_literal(right)
        if value is None:
            return {"selector": self._select(left), "exists": condition == "not_in"}
        return {"selector": self._select(left), condition: value}

    def _contain(self, node: ast.expr, left: ast.Constant, right: ast.expr, *, is_wanted: bool) -> dict[str, Any]:
        """Translate ``"text" in response.text`` and ``"key" in response.json()``."""
        selector = self._select(right)
        if not isinstance(left.value, str):
            raise UntranslatableError(node)
        if selector == WHOLE:
            return {"selector": format_path((left.value,)).removeprefix("$."), "exists": is_wanted}
        if not is_wanted or selector != "response_text":
            raise UntranslatableError(node)
        return {"selector": selector, "matches": re.escape(left.value)}

    def _select(self, node: ast.expr) -> str:
        path = self._find_path(node)
        if isinstance(path, str):
            return path
        text = format_path(path)
        return text.removeprefix("$.") if text.startswith("$.") and text[2:3] not in {'"', "'"} else text

    def _find_path(self, node: ast.expr) -> str | tuple[str | int, ...]:
        """Return the path in the JSON document, or the selector of another part of the response."""
        match node:
            case ast.Name(id=name) if name in self._names:
                return self._find_path(self._names[name])
            case ast.Call():
                return self._find_path_of_call(node)
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name == self._response:
                if attribute in _PARTS:
                    return _PARTS[attribute]
            case ast.Subscript(value=inner, slice=ast.Constant(value=str() | int() as key)):
                return self._extend(node, inner, key)
        raise UntranslatableError(node)

    def _find_path_of_call(self, node: ast.Call) -> str | tuple[str | int, ...]:
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="json"), args=[]) if name == self._response:
                return ()
            case ast.Call(func=function, args=[argument]) if ast.unparse(function) in _LOADS:
                if self._find_path(argument) in {"response_text", "content"}:
                    return ()
            case ast.Call(func=ast.Attribute(value=inner, attr="lower" | "upper" | "casefold"), args=[]):
                self._ignore_case = True
                return self._find_path(inner)
            case (
                ast.Call(func=ast.Attribute(value=inner, attr="strip"), args=[])
                | ast.Call(func=ast.Name(id="str" | "int" | "float"), args=[inner])
            ):
                return self._find_path(inner)
            case ast.Call(
                func=ast.Attribute(value=inner, attr="get"), args=[ast.Constant(value=str() as key), *defaults]
            ) if all(isinstance(each, ast.Constant | ast.Dict) for each in defaults):
                return self._extend(node, inner, key)
        raise UntranslatableError(node)

    def _extend(self, node: ast.expr, inner: ast.expr, key: str | int) -> str | tuple[str | int, ...]:
        match inner:
            case ast.Attribute(value=ast.Name(id=name), attr="headers") if name == self._response:
                return f"header:{key}"
        path = self._find_path(inner)
        if isinstance(path, str) or (isinstance(key, int) and key < 0):
            raise UntranslatableError(node)
        return (*path, key)


def _read_literal(node: ast.expr) -> Any:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise UntranslatableError(node) from None
    if isinstance(value, set | frozenset | tuple):
        return sorted(value, key=str) if isinstance(value, set | frozenset) else list(value)
    if isinstance(value, dict | bytes | complex):
        raise UntranslatableError(node)
    return value


def _combine(parts: Sequence[Sequence[Conditions]]) -> list[Conditions]:
    combined: list[Conditions] = [()]
    for alternatives in parts:
        combined = [(*one, *other) for one in combined for other in alternatives][: _MAX_ALTERNATIVES + 1]
    return combined


def _to_rules(alternatives: Iterable[Conditions], outcome: Outcome) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = []
    for conditions in alternatives:
        if not conditions:
            rules.append({"selector": _STATUS_CODE, "in": [200, 201, 202, 204], "outcome": outcome.value})
        elif len(conditions) == 1:
            rules.append({**conditions[0], "outcome": outcome.value})
        else:
            rules.append({"all": list(conditions), "outcome": outcome.value})
    return rules
