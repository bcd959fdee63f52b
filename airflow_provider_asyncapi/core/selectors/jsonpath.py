"""
JSONPath: plain paths read here, everything else by jsonpath-ng.

Nine of ten selectors are plain (``data.task.id``, ``jobs[0]."sub-state"``, ``jobs[*].id``). These are read here with
jsonpath-ng's meaning, so that parsing a DAG and polling in the triggerer need neither its import nor its grammar; a
property test holds the two together.
"""

from __future__ import annotations

import enum
import math
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.core.errors import ContentError, SelectorError
from airflow_provider_asyncapi.core.json_values import JsonValue

if TYPE_CHECKING:
    from jsonpath_ng import JSONPath

_STEP = re.compile(
    r"""\.(?:(?P<name>[A-Za-z_][\w-]*)|"(?P<double>[^"\\]+)"|'(?P<single>[^'\\]+)')"""
    r"""|\[(?P<index>\d{1,9})\]|\[(?P<each>\*)\]""",
    re.ASCII,
)
#: Each item: a slice without bounds in older releases of jsonpath-ng, a wildcard in newer ones.
_EACH = frozenset({"*", "[*]"})
#: Words that jsonpath-ng's grammar reads as operators.
_RESERVED = frozenset({"where", "wherenot"})

#: Choices of values around a value that a path with several `..` may have to look at: for each value on average, and
#: in any case.
_CHOICES_OF_A_VALUE, _FEW_CHOICES = 8, 2000
#: Filters, slices and sorting look at each value of a list once, which takes less than to search all of a document:
#: the document may hold more values by the first factor (262,144 in a status document, at 4 bytes each). A filter that
#: searches the whole document for each item takes time that grows with the square of their number: fewer by the second.
_TIMES_AS_MANY, _TIMES_AS_FEW = 8, 8
#: Items of a list that a filter looks at together.
_AT_A_TIME = 4096
#: The items at the end of a list that a slice may take (``[-1:]``) of any document.
_FEW_ITEMS = 100
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


class Multiplicity(enum.IntEnum):
    """How many values a path may find, whatever the document holds."""

    ONE = 0
    FILTERED = 1
    EACH_ITEM = 2


#: None, once at most, stands for each item of a list.
Steps = tuple[str | int | None, ...]


def check(path: str) -> None:
    """
    Check the syntax of a path.

    :raises SelectorError: with the position of the mistake.
    """
    if _plain(path) is not None:
        return
    for pattern, advice in _MEANINGLESS:
        if found := pattern.search(_QUOTED.sub(_as_long, path)):
            raise SelectorError(advice.format(path[found.start() : found.end()]))
    from jsonpath_ng import Root

    compiled = _compiled(path)
    for part in _parts(compiled):
        _refuse_unbounded(part)
    for number, step in enumerate(_steps(compiled)):
        if number and isinstance(step, Root):
            raise SelectorError("'$' is the whole document, so it stands at the beginning only")
        if type(step).__name__.lstrip("_") == "Intersect":
            raise SelectorError("'&' stands between conditions of a filter only, as in [?(@.a == 1 & @.b == 2)]")


def _refuse_unbounded(part: JSONPath) -> None:
    """
    Check that a part of a path does an amount of work that grows with the document only.

    :raises SelectorError: if it doesn't.
    """
    from jsonpath_ng import Parent
    from jsonpath_ng.ext.arithmetic import Operation
    from jsonpath_ng.ext.filter import Expression
    from jsonpath_ng.ext.string import Sub

    if isinstance(part, Operation):
        raise SelectorError(
            "a selector doesn't calculate, since a text times a number is a text of any length; calculate in a later"
            " task"
        )
    if isinstance(part, Parent):
        raise SelectorError("`parent` finds a value once for each of its children; name the way to the value")
    if isinstance(part, Sub) or (isinstance(part, Expression) and part.op == "=~"):
        raise SelectorError(_PYTHON_REGEX.format("`sub(" if isinstance(part, Sub) else "=~"))


