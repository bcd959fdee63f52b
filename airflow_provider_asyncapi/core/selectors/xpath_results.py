"""Whether the syntax of an XPath allows several values."""

from __future__ import annotations

import re
from functools import lru_cache

from airflow_provider_asyncapi.core.selectors.xpath_work import TOKEN, ends_operand, is_operator

#: What may stand in the place of a name in a step, with parentheses; other names with parentheses are functions.
_NODE_TYPES = frozenset({"comment", "node", "processing-instruction", "text"})
#: Axes that lead to no more than one node.
_SINGLE_AXES = frozenset({"self", "parent"})
#: What a predicate that is a number consists of, apart from digits: `[1]`, `[last()]`, `[last() - 1]`.
_OF_NUMBERS = frozenset({"last", "(", ")", "+", "-"})
_POSITION = ["position", "(", ")", "="]


@lru_cache(maxsize=1024)
def finds_list(path: str) -> bool:
    """
    Return whether a path may find several values.

    The root element, an attribute, the item at a position (``job[1]``, ``(//job)[1]``), and the value of a function
    (``string(//job)``) or of an operator are one value.
    """
    return _finds_list(list(TOKEN.finditer(path)))


def _finds_list(tokens: list[re.Match[str]]) -> bool:
    if operators := _outer_operators(tokens):
        return operators == {"|"}
    return _Path(tokens).finds_list()


def _outer_operators(tokens: list[re.Match[str]]) -> set[str]:
    """Return the operators outside of predicates and parentheses."""
    level, follows_operand, found = 0, False, set()
    for token in tokens:
        is_operator_here = is_operator(token[0], follows_operand=follows_operand)
        level += (token[0] in "[(") - (token[0] in "])")
        if is_operator_here and not level:
            found.add(token[0])
        follows_operand = not is_operator_here and ends_operand(token)
    return found


class _Path:
    """Goes through the steps of an XPath without operators."""

    def __init__(self, tokens: list[re.Match[str]]) -> None:
        self._tokens = tokens
        self._position = 0

    def finds_list(self) -> bool:
        """Return whether the path may find several values."""
        is_root = self._peek() == "/"
        many = False if is_root else self._read_primary()
        while part := self._next():
            if part == "//":
                return True
            if part != "/":
                many |= self._read_step(part, is_root=is_root)
                is_root = False
        return many

    def _peek(self, ahead: int = 0) -> str:
        position = self._position + ahead
        return self._tokens[position][0] if position < len(self._tokens) else ""

    def _next(self) -> str:
        part = self._peek()
        self._position += 1
        return part

    def _read_primary(self) -> bool:
        """Read what a path may begin with instead of a step: parentheses, a function, or a constant."""
        part = self._peek()
        if part == "(":
            many = _finds_list(self._read_enclosed())
        elif self._peek(1) == "(" and part not in _NODE_TYPES:
            self._position += 1
            self._read_enclosed()
            many = part == "id"
        elif part[:1].isdigit() or part[:1] in tuple("'\""):
            self._position += 1
            many = False
        else:
            return False
        return not self._read_position() and many

    def _read_step(self, part: str, *, is_root: bool) -> bool:
        """
        Return whether a step may find several values in one.

        :param is_root: whether it is the first step from the document, which has one element.
        """
        axis = "child"
        if part == "@":
            axis, part = "attribute", self._next()
        elif self._peek() == "::":
            self._position += 1
            axis, part = part, self._next()
        if self._peek() == "(":
            self._read_enclosed()
        if self._read_position() or part in {".", ".."} or axis in _SINGLE_AXES:
            return False
        if axis == "child" and is_root:
            return part in _NODE_TYPES
        return axis != "attribute" or part.endswith("*") or part in _NODE_TYPES

    def _read_position(self) -> bool:
        """Read predicates; return whether one of them takes the item at a position."""
        found = False
        while self._peek() == "[":
            inner = [token[0] for token in self._read_enclosed()]
            inner = inner[len(_POSITION) :] if inner[: len(_POSITION)] == _POSITION else inner
            found |= all(part in _OF_NUMBERS or part[0].isdigit() for part in inner)
        return found

    def _read_enclosed(self) -> list[re.Match[str]]:
        """Read the content of brackets or parentheses."""
        begin, level = self._position + 1, 1
        self._position += 1
        while level and self._position < len(self._tokens):
            part = self._next()
            level += (part in "[(") - (part in "])")
        return self._tokens[begin : self._position - 1]
