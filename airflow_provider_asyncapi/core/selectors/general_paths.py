"""JSONPath beyond plain paths, evaluated by jsonpath-ng: the paths that are refused, and the limits of documents."""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain, islice
from typing import Any

from jsonpath_ng import Child, Fields, Index, JSONPath, Parent, Root, Slice, This, Where
from jsonpath_ng.exceptions import JSONPathError
from jsonpath_ng.ext import parse
from jsonpath_ng.ext.arithmetic import Operation
from jsonpath_ng.ext.filter import Expression, Filter
from jsonpath_ng.ext.iterable import Len, SortedThis
from jsonpath_ng.ext.string import Split, Str, Sub

from airflow_provider_asyncapi.core.errors import ContentError, SelectorError
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.selectors.item_path import ItemPath
from airflow_provider_asyncapi.core.selectors.plain_paths import check_size

#: The text of a step to each item: a slice without bounds in older releases of jsonpath-ng, a wildcard in newer ones.
_EACH_ITEM = frozenset({"*", "[*]"})
#: The number of combinations of ancestors that a path with several `..` may visit: the maximum for each value on
#: average, and the number that is always allowed.
_MAX_CHOICES_PER_VALUE, _FREE_CHOICES = 8, 2000
#: Filters, slices and sorting look at each value of a list once, which takes less than to search all of a document:
#: the document may hold more values by the first factor (262,144 in a status document, at 4 bytes each). A filter that
#: searches the whole document for each item, and a union (``a[*]|b[*]``), which compares all values with one another,
#: take time that grows with the square of their number: fewer by the second (512). The 2,000 values of a document of
#: 4 KiB, which is searched on the event loop, took 0.7 s.
_FILTER_SIZE_FACTOR, _QUADRATIC_DIVISOR = 8, 64
#: The number of items that a filter tests in one call.
_FILTER_BATCH = 4096
#: The number of items at the end of a list that a slice may take (``[-1:]``) from a document of any size.
_MAX_TAIL = 100
#: The number of items whose values are compared to explain why none matches.
_MAX_COMPARED = 100
#: A quoted string, which may contain anything.
_QUOTED = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""", re.DOTALL)
_PYTHON_REGEX = (
    "{!r} uses Python's regular expressions, which may never end; add the suffix 'regex:' to the selector instead"
)
#: Paths that jsonpath-ng accepts, but that never find anything in any document; and what to write instead.
_MEANINGLESS = (
    (re.compile(r"[\w-]*@[\w-]+\.[\w.-]+"), "a key that contains a dot has to be quoted: write '\"{0}\"' for {0}"),
    (re.compile(r"[=<>!~]+\s*(?:True|False|None)\b"), "JSON has true, false and null, unlike '{0}'"),
    (
        re.compile(r"\?\(?\s*(?:[\d.]+|_+)\s*[=<>!]=?\s*[@$]"),
        "in a filter the value has to be on the right, unlike in '{0}'",
    ),
)


def check(path: str) -> None:
    """
    Check the syntax of a path.

    :raises SelectorError: if the syntax is wrong; the message shows the position.
    """
    for pattern, advice in _MEANINGLESS:
        if found := pattern.search(_QUOTED.sub(_mask_quoted, path)):
            raise SelectorError(advice.format(path[found.start() : found.end()]))
    compiled = _compile(path)
    for part in _walk_parts(compiled):
        _refuse_unbounded(part)
    for number, step in enumerate(_walk_steps(compiled)):
        if number and isinstance(step, Root):
            raise SelectorError("'$' is the whole document, so it is allowed only at the beginning")
        if type(step).__name__.lstrip("_") == "Intersect":
            raise SelectorError("'&' is allowed only between conditions of a filter, as in [?(@.a == 1 & @.b == 2)]")


def _refuse_unbounded(part: JSONPath) -> None:
    """
    Refuse a part of a path whose work isn't bounded by the size of the document.

    :raises SelectorError: if the part isn't supported.
    """
    if isinstance(part, Operation):
        raise SelectorError(
            "arithmetic isn't supported in selectors, because a string times a number is a string of any length;"
            " calculate in a later task"
        )
    if isinstance(part, Parent):
        raise SelectorError("`parent` finds a value once for each of its children; write the path to the value instead")
    if isinstance(part, Sub) or (isinstance(part, Expression) and part.op == "=~"):
        raise SelectorError(_PYTHON_REGEX.format("`sub(" if isinstance(part, Sub) else "=~"))


def find(path: str, document: JsonValue, max_values: int | None) -> list[JsonValue]:
    """Return all values that jsonpath-ng finds."""
    compiled = _compile(path)
    descents = path.count("..")
    if max_values is not None:
        if descents or "*" in path:
            check_size(document, max_values, "'..' or '*'")
        elif not all(map(_visits_few_values, _walk_steps(compiled))):
            check_size(document, _FILTER_SIZE_FACTOR * max_values, "a filter or a slice")
        if _searches_root_for_each_item(compiled):
            what = "a filter that searches the whole document for each item"
            check_size(document, max_values // _QUADRATIC_DIVISOR, what)
        if _unites_lists(compiled):
            check_size(document, max_values // _QUADRATIC_DIVISOR, "'|'")
    if descents > 1:
        _check_depth(document, descents)
    return _evaluate(compiled, document)


def _evaluate(path: JSONPath, document: JsonValue) -> list[JsonValue]:
    """Return all values that jsonpath-ng finds; none if it raises, with exceptions that differ between versions."""
    steps = list(_walk_steps(path))
    try:
        if steps and all(map(_is_context_free, steps)):
            return _evaluate_stepwise(steps, document)
        return [match.value for match in path.find(document)]
    except Exception:  # noqa: BLE001 - see above
        return []


def _evaluate_stepwise(steps: list[JSONPath], document: JsonValue) -> list[JsonValue]:
    """
    Evaluate a path step by step.

    jsonpath-ng creates two objects for each value that a step finds. For all items of a long list, these objects would
    keep Python's garbage collector busy, and all threads waiting, for a tenth of a second.
    """
    values = [document]
    for step in steps:
        found: list[JsonValue] = []
        search: Any = step.find
        for value in values:
            if isinstance(step, Slice) and isinstance(value, list):
                found += value[step.start : step.end : step.step]
            elif isinstance(step, Filter) and isinstance(value, list):
                for start in range(0, len(value), _FILTER_BATCH):
                    found += [match.value for match in search(value[start : start + _FILTER_BATCH])]
            else:
                found += [match.value for match in search(value)]
        values = found
    return values


def _is_context_free(step: JSONPath) -> bool:
    """Return whether the values that a step finds in a value don't depend on the value's position in the document."""
    if isinstance(step, Filter):
        return not any(isinstance(part, Root) for part in _walk_parts(step))
    return isinstance(step, Root | Fields | Index | Slice)


def _check_depth(document: JsonValue, descents: int) -> None:
    """
    Check that a document isn't nested too deeply for a path that descends more than once (``$..a..b``).

    The path finds a value once for each combination of its ancestors: in 4 KiB of brackets, ``$..*..*`` finds 400,000
    values in 8 s. In documents that aren't built for this, values have few ancestors.

    :raises ContentError: if there are too many combinations.
    """
    values = choices = 0
    left = [(document, 0)]
    while left:
        value, depth = left.pop()
        values += 1
        choices += math.comb(depth, descents - 1)
        if isinstance(value, list | dict):
            children = value.values() if isinstance(value, dict) else value
            left.extend((child, depth + 1) for child in children)
    if choices > _FREE_CHOICES + _MAX_CHOICES_PER_VALUE * (descents - 1) * values:
        raise ContentError(
            f"the JSON is nested too deeply for a selector with {descents} times '..'; write the path to the value"
            " instead"
        )


@lru_cache(maxsize=1024)
def finds_list(path: str) -> bool:
    """Return whether a path may find several values."""
    return any(map(_finds_several, _walk_steps(_compile(path))))


def finds_empty_list(path: str, document: JsonValue) -> bool:
    """Return whether a path finds nothing because its list exists, but has no matching items."""
    steps = list(_walk_steps(_compile(path)))
    for number, step in enumerate(steps):
        if _finds_several(step):
            holders = _evaluate(_join_steps(steps[:number]), document)
            may_skip = isinstance(step, Filter | Slice) and str(step) not in _EACH_ITEM
            return any(holder == [] or (may_skip and isinstance(holder, list)) for holder in holders)
    return False


def _finds_several(step: JSONPath) -> bool:
    """Return whether a step may find several values in one."""
    if isinstance(step, Where):
        return any(map(_finds_several, _walk_steps(step.left)))
    if isinstance(step, Fields):
        return len(step.fields) > 1 or "*" in step.fields
    if isinstance(step, Index):
        return len(getattr(step, "indices", (step,))) > 1
    if isinstance(step, Slice):
        # `[-1:]` is the last item, and `[2:3]` the third.
        return (step.start, step.end) != (-1, None) and (step.start is None or step.end != step.start + 1)
    return not isinstance(step, Root | This | Len | SortedThis | Split | Str)


def find_type_mismatch(path: str, document: JsonValue) -> tuple[str, JsonValue, Any] | None:
    """
    Return why a filter matches no item: it compares a value with the same text in another type, as 7 with "7".

    :return: the path of the value in the item, the value, and the operand; None if no filter does this. The first
        items of the first filter are looked at.
    """
    steps = list(_walk_steps(_compile(path)))
    for number, step in enumerate(steps):
        if not isinstance(step, Filter):
            continue
        holders = _evaluate(_join_steps(steps[:number]), document)
        lists = (each for each in holders if isinstance(each, list))
        items = list(islice(chain.from_iterable(lists), _MAX_COMPARED))
        for comparison in step.expressions:
            if comparison.op not in ("=", "=="):
                continue
            for value in (each for item in items for each in _evaluate(comparison.target, item)):
                if _is_same_text(value, comparison.value):
                    return f"@.{comparison.target}".replace("`this`.", ""), value, comparison.value
        return None
    return None


def _is_same_text(value: JsonValue, operand: Any) -> bool:
    """Return whether one of two values is a string, and the other a number or a boolean that is written alike."""
    text, other = (value, operand) if isinstance(value, str) else (operand, value)
    return isinstance(text, str) and isinstance(other, int | float) and json.dumps(other) == text


def _visits_few_values(step: JSONPath) -> bool:
    """Return whether a step visits only one value of each value that it is applied to, or a few from the end."""
    if isinstance(step, Fields):
        return "*" not in step.fields
    if isinstance(step, Slice):
        return step.start is not None and -_MAX_TAIL <= step.start < 0
    return isinstance(step, Root | Index | Len | Split | Str)


def _searches_root_for_each_item(path: JSONPath) -> bool:
    """Return whether a filter searches the whole document for each item, with more than names and indexes."""
    operands = [
        operand for part in _walk_parts(path) if isinstance(part, Expression) for operand in (part.target, part.value)
    ]
    return any(
        isinstance(operand, JSONPath)
        and any(isinstance(part, Root) for part in _walk_parts(operand))
        and not all(map(_visits_few_values, _walk_steps(operand)))
        for operand in operands
    )


def _unites_lists(path: JSONPath) -> bool:
    """Return whether a path unites what others find, and these may find several values."""
    parts = list(_walk_parts(path))
    # Older and newer releases have the class under different names.
    unions = [part for part in parts if type(part).__name__.lstrip("_") == "Union"]
    return bool(unions) and not all(
        _visits_few_values(part) for part in parts if part not in unions and not isinstance(part, Child)
    )


def _join_steps(steps: list[JSONPath]) -> JSONPath:
    path: JSONPath = Root()
    for step in steps:
        path = Child(path, step)
    return path


def split_at_array(path: str) -> ItemPath | None:
    """
    Split a path at the array that it enters, so that the array's items can be read one by one.

    A path of names alone leads to the array itself. Return None if an item alone doesn't decide whether it is found (an
    index, a slice with bounds, ``..``), or if names are ambiguous (a name that contains a dot).
    """
    if "`" in path:
        # An extension of jsonpath-ng, which may read values outside the item.
        return None
    steps = list(_walk_steps(_compile(path)))
    prefix: list[str] = []
    for number, step in enumerate(steps):
        if isinstance(step, Root) and number == 0:
            continue
        if isinstance(step, Fields) and len(step.fields) == 1 and step.fields[0] != "*" and "." not in step.fields[0]:
            prefix.append(step.fields[0])
            continue
        is_each = not isinstance(step, Fields) and str(step) in _EACH_ITEM
        rest = steps[number:]
        if not (is_each or isinstance(step, Filter)) or any(isinstance(each, Root) for each in rest):
            return None
        if is_each and len(rest) == 1:
            return ItemPath(tuple(prefix))
        return ItemPath(tuple(prefix), _join_steps(rest), any(isinstance(each, Filter) for each in rest))
    return ItemPath(tuple(prefix))


def _mask_quoted(quoted: re.Match[str]) -> str:
    """Return a meaningless text of the same length as a quoted string."""
    return "_" * len(quoted[0])


def _walk_parts(path: JSONPath) -> Iterator[JSONPath]:
    """Yield a path and all of its parts, including the parts of filters."""
    yield path
    left = list(vars(path).values())
    while left:
        value = left.pop()
        if isinstance(value, JSONPath):
            yield from _walk_parts(value)
        elif isinstance(value, list | tuple):
            left.extend(value)


def _walk_steps(path: JSONPath) -> Iterator[JSONPath]:
    if isinstance(path, Child):
        yield from _walk_steps(path.left)
        yield from _walk_steps(path.right)
    else:
        yield path


@lru_cache(maxsize=1024)
def _compile(path: str) -> JSONPath:
    try:
        with warnings.catch_warnings():
            # Newer releases deprecate "&" in filters in favour of "&&", which older ones don't know.
            warnings.simplefilter("ignore", DeprecationWarning)
            return parse(path)
    except JSONPathError as error:
        raise SelectorError(" ".join(str(error).split())) from None
    except Exception as error:  # noqa: BLE001 - its lexer and actions raise what they like on bad input
        raise SelectorError(f"{type(error).__name__}: {error}") from None
