"""The base of the kinds of selectors: syntax, checks, and the part of a response that a kind reads."""

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

    A poll with the same status code and body as the previous one has the same meaning, unless a selector reads headers.
    """

    STATUS_CODE = "the status code alone"
    HEADERS = "a header or the URL, which may change while the body stays the same"
    BODY = "the body"


class SelectorSyntax:
    """
    The common base of kinds and suffixes: a name, a line of the reference, and a path that may name variables.

    :cvar name: the prefix of the selector, before a colon; the whole selector if the kind has no path.
    :cvar summary: the values that it finds, for the reference.
    :cvar examples: selectors for the reference.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    examples: ClassVar[tuple[str, ...]]

    def check(self, path: str) -> None:
        """
        Check the syntax of a path when the DAG is parsed; its variables are replaced by samples.

        :raises SelectorError: if the syntax is wrong; the message shows the position.
        """

    def sample_variable(self, before: str, after: str) -> str:
        """
        Return a sample value for a variable outside of quotes, to check the syntax.

        :param before: the path before the variable.
        :param after: the path after the variable.
        """
        return "x"

    def quote_variable(self, text: str, before: str, after: str) -> str | None:
        """Return a variable's value in quotes, if the syntax allows a quoted string in its place; otherwise None."""
        return None

    def finds_list(self, path: str) -> bool:
        """Return whether the syntax of a path allows several values."""
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
        """The beginning of a selector of this kind, or the whole selector."""
        return f"{self.name}:" if self.has_path else self.name

    def find(self, path: str, response: Response, read_element: ReadElement) -> Iterable[JsonValue]:
        """
        Return all values that a path finds; None counts as nothing.

        :param read_element: converts an XML element to a value.
        :raises ContentError: if the body can't be read.
        """
        raise NotImplementedError

    def finds_empty_list(self, path: str, response: Response) -> bool:
        """Return whether a path finds nothing because its list exists, but has no matching items."""
        return False

    def suggest(self, path: str, response: Response) -> list[str]:
        """
        Return selectors of the values that are nearest to a path that finds nothing, the nearest first.

        :raises ContentError: if the body can't be read.
        """
        return []

    def explain(self, path: str, response: Response, *, has_nearest: bool) -> str:
        """
        Return why a path finds nothing, as a part of a message; empty if that isn't known.

        The text may contain names of the response, but no values.

        :param has_nearest: whether :meth:`suggest` finds near values, so that a list of names isn't needed.
        :raises ContentError: if the body can't be read.
        """
        return ""

    def split_at_array(self, path: str) -> ItemPath | None:
        """Return the path into an array of the JSON body whose items can be read one by one; None for other paths."""
        return None


class SelectorSuffix(SelectorSyntax):
    """
    A suffix of a selector: finds values in each value that was found before.

    :cvar may_follow_dot: whether it may follow a dot, as in ``payload.json:state``; otherwise it follows white space.
    :cvar is_last: whether the rest of the selector belongs to it, including braces, which aren't variables then.
    """

    may_follow_dot: ClassVar[bool] = False
    is_last: ClassVar[bool] = False

    def find(self, path: str, value: JsonValue, max_values: int | None) -> Iterable[JsonValue]:
        """
        Return all values found in a value.

        :param max_values: the maximum number of values in a JSON document of which all have to be searched.
        :raises ContentError: if the value can't be read.
        """
        raise NotImplementedError

    def finds_empty_list(self, path: str, value: JsonValue, max_values: int | None) -> bool:
        """Return whether a path finds nothing because its list exists, but has no matching items."""
        return False
