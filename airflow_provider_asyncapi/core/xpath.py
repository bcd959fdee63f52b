"""XPath 1.0 over an XML body, with the prefixes that the document declares."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_asyncapi.core.elements import ReadElement, as_text
from airflow_provider_asyncapi.core.errors import SelectorError
from airflow_provider_asyncapi.core.values import JsonValue

if TYPE_CHECKING:
    from lxml import etree

#: Under this prefix a document's default namespace can be addressed; XPath 1.0 itself has no way to.
DEFAULT_PREFIX = "default"
_PREFIX = re.compile(r"([A-Za-z_][\w.-]*):(?!:)(?=[A-Za-z_*])")


def check(path: str) -> None:
    """
    Check the syntax of a path.

    :raises SelectorError: on a mistake, or a function that XPath 1.0 doesn't have.
    """
    from lxml import etree

    namespaces = tuple((prefix, f"urn:{prefix}") for prefix in sorted(_prefixes(path)))
    _evaluate(_compiled(path, namespaces), etree.Element("x"))


def find(path: str, root: etree._Element, read: ReadElement = as_text) -> list[JsonValue]:
    """
    Give all values that the path finds: strings of nodes, or the string, number or boolean of a function.

    A prefix that the document doesn't declare finds nothing.

    :param read: makes a value of an element.
    :raises SelectorError: where the path can't be applied.
    """
    from lxml import etree

    needed = _prefixes(path)
    namespaces = _declared_namespaces(root, needed)
    if not needed <= set(namespaces):
        return []
    result = _evaluate(_compiled(path, tuple((prefix, namespaces[prefix]) for prefix in sorted(needed))), root)
    if isinstance(result, str):
        return [str(result)] if result else []
    if isinstance(result, bool):
        return [result]
    if isinstance(result, float):
        return [int(result) if result.is_integer() else result] if math.isfinite(result) else []
    return [read(node) if isinstance(node, etree._Element) else str(node) for node in result]


def _declared_namespaces(root: etree._Element, prefixes: set[str]) -> dict[str, str]:
    """
    Return the namespaces that a document declares for some prefixes, the first of each.

    Each declaration is looked at once. An element's ``nsmap`` has all that hold there, so that looking at those of all
    elements takes time that grows with the product of both numbers.
    """
    from lxml import etree

    found: dict[str, str] = {}
    if prefixes:
        for _, declared in etree.iterwalk(root, events=("start-ns",)):
            prefix, uri = cast("tuple[str, str]", declared)
            found.setdefault(prefix or DEFAULT_PREFIX, uri)
            if prefixes <= found.keys():
                break
    return found


def _prefixes(path: str) -> set[str]:
    """Give the prefixes that a path uses; colons in its string literals don't make one."""
    without_strings = re.sub(r"'[^']*'|\"[^\"]*\"", "''", path)
    return set(_PREFIX.findall(without_strings)) - {"xml"}


@lru_cache(maxsize=256)
def _compiled(path: str, namespaces: tuple[tuple[str, str], ...]) -> etree.XPath:
    from lxml import etree

    try:
        return etree.XPath(path, namespaces=dict(namespaces))
    except ValueError as error:
        raise SelectorError(f"XPath: {error}") from None
    except etree.XPathSyntaxError as error:
        # The last entry tells how far libxml2 has read.
        position = error.error_log[-1].column if error.error_log else 0
        raise SelectorError(f"{error.msg} at character {position} after 'xpath:'") from None


def _evaluate(compiled: etree.XPath, root: etree._Element) -> Any:
    from lxml import etree

    try:
        return compiled(root)
    except etree.XPathError as error:
        raise SelectorError(f"XPath: {error}") from None
