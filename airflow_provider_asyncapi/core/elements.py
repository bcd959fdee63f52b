"""What an element of an XML document is as a value: its text, an object, or its own markup."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from airflow_provider_asyncapi.core.values import JsonValue

if TYPE_CHECKING:
    from lxml import etree

ReadElement: TypeAlias = "Callable[[etree._Element], JsonValue]"

#: What stands beside attributes or children; as in other tools that make JSON of XML.
_TEXT = "#text"
#: What says something about a schema (https://www.w3.org/TR/xmlschema-1/#xsi.schema), and nothing about the value.
_SCHEMA_INSTANCE = "{http://www.w3.org/2001/XMLSchema-instance}"
_XML_NAMESPACE = "http://www.w3.org/XML/1998/namespace"


def as_text(element: etree._Element) -> str | None:
    """Return all text in an element and below it, without white space around it; None for one declared as nil."""
    return None if _is_nil(element) else "".join(str(text) for text in element.itertext()).strip()


def as_object(element: etree._Element) -> JsonValue:
    """
    Give an element as a row: an object of its attributes and children, or its text where it has neither.

    Names are those of the document, with its prefixes, an attribute's with ``@``. Children of the same name make a
    list. What is declared as nil is null.
    """
    from lxml import etree

    if _is_nil(element):
        return None
    found: dict[str, JsonValue] = {}
    repeated: dict[str, list[JsonValue]] = {}
    prefixes = {uri: prefix for prefix, uri in element.nsmap.items() if prefix} | {_XML_NAMESPACE: "xml"}
    for name, value in element.attrib.items():
        if not name.startswith(_SCHEMA_INSTANCE):
            uri, _, local = name.rpartition("}")
            found[f"@{prefixes[uri[1:]]}:{local}" if uri else f"@{name}"] = value
    for child in element.iterchildren("*"):
        local = etree.QName(child).localname
        name = f"{child.prefix}:{local}" if child.prefix else local
        value = as_object(child)
        if name in repeated:
            repeated[name].append(value)
        elif name in found:
            found[name] = repeated[name] = [found[name], value]
        else:
            found[name] = value
    text = "".join([element.text or "", *(child.tail or "" for child in element)]).strip()
    if not found:
        return text
    return {**found, _TEXT: text} if text else found


def _is_nil(element: etree._Element) -> bool:
    """Return whether an element is declared as nil, which is XML's null."""
    return element.get(f"{_SCHEMA_INSTANCE}nil") in ("true", "1")


def as_markup(element: etree._Element) -> str:
    """Give an element as a document of its own, with the namespaces that it uses."""
    from lxml import etree

    return etree.tostring(element, encoding="unicode", with_tail=False)


#: What elements are read as where they are the result, by the name of it.
READERS: dict[str, ReadElement] = {"objects": as_object, "markup": as_markup}
