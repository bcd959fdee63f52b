"""
Estimate the work of an XPath, and refuse documents that are too large for it.

libxml2 evaluates a path with one ``//`` in time that is linear in the size of the document. Some other features of
XPath take quadratic time or more: 1 MiB is enough to keep libxml2 busy for minutes.
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

#: The maximum number of steps of an XPath in a document is the square of the number of values that a selector may
#: search in JSON, divided by this number: 134 million in a status document. libxml2 takes some seconds for them.
_STEPS_DIVISOR = 8
#: If the work is cubic, a document of 4 KiB, which is searched on the event loop, takes the same number of steps. The
#: maximum is then also divided by this number, so that it takes some hundredths of a second.
_CUBIC_DIVISOR = 16
_QUADRATIC = 2
TOKEN = re.compile(
    r"""(?P<constant>'[^']*'|"[^"]*"|\d+(?:\.\d*)?|\.\d+)"""
    r"""|(?P<name>[^\W\d][\w.-]*(?::(?:[^\W\d][\w.-]*|\*))?)|//|::|\.\.|[!<>]=|[^\s]"""
)
#: The tokens that end a step or another operand, and the tokens that are operators only after an operand.
_OPERAND_ENDS = frozenset({"*", ".", "..", "]", ")"})
_OPERATORS_AFTER_OPERAND = frozenset({"*", "and", "or", "div", "mod"})
_OPERATORS = frozenset({"|", "+", "-"})
_COMPARISONS = frozenset({"=", "!=", "<", "<=", ">", ">="})
#: Axes that lead to at most the nodes near the results of the step before.
_NEAR_AXES = frozenset({"child", "attribute", "self"})


@dataclass(frozen=True, slots=True)
class Work:
    """
    The work that libxml2 does for an XPath.

    :param segments: the path, split before each ``//`` after its first step; each segment starts at the results of the
        one before.
    :param power: the exponent of the time in the document's size: 1 for linear, 2 for quadratic.
    """

    segments: tuple[str, ...]
    power: int


@lru_cache(maxsize=256)
def estimate_work(path: str) -> Work:
    """Return the estimated work of a path; never less than the actual work."""
    scanner = _WorkScanner()
    tokens = list(TOKEN.finditer(path))
    for number, token in enumerate(tokens):
        follower = tokens[number + 1] if number + 1 < len(tokens) else None
        scanner.add_token(token, follower)
    if not scanner.is_one_path or 0 in scanner.searches:
        # Steps to ancestors or siblings may leave the subtrees of the results before.
        scanner.searches[0] = scanner.searches.get(0, 0) + len(scanner.cuts)
        scanner.cuts.clear()
    powers = [level + 1 + (level == 0 or count > 1) for level, count in scanner.searches.items() if count]
    edges = [0, *scanner.cuts, len(path)]
    segments = tuple(path[start:end] for start, end in pairwise(edges))
    return Work(segments, max([1, *powers, *(level + 1 for level in scanner.near)]))


def is_operator(token: str, *, follows_operand: bool) -> bool:
    """
    Return whether a token is an operator.

    :param follows_operand: whether it follows an operand; otherwise ``*`` and names begin one.
    """
    return token in _OPERATORS or token in _COMPARISONS or (follows_operand and token in _OPERATORS_AFTER_OPERAND)


def ends_operand(token: re.Match[str]) -> bool:
    """Return whether a token that is no operator ends an operand."""
    return token.lastgroup is not None or token[0] in _OPERAND_ENDS


class _WorkScanner:
    """
    Counts the searches in the tokens of an XPath.

    :ivar searches: the number of searches that visit more than the children of the results before, by the number of
        enclosing predicates. A predicate is evaluated once for each node.
    :ivar near: the numbers of predicates that enclose steps to a parent.
    :ivar cuts: the positions of ``//`` after a step, outside of predicates and parentheses.
    :ivar is_one_path: whether there are no operators outside of predicates and parentheses.
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
        Add the next token.

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
        # Comparing or uniting two sets of nodes takes the product of their sizes.
        if text == "|" or (text in _COMPARISONS and not any(side and side["constant"] for side in sides)):
            self._count_search()

    def _add_step(self, token: re.Match[str]) -> None:
        text = token[0]
        if text == "//" and self._follows_operand and not self._level and not self._parentheses:
            self.cuts.append(token.start())
        elif text == "//":
            # Outside of predicates, the first search of a path takes linear time.
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
    Check that a document is small enough for the work of an XPath.

    :param max_values: the maximum number of values that a selector may search in JSON.
    :raises ContentError: if the document is too large, or nested too deeply.
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
                " deeply, for a selector that visits all of them for each of them; write the path to the value instead,"
                " with at most one '//', and without '..', '|' and other axes"
            )


def keep_outermost(elements: list[etree._Element]) -> list[etree._Element]:
    """
    Return the elements that aren't inside of another element of the list.

    :param elements: elements in document order.
    """
    left, found = set(elements), []
    for element in elements:
        if element in left:
            found.append(element)
            left.difference_update(element.iter())
    return found
