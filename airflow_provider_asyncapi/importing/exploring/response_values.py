"""List the values of a response with the selectors that find them."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.errors import ContentError
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.selectors.registry import split_selector
from airflow_provider_asyncapi.core.selectors.suggestions import format_path

if TYPE_CHECKING:
    from lxml import etree

#: The number of values that are looked at; identifiers and statuses are near the top.
_MAX_VALUES = 2000
#: The longest body of plain text that may be a value.
_MAX_TEXT = 200
#: Names that a JSONPath can't contain even in quotes, or that a selector takes for variables.
_UNSELECTABLE = re.compile(r"""[{}\\"\x00-\x1f]|^\*$""")
#: Headers that may lead to a job or to its result.
_HEADERS = ("Location", "Operation-Location", "Azure-AsyncOperation", "Content-Location")


@dataclass(frozen=True, slots=True)
class FoundValue:
    """
    A value of a response.

    :param selector: the selector that finds it.
    :param name: the name of the key, the element, the attribute or the header.
    :param parents: the names of the objects or elements around it.
    :param value: the value; of a list or an object, all of it.
    """

    selector: str
    name: str
    parents: tuple[str, ...]
    value: JsonValue

    @property
    def is_header(self) -> bool:
        """Whether it is the value of a header."""
        return self.selector.startswith("header:")


def list_values(response: Response) -> list[FoundValue]:
    """Return the values of a response, outer ones first: headers that contain a URL, and what is in the body."""
    found = [
        FoundValue(f"header:{name}", name, (), response.headers[name]) for name in _HEADERS if name in response.headers
    ]
    try:
        if "xml" in response.content_type:
            return [*found, *_walk_xml(response.xml)]
        return [*found, *_walk_json(response.json)]
    except ContentError:
        text = response.text.strip()
        if text and len(text) <= _MAX_TEXT and text.isprintable():
            found.append(FoundValue("response_text", "", (), text))
        return found


def _walk_json(document: JsonValue) -> Iterator[FoundValue]:
    if not isinstance(document, dict | list):
        yield FoundValue("$", "", (), document)
        return
    waiting: deque[tuple[tuple[str | int, ...], JsonValue]] = deque([((), document)])
    seen = 0
    while waiting and seen < _MAX_VALUES:
        steps, value = waiting.popleft()
        children: list[tuple[str | int, JsonValue]] = []
        if isinstance(value, dict):
            children = [(key, each) for key, each in value.items() if not _UNSELECTABLE.search(key)][:_MAX_VALUES]
        elif isinstance(value, list) and value:
            # The first one stands for all.
            children = [(0, value[0])]
        for step, child in children:
            seen += 1
            path = (*steps, step)
            names = [str(each) for each in path if isinstance(each, str)]
            yield FoundValue(_format_selector(path), names[-1] if names else "", tuple(names[:-1]), child)
            waiting.append((path, child))


def _format_selector(steps: tuple[str | int, ...]) -> str:
    path = format_path(steps)
    # A key such as `status_code` alone would be another kind of selector.
    parts = split_selector(path[2:])
    is_plain = path.startswith("$.") and path[2] not in "\"'" and parts.kind.name == "jsonpath" and not parts.suffixes
    return path[2:] if is_plain else path


def _walk_xml(root: etree._Element) -> Iterator[FoundValue]:
    for number, element in enumerate(root.iter("*")):
        if number >= _MAX_VALUES:
            return
        names = [_get_name(each) for each in (*reversed(list(element.iterancestors())), element)]
        path = "//" + _name_in_xpath(element) if element is not root else "/" + _name_in_xpath(element)
        if len(element) == 0 and (text := (element.text or "").strip()):
            yield FoundValue(f"xpath:{path}", names[-1], tuple(names[:-1]), text)
        for key, value in element.attrib.items():
            namespace, _, name = str(key).rpartition("}")
            prefix = next((each for each, uri in element.nsmap.items() if each and f"{{{uri}" == namespace), None)
            if not namespace or prefix:
                attribute = f"{prefix}:{name}" if prefix else name
                yield FoundValue(f"xpath:{path}/@{attribute}", name, tuple(names), str(value))


def _get_name(element: etree._Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _name_in_xpath(element: etree._Element) -> str:
    name = _get_name(element)
    return f"{element.prefix or 'default'}:{name}" if str(element.tag).startswith("{") else name