def find(path: str, document: JsonValue, max_values: int | None = None) -> list[JsonValue]:
    """
    Return all values that the path finds; in a document that it doesn't fit (an index of a number) it finds none.

    :param max_values: how many values the document may hold if all of them have to be searched; None for any number.
    :raises ContentError: if it holds more, or is nested so deeply that finding them would take for ever.
    """
    steps = _plain(path)
    if steps is None:
        if (descent := _descent(path)) is not None:
            if max_values is not None:
                _check_size(document, max_values, "'..' or '*'")
            return _search_below(*descent, document)
        return _searched(path, document, max_values)
    if None not in steps:
        return _follow(steps, document)
    place = steps.index(None)
    found = _follow(steps[:place], document)
    if found and not isinstance(found[0], list):
        # Of anything but a list jsonpath-ng makes one, each version in its own way.
        return _searched(path, document, max_values)
    return [value for items in found for item in items for value in _follow(steps[place + 1 :], item)]


def _search_below(begin: Steps, end: Steps, document: JsonValue) -> list[JsonValue]:
    """
    Return what names and indexes lead to from each value below a place, the outer values first.

    jsonpath-ng makes a new list of all matches for each level that a value is nested in.
    """
    found: list[JsonValue] = []
    left = _follow(begin, document)
    while left:
        value = left.pop()
        found += _follow(end, value)
        if isinstance(value, dict | list):
            left.extend(reversed(value.values() if isinstance(value, dict) else value))
    return found


def _follow(steps: Steps, value: JsonValue) -> list[JsonValue]:
    """Return the value that names and indexes lead to, or none."""
    for step in steps:
        if isinstance(step, str):
            if not isinstance(value, dict) or step not in value:
                return []
        elif step is None or not isinstance(value, list) or step >= len(value):
            return []
        value = value[step]
    return [value]


def _searched(path: str, document: JsonValue, max_values: int | None) -> list[JsonValue]:
    """Return all values that jsonpath-ng finds."""
    compiled = _compiled(path)
    descents = path.count("..")
    if max_values is not None:
        if descents or "*" in path:
            _check_size(document, max_values, "'..' or '*'")
        elif not all(map(_is_one_way, _steps(compiled))):
            _check_size(document, _TIMES_AS_MANY * max_values, "a filter or a slice")
        if _looks_back(compiled):
            _check_size(
                document, max_values // _TIMES_AS_FEW, "a filter that searches the whole document for each item"
            )
    if descents > 1:
        _check_depth(document, descents)
    return _found(compiled, document)


def _check_size(document: JsonValue, max_values: int, what: str) -> None:
    """
    Check that a document doesn't hold too many values to be searched for all that match.

    jsonpath-ng makes several objects of each, and Python's garbage collector looks at all of them at a time.

    :param what: what searches them.
    :raises ContentError: if it does.
    """
    values, left = 0, [document]
    while left:
        value = left.pop()
        if isinstance(value, list | dict):
            values += len(value)
            left.extend(value.values() if isinstance(value, dict) else value)
        if values > max_values:
            raise ContentError(
                f"the JSON holds more than {max_values} values, too many for a selector with {what}; name the way to"
                " the value"
            )


def _found(path: JSONPath, document: JsonValue) -> list[JsonValue]:
    """Return all values that jsonpath-ng finds, or none if it raises: whatever Python does, as its version likes."""
    steps = list(_steps(path))
    try:
        if steps and all(map(_stands_alone, steps)):
            return _found_by_steps(steps, document)
        return [match.value for match in path.find(document)]
    except Exception:  # noqa: BLE001 - see above
        return []


def _found_by_steps(steps: list[JSONPath], document: JsonValue) -> list[JsonValue]:
    """
    Return what a path finds, one step after the other.

    jsonpath-ng makes two objects of each value that a step finds. Of all items of a long list, they would keep Python's
    garbage collector busy, and all threads waiting, for a tenth of a second.
    """
    from jsonpath_ng import Slice
    from jsonpath_ng.ext.filter import Filter

    values = [document]
    for step in steps:
        found: list[JsonValue] = []
        search: Any = step.find
        for value in values:
            if isinstance(step, Slice) and isinstance(value, list):
                found += value[step.start : step.end : step.step]
            elif isinstance(step, Filter) and isinstance(value, list):
                for start in range(0, len(value), _AT_A_TIME):
                    found += [match.value for match in search(value[start : start + _AT_A_TIME])]
            else:
                found += [match.value for match in search(value)]
        values = found
    return values


