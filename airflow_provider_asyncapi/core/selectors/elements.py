"""What an element of an XML document is as a value: its text, an object, or its own markup."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.lazy import LazyModule

if TYPE_CHECKING:
    from lxml import etree
else:
    etree = LazyModule("lxml.etree")

ReadElement: TypeAlias = "Callable[[etree._Element], JsonValue]"

#: What stands beside attributes or children; as in other tools that make JSON of XML.
_TEXT = "#text"
#: What says something about a schema (https://www.w3.org/TR/xmlschema-1/#xsi.schema), and nothing about the value.
_SCHEMA_INSTANCE = "{http://www.w3.org/2001/XMLSchema-instance}"


#: From here on, all declarations are looked at once for an element, instead of its attributes once for each.
_MANY_ATTRIBUTES = 32


def read_text(element: etree._Element) -> str | None:
    """Return all text in an element and below it, without white space around it; None for one declared as nil."""
    return None if _is_nil(element) else "".join(str(text) for text in element.itertext()).strip()


def read_object(element: etree._Element) -> JsonValue:
    """
    Return an element as a row: an object of its attributes and children, or its text if it has none of them.

    Names are those of the document, with its prefixes, an attribute's with ``@``. Children of the same name make a
    list. What is declared as nil is null.
    """
    if _is_nil(element):
        return None
    found: dict[str, JsonValue] = {}
    repeated: dict[str, list[JsonValue]] = {}
    prefixes: dict[str, str] = {}
    if len(element.attrib) > _MANY_ATTRIBUTES:
        prefixes = {f"{{{uri}": prefix for prefix, uri in element.nsmap.items() if prefix}
    for number, (name, value) in enumerate(element.attrib.items(), 1):
        if not name.startswith(_SCHEMA_INSTANCE):
            uri, _, local = name.rpartition("}")
            if uri and uri not in prefixes:
                # An element's nsmap has all declarations that hold there, and may be large on each of many elements.
                prefixes[uri] = str(_compile_attribute_name()(element, number=number)).partition(":")[0]
            found[f"@{prefixes[uri]}:{local}" if uri else f"@{name}"] = value
    for child in element.iterchildren("*"):
        local = etree.QName(child).localname
        name = f"{child.prefix}:{local}" if child.prefix else local
        value = read_object(child)
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


@lru_cache(maxsize=1)
def _compile_attribute_name() -> etree.XPath:
    """Return the expression for the name that the document gives an element's attribute, with its prefix."""
    return etree.XPath("name(@*[$number])")


def _is_nil(element: etree._Element) -> bool:
    """Return whether an element is declared as nil, which is XML's null."""
    return element.get(f"{_SCHEMA_INSTANCE}nil") in ("true", "1")


def read_markup(element: etree._Element) -> str:
    """Return an element as a document of its own, with the namespaces that it uses."""
    return etree.tostring(element, encoding="unicode", with_tail=False)


#: What elements are read as where they are the result, by the name of it.
READERS: dict[str, ReadElement] = {"objects": read_object, "markup": read_markup}
