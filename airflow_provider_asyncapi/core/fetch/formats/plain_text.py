"""Text that is taken as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.core.fetch.formats.base import FormatKind
from airflow_provider_asyncapi.core.http import documents

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.http.messages import Response
    from airflow_provider_asyncapi.core.json_values import JsonValue


class PlainText(FormatKind):
    """Text."""

    name = "text"
    summary = "Text, as it is."

    def matches(self, response: Response) -> bool:
        """Return whether the content type is one of text, or missing."""
        return response.content_type == "" or response.content_type.startswith("text/")

    def decode(self, response: Response, options: Any) -> JsonValue:
        """Return the text."""
        return documents.decode_text(response.body, response.declared_type)