def _stands_alone(step: JSONPath) -> bool:
    """Return whether what a step finds in a value doesn't depend on where the value stands."""
    from jsonpath_ng import Fields, Index, Root, Slice
    from jsonpath_ng.ext.filter import Filter

    if isinstance(step, Filter):
        return not any(isinstance(part, Root) for part in _parts(step))
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
    if choices > _FEW_CHOICES + _CHOICES_OF_A_VALUE * (descents - 1) * values:
        raise ContentError(
            f"the JSON is nested too deeply for a selector with {descents} times '..'; name the way to the value"
        )


@lru_cache(maxsize=1024)
def find_multiplicity(path: str) -> Multiplicity:
    """
    Return whether a path may find several values: each item of something, or those that match a filter.

    A slice counts as one value, since ``[-1:]`` is the last item.
    """
    steps = _plain(path)
    if steps is not None:
        return Multiplicity.EACH_ITEM if None in steps else Multiplicity.ONE
    return max(map(_is_many, _steps(_compiled(path))), default=Multiplicity.ONE)


def finds_empty_list(path: str, document: JsonValue) -> bool:
    """Return whether a path finds nothing because what it takes the items of is there and has none that match."""
    steps = list(_steps(_compiled(path)))
    for number, step in enumerate(steps):
        if many := _is_many(step):
            holders = _found(_joined(steps[:number]), document)
            return any(
                holder == [] or (many is Multiplicity.FILTERED and isinstance(holder, list)) for holder in holders
            )
    return False


def _is_many(step: JSONPath) -> Multiplicity:
    from jsonpath_ng import Descendants, Fields
    from jsonpath_ng.ext.filter import Filter

    if isinstance(step, Filter):
        return Multiplicity.FILTERED
    if isinstance(step, Fields):
        return Multiplicity.EACH_ITEM if "*" in step.fields else Multiplicity.ONE
    return Multiplicity.EACH_ITEM if isinstance(step, Descendants) or _is_each_item(step) else Multiplicity.ONE


def _is_one_way(step: JSONPath) -> bool:
    """Return whether a step looks at one value of each that it is given, or at a few from the end."""
    from jsonpath_ng import Fields, Index, Root, Slice
    from jsonpath_ng.ext.iterable import Len
    from jsonpath_ng.ext.string import Split, Str

    if isinstance(step, Fields):
        return "*" not in step.fields
    if isinstance(step, Slice):
        return step.start is not None and -_FEW_ITEMS <= step.start < 0
    return isinstance(step, Root | Index | Len | Split | Str)


def _looks_back(path: JSONPath) -> bool:
    """Return whether a filter looks at the whole document for each item, along another way than names and indexes."""
    from jsonpath_ng import JSONPath, Root
    from jsonpath_ng.ext.filter import Expression

    operands = [
        operand for part in _parts(path) if isinstance(part, Expression) for operand in (part.target, part.value)
    ]
    return any(
        isinstance(operand, JSONPath)
        and any(isinstance(part, Root) for part in _parts(operand))
        and not all(map(_is_one_way, _steps(operand)))
        for operand in operands
    )


def _is_each_item(step: JSONPath) -> bool:
    try:
        return str(step) in _EACH
    except TypeError:
        # `sorted` has no text, for it needs no arguments.
        return False


def _joined(steps: list[JSONPath]) -> JSONPath:
    from jsonpath_ng import Child, Root

    path: JSONPath = Root()
    for step in steps:
        path = Child(path, step)
    return path


@dataclass(frozen=True, slots=True)
class ItemPath:
    """
    A path into one array: what leads to it, and what is taken of each item.

    :param prefix: the names that lead to the array.
    :param rest: a path into a list of one item; None for the item itself.
    :param is_filter: whether items may be left out.
    """

    prefix: tuple[str, ...]
    rest: JSONPath | None = None
    is_filter: bool = False

    def select(self, item: JsonValue) -> list[JsonValue]:
        """Return what the path finds in one item of the array; null counts as nothing."""
        found = [item] if self.rest is None else [match.value for match in self.rest.find([item])]
        return [value for value in found if value is not None]


