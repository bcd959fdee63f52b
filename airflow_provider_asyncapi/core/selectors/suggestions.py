"""Find the values in a response that are nearest to a selector that finds nothing."""

from __future__ import annotations

import difflib
import re
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.selectors.plain_paths import RESERVED, follow, parse_plain_path

if TYPE_CHECKING:
    from lxml import etree

#: The maximum number of suggestions for one selector.
MAX_SUGGESTIONS = 3
#: The maximum number of values or elements that are looked at: a suggestion is a help, and must not take long.
_MAX_VISITED = 10_000
#: A longer selector helps nobody.
_MAX_LENGTH = 100
#: Two names that have at least this in common are probably meant to be the same.
_MIN_SIMILARITY = 0.75
#: Many headers end with `id`, such as X-Request-ID.
_MIN_LENGTH_IN_HEADER = 3
#: The beginnings of headers that are never about a job.
_OTHER_HEADERS = ("content-", "date", "transfer-", "access-control-")
_NAME_IN_PATH = re.compile(r"""["']([^"']+)["']|([A-Za-z_][\w-]*)""")
_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_LAST_XPATH_STEP = re.compile(r"(?P<at>@)?(?:[\w.-]+:)?(?P<name>[A-Za-z_][\w.-]*)(?:\)|\[[^\[\]]*\])*\s*$")

#: A path into a JSON document: names and indexes.
Steps: TypeAlias = tuple[str | int, ...]


def suggest_paths(path: str, document: JsonValue) -> list[str]:
    """
    Return the JSONPaths of the values that are nearest to a path that finds nothing, the nearest first.

    Near are values with the same name in another place, then names with another case, then similar names, then what
    there is in the place where the path ends.
    """
    names = _read_names(path)
    if not names:
        return []
    ranked = [
        (rank, -_count_common(names, steps), len(steps), steps)
        for steps, value in _walk(document)
        if value is not None and isinstance(steps[-1], str) and (rank := _rank_name(names[-1], steps[-1])) is not None
    ]
    # Stable: of equally near paths, the one that comes first in the document.
    ranked.sort(key=lambda entry: entry[:3])
    found = [format_path(steps) for *_, steps in ranked] or _list_siblings(path, document)
    return [each for each in found if len(each) <= _MAX_LENGTH][:MAX_SUGGESTIONS]


def _read_names(path: str) -> list[str]:
    steps = parse_plain_path(path)
    if steps is not None:
        return [step for step in steps if isinstance(step, str)]
    return [quoted or plain for quoted, plain in _NAME_IN_PATH.findall(path)]


def _walk(document: JsonValue) -> Iterator[tuple[Steps, JsonValue]]:
    """Yield the values of a document with their paths, outer values first; of a list, the first item stands for all."""
    waiting: deque[tuple[Steps, JsonValue]] = deque([((), document)])
    visited = 0
    while waiting and visited < _MAX_VISITED:
        steps, value = waiting.popleft()
        children: Sequence[tuple[str | int, JsonValue]] = ()
        if isinstance(value, dict):
            children = list(value.items())[:_MAX_VISITED]
        elif isinstance(value, list) and value:
            children = [(0, value[0])]
        for step, child in children:
            visited += 1
            yield (*steps, step), child
            waiting.append(((*steps, step), child))


def _rank_name(wanted: str, name: str) -> int | None:
    """Return how near a name is: 0 for the same one; None if it is another one."""
    if name == wanted:
        return 0
    one, other = _normalize(wanted), _normalize(name)
    if one == other:
        return 1
    if min(len(one), len(other)) > 1 and (one.endswith(other) or other.endswith(one)):
        return 2
    return 3 if difflib.SequenceMatcher(None, one, other).ratio() >= _MIN_SIMILARITY else None


def _normalize(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _count_common(names: Collection[str], steps: Steps) -> int:
    return len({*names} & {*steps})


def _list_siblings(path: str, document: JsonValue) -> list[str]:
    """Return the paths of the values in the last object that a plain path leads to, unless it is the whole document."""
    steps = parse_plain_path(path) or ()
    for end in range(len(steps) - 1, 0, -1):
        parents = follow(steps[:end], document) if None not in steps[:end] else []
        if parents and isinstance(parents[0], dict):
            prefix: Steps = tuple(step for step in steps[:end] if step is not None)
            return [format_path((*prefix, name)) for name, value in parents[0].items() if value is not None]
    return []


def format_path(steps: Steps) -> str:
    """Return a path as JSONPath."""
    return "$" + "".join(_format_step(step) for step in steps)


def _format_step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    quote = "'" if '"' in step else '"'
    return f".{step}" if _PLAIN_NAME.fullmatch(step) and step not in RESERVED else f".{quote}{step}{quote}"


def suggest_xpaths(path: str, root: etree._Element) -> list[str]:
    """
    Return XPaths of the elements and attributes that are nearest to a path that finds nothing, the nearest first.

    Most often it is a namespace that the path leaves out.
    """
    match = _LAST_XPATH_STEP.search(path)
    if match is None:
        return []
    wanted, ranked = match["name"], dict[str, int]()
    for number, element in enumerate(root.iter("*")):
        if number >= _MAX_VISITED:
            break
        tag = str(element.tag).rpartition("}")[2]
        named = _name_element(element, tag)
        for rank, suggestion in (
            (_rank_name(wanted, tag), f"//{named}"),
            *((_rank_name(wanted, str(name)), f"//{named}/@{name}") for name in element.attrib if "}" not in str(name)),
        ):
            if rank is not None and len(suggestion) <= _MAX_LENGTH and suggestion not in ranked:
                # If the path names an attribute, elements rank after attributes, and vice versa.
                is_other_kind = ("@" in suggestion) != (match["at"] is not None)
                ranked[suggestion] = 2 * rank + is_other_kind
    return sorted(ranked, key=lambda each: ranked[each])[:MAX_SUGGESTIONS]


def _name_element(element: etree._Element, tag: str) -> str:
    """Return the name of an element in an XPath, with the prefix that the document declares."""
    if not str(element.tag).startswith("{"):
        return tag
    return f"{element.prefix or 'default'}:{tag}"


def suggest_names(wanted: str, names: Collection[str]) -> list[str]:
    """Return the names that are nearest to one that isn't there, the nearest first."""
    ranked = [(rank, name) for name in names if (rank := _rank_name(wanted, name)) is not None]
    return [name for _, name in sorted(ranked)][:MAX_SUGGESTIONS]


def suggest_headers(path: str, names: Collection[str]) -> list[str]:
    """
    Return the names of the headers that are nearest to the last name of a JSONPath, the nearest first.

    Some APIs send the status in a header such as ``X-Job-State``. Headers about the body or the connection are left
    out, and short names, with which many others end.
    """
    wanted = _read_names(path)[-1:]
    if not wanted or len(wanted[0]) < _MIN_LENGTH_IN_HEADER:
        return []
    return suggest_names(wanted[0], [name for name in names if not name.lower().startswith(_OTHER_HEADERS)])
