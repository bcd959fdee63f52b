"""XML: one document; what a path selects becomes objects, or stays markup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.fetch.formats.base import FormatKind
from airflow_provider_asyncapi.core.selectors import elements

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.http.messages import Response
    from airflow_provider_asyncapi.core.json_values import JsonValue


class Xml(FormatKind):
    """An XML document. Its options are the function that makes a value of an element."""

    name = "xml"
    summary = "One XML document. `elements`: what a selected element becomes, `objects` (default) or `markup`."
    options = ("elements",)

    def matches(self, response: Response) -> bool:
        """Return whether the content type is one of XML."""
        kind = response.content_type
        return kind in ("application/xml", "text/xml") or kind.endswith("+xml")

    def parse_options(self, given: Mapping[str, Any]) -> elements.ReadElement:
        """Return the function that ``elements`` names."""
        name = given.get("elements", "objects")
        if name not in elements.READERS:
            known = ", ".join(elements.READERS)
            raise ConfigurationError(f"result_format: elements can't be {name!r}; there are {known}")
        return elements.READERS[name]

    def element_reader(self, options: elements.ReadElement) -> elements.ReadElement:
        """Return the function that ``elements`` names."""
        return options

    def decode(self, response: Response, options: Any) -> JsonValue:
        """Return the document as text, serialized anew: a str can't keep the encoding that the document declares."""
        return elements.read_markup(response.xml)
