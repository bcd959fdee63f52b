"""
How much work an XPath makes, and for which documents that is too much.

libxml2 evaluates a path with one ``//`` in time that is linear in the size of the document. Of what else there is in
XPath, some takes time that grows with the square of that size, or worse: 1 MiB is enough to keep it busy for minutes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.errors import ContentError
from airflow_provider_asyncapi.core.lazy import LazyModule

if TYPE_CHECKING:
    from lxml import etree
else:
    etree = LazyModule("lxml.etree")

#: The steps that an XPath may take in a document are at most the square of the number of values that a selector may
#: search in JSON, divided by this: 134 million in a status document. libxml2 takes some seconds for them.
_STEPS_DIVISOR = 8
#: If the work grows with the third power, a document of 4 KiB takes as many steps, which is searched on the event loop:
#: then they are divided by this as well, and take some hundredths of a second.
_CUBIC_DIVISOR = 16
_QUADRATIC = 2
TOKEN = re.compile(
    r"""(?P<constant>'[^']*'|"[^"]*"|\d+(?:\.\d*)?|\.\d+)"""
    r"""|(?P<name>[^\W\d][\w.-]*(?::(?:[^\W\d][\w.-]*|\*))?)|//|::|\.\.|[!<>]=|[^\s]"""
)
#: What a step, or another operand, ends with; and what is an operator behind one only.
_OPERAND_ENDS = frozenset({"*", ".", "..", "]", ")"})
_OPERATORS_AFTER_OPERAND = frozenset({"*", "and", "or", "div", "mod"})
_OPERATORS = frozenset({"|", "+", "-"})
_COMPARISONS = frozenset({"=", "!=", "<", "<=", ">", ">="})
#: Axes that lead to no more nodes than the step before has found, all in all.
_NEAR_AXES = frozenset({"child", "attribute", "self"})


@dataclass(frozen=True, slots=True)
class Work:
    """
    What an XPath makes libxml2 do.

    :param segments: the path, cut before each ``//`` behind its first step. What one finds is where the next begins.
    :param power: the power of a document's size that limits the time each takes: 1 for linear, 2 for the square.
    """

    segments: tuple[str, ...]
    power: int


@lru_cache(maxsize=256)
def estimate_work(path: str) -> Work:
    """Return how much work a path makes; one that can't be told is thought to make more."""
    scanner = _WorkScanner()
    tokens = list(TOKEN.finditer(path))
    for number, token in enumerate(tokens):
        follower = tokens[number + 1] if number + 1 < len(tokens) else None
        scanner.add_token(token, follower)
    if not scanner.is_one_path or 0 in scanner.searches:
        # Steps to what is around an element may leave what the step before has found.
        scanner.searches[0] = scanner.searches.get(0, 0) + len(scanner.cuts)
        scanner.cuts.clear()
    powers = [level + 1 + (level == 0 or count > 1) for level, count in scanner.searches.items() if count]
    edges = [0, *scanner.cuts, len(path)]
    segments = tuple(path[start:end] for start, end in pairwise(edges))
    return Work(segments, max([1, *powers, *(level + 1 for level in scanner.near)]))


def is_operator(token: str, *, follows_operand: bool) -> bool:
    """
    Return whether a token is an operator.

    :param follows_operand: whether it stands behind an operand; otherwise ``*`` and names are the beginning of one.
    """
    return token in _OPERATORS or token in _COMPARISONS or (follows_operand and token in _OPERATORS_AFTER_OPERAND)


def ends_operand(token: re.Match[str]) -> bool:
    """Return whether a token that is no operator ends an operand."""
    return token.lastgroup is not None or token[0] in _OPERAND_ENDS


class _WorkScanner:
    """
    Goes through the tokens of an XPath.

    :ivar searches: how often other nodes than the children of those found are looked at, by the number of predicates
        around it. A predicate is evaluated once for each node.
    :ivar near: the numbers of predicates around steps to a parent.
    :ivar cuts: where ``//`` stands behind a step, outside of predicates and parentheses.
    :ivar is_one_path: whether there are no operators outside of them.
    """

    def __init__(self) -> None:
        self.searches: dict[int, int] = {}
        self.near: set[int] = set()
        self.cuts: list[int] = []
        self.is_one_path = True
        self._level = self._parentheses = 0
        self._previous: re.Match[str] | None = None
        self._follows_operand = False

    def add_token(self, token: re.Match[str], follower: re.Match[str] | None) -> None:
        """
        Count the work of the next token.

        :param follower: the token after it; None at the end.
        """
        text = token[0]
        is_operator_here = is_operator(text, follows_operand=self._follows_operand)
        if text in "[]":
            self._level += 1 if text == "[" else -1
        elif text in "()":
            self._parentheses += 1 if text == "(" else -1
        elif is_operator_here:
            self._add_operator(text, follower)
        else:
            self._add_step(token)
        self._previous = token
        self._follows_operand = not is_operator_here and ends_operand(token)

    def _add_operator(self, text: str, follower: re.Match[str] | None) -> None:
        self.is_one_path &= bool(self._level or self._parentheses)
        sides = (self._previous, follower)
        # To compare two sets of nodes takes the product of their numbers, and to unite them as well.
        if text == "|" or (text in _COMPARISONS and not any(side and side["constant"] for side in sides)):
            self._count_search()

    def _add_step(self, token: re.Match[str]) -> None:
        text = token[0]
        if text == "//" and self._follows_operand and not self._level and not self._parentheses:
            self.cuts.append(token.start())
        elif text == "//":
            # Outside of predicates, the first of a path is what takes linear time.
            if self._level or self._follows_operand:
                self._count_search()
        elif text == "/":
            if self._level and not self._follows_operand:
                self._count_search()
        elif text == "::":
            if self._previous is not None and self._previous[0] not in _NEAR_AXES:
                self._count_search()
        elif text == "..":
            if self._level:
                self.near.add(self._level)
            else:
                self._count_search()

    def _count_search(self) -> None:
        self.searches[self._level] = self.searches.get(self._level, 0) + 1


def check_size(root: etree._Element, work: Work, max_values: int) -> None:
    """
    Check that a document is small enough for the work that an XPath makes.

    :param max_values: how many values a selector may search in JSON.
    :raises ContentError: if it is too large, or nested too deeply.
    """
    if work.power == 1:
        return
    max_steps = max_values**2 // (_STEPS_DIVISOR if work.power == _QUADRATIC else _STEPS_DIVISOR * _CUBIC_DIVISOR)
    nodes = steps = depth = 0
    for event, element in etree.iterwalk(root, events=("start", "end")):
        if event == "end":
            depth -= 1
            continue
        depth += 1
        nodes += 1 + len(element.attrib)
        steps += depth * (1 + len(element.attrib))
        if nodes ** (work.power - 1) * steps > max_steps:
            raise ContentError(
                f"the XML has too many elements and attributes (the first {nodes} are too many), or they are nested too"
                " deeply, for a selector that looks at all of them for each of them; name the way to the value, with no"
                " more than one '//', and without '..', '|' and other axes"
            )


def keep_outermost(elements: list[etree._Element]) -> list[etree._Element]:
    """
    Return those of some elements that aren't in others of them.

    :param elements: in the order of the document.
    """
    left, found = set(elements), []
    for element in elements:
        if element in left:
            found.append(element)
            left.difference_update(element.iter())
    return found
