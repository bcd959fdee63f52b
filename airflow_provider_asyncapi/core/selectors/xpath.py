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

#: Under this prefix a document's default namespace can be addressed; XPath 1.0 itself has no way to.
DEFAULT_PREFIX = "default"
#: What may be read of all elements that are found, in characters for each value that a selector may search in JSON:
#: 8 MiB of a status document, which is 1 MiB at most. A tag counts as its shortest form, ``<a/>``.
_MAX_CHARS_PER_VALUE = 256
_SHORTEST_TAG = 4
_PREFIX = re.compile(r"([A-Za-z_][\w.-]*):(?!:)(?=[A-Za-z_*])")
_STRING = re.compile(r"'[^']*'|\"[^\"]*\"")
_NAMESPACE_AXIS = re.compile(r"(?<![\w.:-])namespace\s*::")


def check(path: str) -> None:
    """
    Check the syntax of a path.

    :raises SelectorError: on a mistake, or a function that XPath 1.0 doesn't have.
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

    :param read: makes a value of an element.
    :param max_values: how many values a selector may search in JSON, which bounds the work here too; None for no bound.
    :raises ContentError: if the document makes too much work.
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
    Return what a path finds.

    To go on with ``//`` from many elements takes libxml2 time that grows with the square of their number, since it
    compares all that it finds. What lies below different elements is different, unless one is below the other.
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

    :param max_chars: how much may be read, in characters; None for no bound.
    :raises ContentError: if it is more, since elements are found in one another and are read once for each.
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
                f"the XML has too many elements inside of one another, and a selector that finds them all (the first"
                f" {len(values)} are too much text); name the way to the value, or write text() behind it"
            )
    return values


def _find_namespaces(root: etree._Element, prefixes: set[str]) -> dict[str, str]:
    """
    Return the namespaces that a document declares for some prefixes, the first of each.

    Each declaration is looked at once. An element's ``nsmap`` has all that hold there, so that looking at those of all
    elements takes time that grows with the product of both numbers.
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
    """Return the prefixes that a path uses; colons in its string literals don't make one."""
    return set(_PREFIX.findall(_STRING.sub("''", path))) - {"xml"}


@lru_cache(maxsize=256)
def _compile(path: str, namespaces: tuple[tuple[str, str], ...]) -> etree.XPath:
    try:
        # The functions of EXSLT would search with Python's regular expressions, under any prefix that the document
        # declares; strings that know their parents cost as much as elements.
        return etree.XPath(path, namespaces=dict(namespaces), regexp=False, smart_strings=False)
    except ValueError as error:
        raise SelectorError(f"XPath: {error}") from None
    except etree.XPathSyntaxError as error:
        # The last entry tells how far libxml2 has read.
        position = error.error_log[-1].column if error.error_log else 0
        raise SelectorError(f"{error.msg} at character {position} after 'xpath:'") from None


def _evaluate(compiled: etree.XPath, root: etree._Element) -> Any:
    try:
        return compiled(root)
    except etree.XPathError as error:
        raise SelectorError(f"XPath: {error}") from None
