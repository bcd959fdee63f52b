"""What a kind of selector declares: how it is written, checked and read, and the part of a response that it reads."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import ClassVar

from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.selectors.elements import ReadElement
from airflow_provider_asyncapi.core.selectors.item_path import ItemPath


class Source(enum.Enum):
    """
    The part of a response that a kind of selector reads.

    A poll whose status code and body are as before means what it meant, unless a selector reads headers.
    """

    STATUS_CODE = "the status code alone"
    HEADERS = "a header or the URL, which may change while the body stays the same"
    BODY = "the body"


class SelectorSyntax:
    """
    What kinds and suffixes have in common: a name, a line of the reference, and a path that may hold variables.

    :cvar name: what a selector of this kind begins with, before a colon; the selector itself if it has no path.
    :cvar summary: what it finds, for the reference.
    :cvar examples: selectors for the reference.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    examples: ClassVar[tuple[str, ...]]

    def check(self, path: str) -> None:
        """
        Check the syntax of a path when the DAG is parsed; its variables are replaced by samples.

        :raises SelectorError: with the position of the mistake.
        """

    def sample_variable(self, before: str, after: str) -> str:
        """
        Return what may stand in the place of a variable outside of quotes while only the syntax matters.

        :param before: the path before the variable.
        :param after: the path behind the variable.
        """
        return "x"

    def quote_variable(self, text: str, before: str, after: str) -> str | None:
        """Return a variable's value in quotes, if any value may stand there in quotes; None if it may not."""
        return None

    def finds_list(self, path: str) -> bool:
        """Return whether a path may find several values, whatever the response holds."""
        return False


class SelectorKind(SelectorSyntax):
    """
    A kind of selector: finds values in a response.

    :cvar source: the part of the response that it reads.
    :cvar has_path: whether a path follows the name, as in ``header:Location``; otherwise the name is the selector.
    """

    source: ClassVar[Source] = Source.BODY
    has_path: ClassVar[bool] = True

    @property
    def prefix(self) -> str:
        """What a selector of this kind begins with, or is."""
        return f"{self.name}:" if self.has_path else self.name

    def find(self, path: str, response: Response, read_element: ReadElement) -> Iterable[JsonValue]:
        """
        Return all values found; None counts as nothing.

        :param read_element: makes a value of an element of XML.
        :raises ContentError: if the body can't be read.
        """
        raise NotImplementedError

    def finds_empty_list(self, path: str, response: Response) -> bool:
        """Return whether a path finds nothing because the list whose items it takes is there and none match."""
        return False

    def split_at_array(self, path: str) -> ItemPath | None:
        """Return the path into an array of the JSON body whose items can be read one by one; None for other paths."""
        return None


class SelectorSuffix(SelectorSyntax):
    """
    What stands behind a selector: reads on in each value that was found.

    :cvar may_follow_dot: whether it may stand behind a dot, as in ``payload.json:state``; otherwise white space is
        needed.
    :cvar is_last: whether all that follows belongs to it, braces included: it names no variables.
    """

    may_follow_dot: ClassVar[bool] = False
    is_last: ClassVar[bool] = False

    def find(self, path: str, value: JsonValue, max_values: int | None) -> Iterable[JsonValue]:
        """
        Return all values found in a value.

        :param max_values: the number of values that a JSON document may hold if all of them have to be searched.
        :raises ContentError: if the value can't be read.
        """
        raise NotImplementedError

    def finds_empty_list(self, path: str, value: JsonValue, max_values: int | None) -> bool:
        """Return whether a path finds nothing because the list whose items it takes is there and none match."""
        return False