def split_at_array(path: str) -> ItemPath | None:
    """
    Take a path apart where it enters an array, so that the array's items can be read one by one.

    A path of names only leads to the array itself. None where items don't stand for themselves (an index, a slice with
    bounds, ``..``), or where they can't be told apart by names (a name that holds a dot).
    """
    from jsonpath_ng import Fields, Root
    from jsonpath_ng.ext.filter import Filter

    if "`" in path:
        # A word of jsonpath-ng's own, which may look beyond the item.
        return None
    steps = list(_steps(_compiled(path)))
    prefix: list[str] = []
    for number, step in enumerate(steps):
        if isinstance(step, Root) and number == 0:
            continue
        if isinstance(step, Fields) and len(step.fields) == 1 and step.fields[0] != "*" and "." not in step.fields[0]:
            prefix.append(step.fields[0])
            continue
        is_each = not isinstance(step, Fields) and str(step) in _EACH
        rest = steps[number:]
        if not (is_each or isinstance(step, Filter)) or any(isinstance(each, Root) for each in rest):
            return None
        if is_each and len(rest) == 1:
            return ItemPath(tuple(prefix))
        return ItemPath(tuple(prefix), _joined(rest), any(isinstance(each, Filter) for each in rest))
    return ItemPath(tuple(prefix))


def _as_long(quoted: re.Match[str]) -> str:
    """Return something as long as a text in quotes that means nothing."""
    return "_" * len(quoted[0])


def _parts(path: JSONPath) -> Iterator[JSONPath]:
    """Yield a path and all paths that it is made of, also those in filters."""
    from jsonpath_ng import JSONPath

    yield path
    left = list(vars(path).values())
    while left:
        value = left.pop()
        if isinstance(value, JSONPath):
            yield from _parts(value)
        elif isinstance(value, list | tuple):
            left.extend(value)


def _steps(path: JSONPath) -> Iterator[JSONPath]:
    from jsonpath_ng import Child

    if isinstance(path, Child):
        yield from _steps(path.left)
        yield from _steps(path.right)
    else:
        yield path


@lru_cache(maxsize=1024)
def _plain(path: str) -> Steps | None:
    """Read a path of names and indexes only, perhaps with one ``[*]``; None for any other."""
    text = path.strip(" \t")
    if text.startswith("$"):
        text = text[1:]
    elif text.startswith("."):
        return None
    elif not text.startswith("["):
        text = f".{text}"
    steps: list[str | int | None] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None or match["name"] in _RESERVED:
            return None
        if match["each"]:
            if None in steps:
                return None
            steps.append(None)
        elif match["index"] is not None:
            steps.append(int(match["index"]))
        else:
            steps.append(match["name"] or match["double"] or match["single"])
        position = match.end()
    return tuple(steps)


@lru_cache(maxsize=1024)
def _descent(path: str) -> tuple[Steps, Steps] | None:
    """Read a path of names and indexes with one ``..``, as what stands before it and behind it; None for any other."""
    before, descends, behind = path.partition("..")
    begin, end = _plain(before.rstrip()), _plain(behind.lstrip())
    if (
        not descends
        or not before.strip()
        or begin is None
        or not end
        or None in (*begin, *end)
        or behind.lstrip().startswith("$")
    ):
        return None
    return begin, end


@lru_cache(maxsize=1024)
def _compiled(path: str) -> JSONPath:
    from jsonpath_ng.exceptions import JSONPathError
    from jsonpath_ng.ext import parse

    try:
        with warnings.catch_warnings():
            # Newer releases would rather have "&&" in filters, which older ones don't know.
            warnings.simplefilter("ignore", DeprecationWarning)
            return parse(path)
    except JSONPathError as error:
        raise SelectorError(" ".join(str(error).split())) from None
    except Exception as error:  # noqa: BLE001 - its lexer and actions raise what they like on bad input
        raise SelectorError(f"{type(error).__name__}: {error}") from None
