"""XPath 1.0 over an XML body, with the prefixes that the document declares."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_asyncapi.core.errors import ContentError, SelectorError
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.lazy import LazyModule
from airflow_provider_asyncapi.core.selectors.elements import ReadElement, read_text
from airflow_provider_asyncapi.core.selectors.xpath_work import check_size, estimate_work, keep_outermost

if TYPE_CHECKING:
    from lxml import etree
else:
    etree = LazyModule("lxml.etree")

#: The prefix for a document's default namespace, for which XPath 1.0 itself has no syntax.
DEFAULT_PREFIX = "default"
#: The limit of the text of all elements found, in characters for each value that a selector may search in JSON: 8 MiB
#: for a status document, which is 1 MiB at most. Each tag counts as its shortest form, ``<a/>``.
_MAX_CHARS_PER_VALUE = 256
_SHORTEST_TAG = 4
_PREFIX = re.compile(r"([A-Za-z_][\w.-]*):(?!:)(?=[A-Za-z_*])")
_STRING = re.compile(r"'[^']*'|\"[^\"]*\"")
_NAMESPACE_AXIS = re.compile(r"(?<![\w.:-])namespace\s*::")


def check(path: str) -> None:
    """
    Check the syntax of a path.

    :raises SelectorError: if the syntax is wrong, or XPath 1.0 doesn't have a function.
    """
    if _NAMESPACE_AXIS.search(_STRING.sub("''", path)):
        raise SelectorError("the axis namespace:: isn't supported: each element has all namespaces of the document")
    namespaces = tuple((prefix, f"urn:{prefix}") for prefix in sorted(_find_prefixes(path)))
    _evaluate(_compile(path, namespaces), etree.Element("x"))


def find(
    path: str, root: etree._Element, read: ReadElement = read_text, max_values: int | None = None
) -> list[JsonValue]:
    """
    Return all values that the path finds: strings of nodes, or the string, number or boolean of a function.

    A prefix that the document doesn't declare finds nothing.

    :param read: converts an element to a value.
    :param max_values: the maximum number of values that a selector may search in JSON, which limits the work here too;
        None for no limit.
    :raises ContentError: if the path takes too much work in this document.
    :raises SelectorError: if the path can't be applied.
    """
    needed = _find_prefixes(path)
    namespaces = _find_namespaces(root, needed)
    if not needed <= set(namespaces):
        return []
    work = estimate_work(path)
    if max_values is not None:
        check_size(root, work, max_values)
    result = _evaluate_segments(work.segments, tuple((prefix, namespaces[prefix]) for prefix in sorted(needed)), root)
    if isinstance(result, str):
        return [str(result)] if result else []
    if isinstance(result, bool):
        return [result]
    if isinstance(result, float):
        return [int(result) if result.is_integer() else result] if math.isfinite(result) else []
    return _read_nodes(result, read, None if max_values is None else _MAX_CHARS_PER_VALUE * max_values)


def _evaluate_segments(segments: tuple[str, ...], namespaces: tuple[tuple[str, str], ...], root: etree._Element) -> Any:
    """
    Evaluate a path segment by segment.

    If ``//`` follows a step with many results, libxml2 takes quadratic time, because it compares all results. The
    descendants of different elements are different, unless one element is below another.
    """
    first, *others = segments
    result = _evaluate(_compile(first, namespaces), root)
    for segment in others:
        compiled = _compile(f".{segment}", namespaces)
        elements = keep_outermost([node for node in result if isinstance(node, etree._Element)])
        result = [node for element in elements for node in _evaluate(compiled, element)]
    return result


def _read_nodes(nodes: list[Any], read: ReadElement, max_chars: int | None) -> list[JsonValue]:
    """
    Return the values of nodes.

    :param max_chars: the limit of their text, in characters; None for no limit.
    :raises ContentError: if they have more text: an element inside of other found elements is read once for each.
    """
    values: list[JsonValue] = []
    for node in nodes:
        if not isinstance(node, etree._Element):
            values.append(str(node))
            continue
        value = read(node)
        values.append(value)
        if max_chars is None:
            continue
        max_chars -= _SHORTEST_TAG * (sum(1 for _ in node.iter()) if len(node) else 1)
        if read is read_text and value:
            max_chars -= len(value)
        if max_chars < 0:
            raise ContentError(
                f"the XML has too many nested elements for a selector that finds all of them (the first {len(values)}"
                f" are too much text); write the path to the value instead, or append text()"
            )
    return values


def _find_namespaces(root: etree._Element, prefixes: set[str]) -> dict[str, str]:
    """
    Return the first namespace that a document declares for each of some prefixes.

    Each declaration is read once. An element's ``nsmap`` has all declarations in its scope, so reading the maps of all
    elements would take time that grows with the product of elements and declarations.
    """
    found: dict[str, str] = {}
    if prefixes:
        for _, declared in etree.iterwalk(root, events=("start-ns",)):
            prefix, uri = cast("tuple[str, str]", declared)
            found.setdefault(prefix or DEFAULT_PREFIX, uri)
            if prefixes <= found.keys():
                break
    return found


def _find_prefixes(path: str) -> set[str]:
    """Return the prefixes that a path uses, without texts that only look like one in its string literals."""
    return set(_PREFIX.findall(_STRING.sub("''", path))) - {"xml"}


@lru_cache(maxsize=256)
def _compile(path: str, namespaces: tuple[tuple[str, str], ...]) -> etree.XPath:
    try:
        # The functions of EXSLT would search with Python's regular expressions, under any prefix that the document
        # declares. Smart strings, which refer to their parents, cost as much as elements.
        return etree.XPath(path, namespaces=dict(namespaces), regexp=False, smart_strings=False)
    except ValueError as error:
        raise SelectorError(f"XPath: {error}") from None
    except etree.XPathSyntaxError as error:
        # The last entry has the position at which libxml2 stopped.
        position = error.error_log[-1].column if error.error_log else 0
        raise SelectorError(f"{error.msg} at character {position} after 'xpath:'") from None


def _evaluate(compiled: etree.XPath, root: etree._Element) -> Any:
    try:
        return compiled(root)
    except etree.XPathError as error:
        raise SelectorError(f"XPath: {error}") from None
