"""JSONPath beyond plain paths, by jsonpath-ng: which paths are refused, what they find, and for how large documents."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator
from functools import lru_cache
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

#: Each item: a slice without bounds in older releases of jsonpath-ng, a wildcard in newer ones.
_EACH_ITEM = frozenset({"*", "[*]"})
#: Choices of values around a value that a path with several `..` may have to look at: for each value on average, and
#: in any case.
_MAX_CHOICES_PER_VALUE, _FREE_CHOICES = 8, 2000
#: Filters, slices and sorting look at each value of a list once, which takes less than to search all of a document:
#: the document may hold more values by the first factor (262,144 in a status document, at 4 bytes each). A filter that
#: searches the whole document for each item, and a union (``a[*]|b[*]``), which compares all values with one another,
#: take time that grows with the square of their number: fewer by the second (512). The 2,000 values of a document of
#: 4 KiB, which is searched on the event loop, took 0.7 s.
_FILTER_SIZE_FACTOR, _QUADRATIC_DIVISOR = 8, 64
#: Items of a list that a filter looks at together.
_FILTER_BATCH = 4096
#: The items at the end of a list that a slice may take (``[-1:]``) of any document.
_MAX_TAIL = 100
#: What stands in quotes may be anything.
_QUOTED = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""", re.DOTALL)
_PYTHON_REGEX = (
    "{!r} uses Python's regular expressions, which may take for ever; write 'regex:' behind the selector instead"
)
#: What jsonpath-ng reads, but never as it was meant: it finds nothing, whatever the document holds.
_MEANINGLESS = (
    (re.compile(r"[\w-]*@[\w-]+\.[\w.-]+"), "a key with a dot in its name stands in quotes: write '\"{0}\"' for {0}"),
    (re.compile(r"[=<>!~]+\s*(?:True|False|None)\b"), "JSON has true, false and null, and not what is in '{0}'"),
    (
        re.compile(r"\?\(?\s*(?:[\d.]+|_+)\s*[=<>!]=?\s*[@$]"),
        "in a filter the value stands on the right, not as in '{0}'",
    ),
)


def check(path: str) -> None:
    """
    Check the syntax of a path.

    :raises SelectorError: with the position of the mistake.
    """
    for pattern, advice in _MEANINGLESS:
        if found := pattern.search(_QUOTED.sub(_mask_quoted, path)):
            raise SelectorError(advice.format(path[found.start() : found.end()]))
    compiled = _compile(path)
    for part in _walk_parts(compiled):
        _refuse_unbounded(part)
    for number, step in enumerate(_walk_steps(compiled)):
        if number and isinstance(step, Root):
            raise SelectorError("'$' is the whole document, so it stands at the beginning only")
        if type(step).__name__.lstrip("_") == "Intersect":
            raise SelectorError("'&' stands between conditions of a filter only, as in [?(@.a == 1 & @.b == 2)]")


def _refuse_unbounded(part: JSONPath) -> None:
    """
    Check that a part of a path does an amount of work that grows with the document only.

    :raises SelectorError: if it doesn't.
    """
    if isinstance(part, Operation):
        raise SelectorError(
            "a selector doesn't calculate, since a text times a number is a text of any length; calculate in a later"
            " task"
        )
    if isinstance(part, Parent):
        raise SelectorError("`parent` finds a value once for each of its children; name the way to the value")
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
    """Return all values that jsonpath-ng finds, or none if it raises: whatever Python does, as its version likes."""
    steps = list(_walk_steps(path))
    try:
        if steps and all(map(_is_context_free, steps)):
            return _evaluate_stepwise(steps, document)
        return [match.value for match in path.find(document)]
    except Exception:  # noqa: BLE001 - see above
        return []


def _evaluate_stepwise(steps: list[JSONPath], document: JsonValue) -> list[JsonValue]:
    """
    Return what a path finds, one step after the other.

    jsonpath-ng makes two objects of each value that a step finds. Of all items of a long list, they would keep Python's
    garbage collector busy, and all threads waiting, for a tenth of a second.
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
    """Return whether what a step finds in a value doesn't depend on where the value stands."""
    if isinstance(step, Filter):
        return not any(isinstance(part, Root) for part in _walk_parts(step))
    return isinstance(step, Root | Fields | Index | Slice)


def _check_depth(document: JsonValue, descents: int) -> None:
    """
    Check that a path which descends more than once (``$..a..b``) finds its way in a document.

    It finds a value once for each choice of the values around it: of 4 KiB of brackets, ``$..*..*`` finds 400,000
    values in 8 s. In documents that aren't made for that, a value has few others around it.

    :raises ContentError: if there are too many choices.
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
            f"the JSON is nested too deeply for a selector with {descents} times '..'; name the way to the value"
        )


@lru_cache(maxsize=1024)
def finds_list(path: str) -> bool:
    """Return whether a path may find several values."""
    return any(map(_finds_several, _walk_steps(_compile(path))))


def finds_empty_list(path: str, document: JsonValue) -> bool:
    """Return whether a path finds nothing because what it takes the items of is there and has none that match."""
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


def _visits_few_values(step: JSONPath) -> bool:
    """Return whether a step looks at one value of each that it is given, or at a few from the end."""
    if isinstance(step, Fields):
        return "*" not in step.fields
    if isinstance(step, Slice):
        return step.start is not None and -_MAX_TAIL <= step.start < 0
    return isinstance(step, Root | Index | Len | Split | Str)


def _searches_root_for_each_item(path: JSONPath) -> bool:
    """Return whether a filter looks at the whole document for each item, along another way than names and indexes."""
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
    Take a path apart where it enters an array, so that the array's items can be read one by one.

    A path of names only leads to the array itself. None where items don't stand for themselves (an index, a slice with
    bounds, ``..``), or where they can't be told apart by names (a name that holds a dot).
    """
    if "`" in path:
        # A word of jsonpath-ng's own, which may look beyond the item.
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
    """Return something as long as a text in quotes that means nothing."""
    return "_" * len(quoted[0])


def _walk_parts(path: JSONPath) -> Iterator[JSONPath]:
    """Yield a path and all paths that it is made of, also those in filters."""
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
            # Newer releases would rather have "&&" in filters, which older ones don't know.
            warnings.simplefilter("ignore", DeprecationWarning)
            return parse(path)
    except JSONPathError as error:
        raise SelectorError(" ".join(str(error).split())) from None
    except Exception as error:  # noqa: BLE001 - its lexer and actions raise what they like on bad input
        raise SelectorError(f"{type(error).__name__}: {error}") from None
