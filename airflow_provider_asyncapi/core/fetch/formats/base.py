"""What a result format declares: how it is recognized, its options, and how a body is decoded or streamed."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_asyncapi.core.errors import ContentError
from airflow_provider_asyncapi.core.http import documents
from airflow_provider_asyncapi.core.selectors import elements

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.fetch.formats.streamed_body import StreamedBody
    from airflow_provider_asyncapi.core.http.messages import Response
    from airflow_provider_asyncapi.core.json_values import JsonValue
    from airflow_provider_asyncapi.core.selectors.item_path import ItemPath

_TEXT_TREES = frozenset({"application", "text"})


class FormatKind(ABC):
    """
    A result format.

    :cvar name: the value of ``result_format`` that chooses it.
    :cvar summary: its line in the reference, in Markdown.
    :cvar options: the keys of ``result_format`` that it takes in addition to ``format`` and ``charset``.
    :cvar has_rows: whether a body consists of rows, so that selectors read a list of them.
    :cvar package: the package to install for it, if it needs one, as pip names it; imported when a body is read.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    options: ClassVar[tuple[str, ...]] = ()
    has_rows: ClassVar[bool] = False
    package: ClassVar[str] = ""

    @abstractmethod
    def matches(self, response: Response) -> bool:
        """Return whether the content type of a response, or its beginning if it has none, means this format."""

    def parse_options(self, given: Mapping[str, Any]) -> Any:
        """
        Return the options for the other methods.

        :param given: a mapping with keys of :attr:`options`; empty if the content type has chosen the format.
        :raises ConfigurationError: naming the key that is wrong.
        """
        return None

    @abstractmethod
    def decode(self, response: Response, options: Any) -> JsonValue:
        """
        Return a whole body as a value.

        :raises ContentError: if the body isn't of this format.
        """

    def element_reader(self, options: Any) -> elements.ReadElement:
        """Return the function that makes values of the XML elements that a path selects."""
        return elements.read_object

    def stream(self, body: StreamedBody, options: Any, items: ItemPath, shown: str) -> Iterator[JsonValue] | None:
        """
        Return the rows of a body one by one; None if the body can only be decoded as a whole.

        :param items: the path into the array that holds the rows.
        :param shown: the path as it was given, for messages.
        :raises ContentError: at once or while reading, if the body isn't of this format.
        :raises MissingValueError: if the path finds nothing.
        """
        return None


class RowFormatKind(FormatKind):
    """
    A format of which each record is a row: a line, in most of them.

    :cvar subtypes: the subtypes of ``application/`` and ``text/`` that mean this format.
    """

    has_rows = True
    subtypes: ClassVar[frozenset[str]] = frozenset()

    def matches(self, response: Response) -> bool:
        """Return whether the content type means this format."""
        tree, _, subtype = response.content_type.partition("/")
        return tree in _TEXT_TREES and self.matches_subtype(subtype)

    def matches_subtype(self, subtype: str) -> bool:
        """Return whether the subtype of a text means this format."""
        return subtype in self.subtypes

    def decode(self, response: Response, options: Any) -> JsonValue:
        """Return the list of all rows."""
        text = documents.decode_text(response.body, response.declared_type)
        if response.content_type == "text/html":
            raise ContentError(f"expected {self.name.upper()}, got an HTML page")
        return list(self.parse_rows(self.split_lines(text), options))

    def stream(self, body: StreamedBody, options: Any, items: ItemPath, shown: str) -> Iterator[JsonValue] | None:
        """Return the rows one by one; None if the path looks for an array within a document."""
        return None if items.prefix else self.parse_rows(body.read_lines(), options)

    def split_lines(self, text: str) -> Iterable[str]:
        """Return the lines of a text with their ends."""
        return io.StringIO(text, newline="")

    @abstractmethod
    def parse_rows(self, lines: Iterable[str], options: Any) -> Iterator[JsonValue]:
        """
        Yield the rows of some lines.

        :raises ContentError: naming the line that isn't of this format.
        """
