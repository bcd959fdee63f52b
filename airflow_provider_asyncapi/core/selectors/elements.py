"""Convert an element of an XML document to a value: its text, an object, or its markup."""

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

#: The key of an element's own text beside attributes or children, as in other tools that convert XML to JSON.
_TEXT = "#text"
#: Attributes about a schema (https://www.w3.org/TR/xmlschema-1/#xsi.schema), which aren't part of the value.
_SCHEMA_INSTANCE = "{http://www.w3.org/2001/XMLSchema-instance}"


#: From this number of attributes on, an element's namespace declarations are read all at once instead of per attribute.
_MANY_ATTRIBUTES = 32


def read_text(element: etree._Element) -> str | None:
    """Return all text in an element and below it, without surrounding white space; None for a nil element."""
    return None if _is_nil(element) else "".join(str(text) for text in element.itertext()).strip()


def read_object(element: etree._Element) -> JsonValue:
    """
    Return an element as a row: an object of its attributes and children, or its text if it has neither.

    The keys are the names in the document, with their prefixes; attributes begin with ``@``. Children of the same name
    become a list. Nil elements become null.
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
    """Return the XPath of the name of an element's attribute in the document, with its prefix."""
    return etree.XPath("name(@*[$number])")


def _is_nil(element: etree._Element) -> bool:
    """Return whether an element is nil, which is XML's null."""
    return element.get(f"{_SCHEMA_INSTANCE}nil") in ("true", "1")


def read_markup(element: etree._Element) -> str:
    """Return an element as a separate document, with the namespaces that it uses."""
    return etree.tostring(element, encoding="unicode", with_tail=False)


#: The functions that convert elements of a result, by the value of ``elements``.
READERS: dict[str, ReadElement] = {"objects": read_object, "markup": read_markup}
