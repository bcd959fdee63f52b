"""Selectors, which find values in a response. Their kinds are in :mod:`~.kinds`."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.core import templates
from airflow_provider_asyncapi.core.errors import AsyncApiError, ContentError, SelectorError, UnsafeValueError
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.json_values import JsonValue, as_list, is_blank
from airflow_provider_asyncapi.core.lazy import LazyModule
from airflow_provider_asyncapi.core.selectors import elements
from airflow_provider_asyncapi.core.selectors.elements import ReadElement
from airflow_provider_asyncapi.core.selectors.item_path import ItemPath
from airflow_provider_asyncapi.core.selectors.registry import Suffixes, split_selector
from airflow_provider_asyncapi.core.selectors.syntax import SelectorKind, SelectorSyntax, Source

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.selectors import suggestions
else:
    # They are made for the message of an error.
    suggestions = LazyModule("airflow_provider_asyncapi.core.selectors.suggestions")

#: A variable's value that may be inserted outside of quotes without changing what the selector means.
_WORD = re.compile(r"[\w-]+")
#: The maximum number of reasons in a message about several selectors that find nothing.
_MAX_REASONS = 2
_QUOTES = re.compile(r"[\"'\\]")


@dataclass(frozen=True, slots=True)
class Selector:
    """
    A selector whose syntax has been checked.

    :param text: the selector as the DAG's author wrote it; may name variables.
    :param takes_first: whether only the first value found counts.
    """

    text: str
    takes_first: bool = False

    @classmethod
    def parse(cls, given: Any, where: str) -> Selector:
        """
        Parse a selector, and check its syntax as far as possible without the values of its variables.

        :param given: a string, or a mapping ``{"selector": …, "first": True}``.
        :param where: the parameter that holds the selector, for messages.
        :raises SelectorError: if the syntax is wrong; the message shows the selector and the position.
        """
        text, takes_first = given, False
        if isinstance(given, Mapping):
            if set(given) != {"selector", "first"} or not isinstance(given["first"], bool):
                raise SelectorError(
                    f"{where}: a selector that is a mapping has the keys 'selector' and 'first' (True or False), as in"
                    f" {{'selector': 'links[*].href', 'first': True}}; it is {dict(given)!r}"
                )
            text, takes_first = given["selector"], given["first"]
        if not isinstance(text, str) or not text.strip():
            raise SelectorError(f"{where}: a selector has to be a string that isn't empty, not {text!r}")
        try:
            parts = split_selector(text.strip())
            _check_path(parts.kind, _insert_samples(parts.kind, parts.path))
            for suffix, path in parts.suffixes:
                _check_path(suffix, path if suffix.is_last else _insert_samples(suffix, path))
        except SelectorError as error:
            raise SelectorError(f"{where}: malformed selector {text!r}: {error}") from None
        return cls(text.strip(), takes_first)

    def find_all(
        self, response: Response, variables: templates.Variables, read_element: ReadElement = elements.read_text
    ) -> list[JsonValue]:
        """
        Return all values that the selector finds, without nulls.

        :param read_element: converts an XML element to a value; before a suffix, an element is always its text.
        :raises ContentError: if the body isn't the JSON or XML that the selector expects.
        :raises UnknownVariableError: if the selector names an unknown variable.
        :raises UnsafeValueError: if a variable's value would change what the selector means.
        """
        kind, path, suffixes = self._render_parts(variables)
        return self._find_in_response(kind, path, suffixes, response, elements.read_text if suffixes else read_element)

    def _find_in_response(
        self, kind: SelectorKind, path: str, suffixes: Suffixes, response: Response, read_element: ReadElement
    ) -> list[JsonValue]:
        try:
            found = [value for value in kind.find(path, response, read_element) if value is not None]
            if suffixes:
                found = self._apply_suffixes(found, suffixes, response.max_values)
        except SelectorError as error:
            raise SelectorError(f"selector {self.text!r}: {error}") from None
        return found[:1] if self.takes_first else found

    def _apply_suffixes(self, found: list[JsonValue], suffixes: Suffixes, max_values: int | None) -> list[JsonValue]:
        try:
            for suffix, path in suffixes:
                values = (value for each in found for value in suffix.find(path, each, max_values))
                found = [value for value in values if value is not None]
        except ContentError as error:
            raise error.with_message(f"selector {self.text!r}: {error}") from None
        return found

    def _render_parts(self, variables: templates.Variables) -> tuple[SelectorKind, str, Suffixes]:
        kind, path, suffixes = split_selector(self.text)
        if "{" in self.text:
            path = self._render_path(kind, path, variables)
            suffixes = tuple(
                (suffix, text if suffix.is_last else self._render_path(suffix, text, variables))
                for suffix, text in suffixes
            )
        return kind, path, suffixes

    def _render_path(self, syntax: SelectorSyntax, path: str, variables: templates.Variables) -> str:
        if "{" not in path:
            return path
        where = f"selector {self.text!r}"

        def substitute(name: str, quoted: bool, before: str, after: str) -> str:
            text = templates.look_up_text(name, variables, where)
            if _QUOTES.search(text):
                raise UnsafeValueError(f"{where}: the variable {{{name}}} holds quotes or backslashes")
            if quoted:
                return text
            if (in_quotes := syntax.quote_variable(text, before, after)) is not None:
                return in_quotes
            if not _WORD.fullmatch(text):
                raise UnsafeValueError(
                    f"{where}: the variable {{{name}}} holds more than letters and digits; put it in quotes"
                )
            return text

        return templates.render_selector(path, substitute)

    def suggest(self, response: Response, variables: templates.Variables) -> list[str]:
        """
        Return selectors of the values that are nearest to what this one selects, if it finds nothing.

        If its suffix finds nothing in what was found, there is no suggestion.

        :raises AsyncApiError: as :meth:`find_all` does.
        """
        kind, path, _ = self._render_parts(variables)
        return [] if self._finds_before_suffix(kind, path, response) else kind.suggest(path, response)

    def explain(self, response: Response, variables: templates.Variables, *, has_nearest: bool) -> str:
        """
        Return why the selector finds nothing, as a part of a message; empty if that isn't known.

        The text contains names of the response, but no values.

        :param has_nearest: whether the message names near values, so that it doesn't need a list of names.
        :raises AsyncApiError: as :meth:`find_all` does.
        """
        kind, path, _ = self._render_parts(variables)
        if self._finds_before_suffix(kind, path, response):
            return ""
        return kind.explain(path, response, has_nearest=has_nearest)

    @staticmethod
    def _finds_before_suffix(kind: SelectorKind, path: str, response: Response) -> bool:
        return any(value is not None for value in kind.find(path, response, elements.read_text))

    def variable_names(self) -> list[str]:
        """Return the names of the selector's variables; braces in a regular expression aren't variables."""
        parts = split_selector(self.text)
        paths = [parts.path, *(path for suffix, path in parts.suffixes if not suffix.is_last)]
        return [name for path in paths for name in templates.find_variables(path)]

    def find_value(
        self, response: Response, variables: templates.Variables, read_element: ReadElement = elements.read_text
    ) -> JsonValue:
        """Return the value if the selector finds exactly one, a list if it finds several, and None if it finds none."""
        found = self.find_all(response, variables, read_element)
        return found[0] if len(found) == 1 else found or None

    def finds_list(self, variables: templates.Variables) -> bool:
        """Return whether the selector's syntax allows several values; its value is then always a list."""
        kind, path, suffixes = self._render_parts(variables)
        return not self.takes_first and (
            kind.finds_list(path) or any(suffix.finds_list(path) for suffix, path in suffixes)
        )

    def finds_empty_list(self, response: Response, variables: templates.Variables) -> bool:
        """Return whether the selector finds nothing because its list exists, but has no matching items."""
        kind, path, suffixes = self._render_parts(variables)
        nested = tuple((suffix, path) for suffix, path in suffixes if not suffix.is_last)
        if not nested:
            return kind.finds_empty_list(path, response)
        *before, (last, last_path) = nested
        values = self._find_in_response(kind, path, tuple(before), response, elements.read_text)
        return any(last.finds_empty_list(last_path, value, response.max_values) for value in values)

    def split_at_array(self, variables: templates.Variables) -> ItemPath | None:
        """Return the path into an array whose items can be read one by one; None for other selectors."""
        kind, path, suffixes = self._render_parts(variables)
        return None if suffixes or self.takes_first else kind.split_at_array(path)

    @property
    def tests_status_code(self) -> bool:
        """Whether the selector reads nothing but the status code."""
        kind, _, suffixes = split_selector(self.text)
        return kind.source is Source.STATUS_CODE and not suffixes

    @property
    def needs_body(self) -> bool:
        """Whether the selector needs the body; status code, URL and headers are known without it."""
        return split_selector(self.text).kind.source is Source.BODY

    @property
    def reads_headers(self) -> bool:
        """Whether the selector reads a header or the response's URL, which can change while the body stays the same."""
        return split_selector(self.text).kind.source is Source.HEADERS


@dataclass(frozen=True, slots=True)
class SelectorChain:
    """
    One or more selectors, of which the first that finds something is used.

    :param selectors: the selectors, in the order in which they are tried.
    :param takes_only: whether a capture is the only value found, not a list if there may be several.
    """

    selectors: tuple[Selector, ...]
    takes_only: bool = False

    @classmethod
    def parse(cls, given: Any, where: str, *, takes_only: bool = False) -> SelectorChain:
        """
        Parse a selector or a list of selectors.

        :param takes_only: whether a capture is the only value found.
        :raises SelectorError: if a selector is malformed, or the list is empty.
        """
        texts = as_list(given)
        if not texts:
            raise SelectorError(f"{where}: at least one selector is needed, not {given!r}")
        return cls(tuple(Selector.parse(text, where) for text in texts), takes_only)

    @classmethod
    def parse_optional(cls, given: Any, where: str) -> SelectorChain | None:
        """Parse a selector or a list of selectors; return None for None."""
        return None if given is None else cls.parse(given, where)

    def __str__(self) -> str:
        return " or ".join(repr(selector.text) for selector in self.selectors)

    @property
    def needs_body(self) -> bool:
        """Whether any of the selectors needs the body."""
        return any(selector.needs_body for selector in self.selectors)

    @property
    def reads_headers(self) -> bool:
        """Whether any of the selectors reads a header or the response's URL."""
        return any(selector.reads_headers for selector in self.selectors)

    def find_first(
        self, response: Response, variables: templates.Variables, read_element: ReadElement = elements.read_text
    ) -> tuple[Selector, JsonValue] | None:
        """
        Return the first selector that finds something, and the value that it finds (:meth:`Selector.find_value`).

        An empty string is returned only if no other selector finds anything.

        :param read_element: converts an XML element to a value.
        :raises ContentError: if the body can't be read, and no other selector finds anything.
        """
        unreadable: ContentError | None = None
        blank: tuple[Selector, JsonValue] | None = None
        for selector in self.selectors:
            try:
                value = selector.find_value(response, variables, read_element)
            except ContentError as error:
                unreadable = unreadable or error
                continue
            if value is not None and not is_blank(value):
                return selector, value
            if value is not None:
                blank = blank or (selector, value)
        if unreadable is not None and blank is None:
            raise unreadable
        return blank

    def find_first_keeping_lists(
        self,
        response: Response,
        variables: templates.Variables,
        read_element: ReadElement = elements.read_text,
    ) -> tuple[Selector, JsonValue] | None:
        """
        Return the first selector that finds something, and its value: a list if the selector may find several values.

        If none finds anything: the first whose items are none, and an empty list.

        :raises ContentError: if the body can't be read and none of the others found anything.
        """
        if self.takes_only:
            return self.find_only(response, variables)
        found = self.find_first(response, variables, read_element)
        if found is not None:
            selector, value = found
            if selector.finds_list(variables):
                return selector, selector.find_all(response, variables, read_element)
            return selector, value
        for selector in self.selectors:
            if selector.finds_list(variables) and selector.finds_empty_list(response, variables):
                return selector, []
        return None

    def find_only(self, response: Response, variables: templates.Variables) -> tuple[Selector, JsonValue] | None:
        """
        Return the first selector that finds something, and the one value that it found.

        :raises ContentError: if it found several, or as :meth:`find_first` does.
        """
        found = self.find_first(response, variables)
        if found is not None and isinstance(found[1], list):
            selector = found[0]
            count = len(selector.find_all(response, variables))
            if count > 1:
                raise ContentError(
                    f"{selector.text!r} finds {count} values, and one is needed: select one of them, or take the first"
                    f" with {{'selector': {selector.text!r}, 'first': True}}"
                )
        return found

    def describe_nearest(self, response: Response, variables: templates.Variables) -> str:
        """
        Return the end of a message about selectors that find nothing: the selectors of the nearest values, and reasons.

        The text contains names of the response, but no values; it is empty if nothing is known.
        """
        nearest: list[str] = []
        reasons: list[str] = []
        for selector in self.selectors:
            with contextlib.suppress(AsyncApiError):
                nearest += [each for each in selector.suggest(response, variables) if each not in nearest]
        for selector in self.selectors:
            with contextlib.suppress(AsyncApiError):
                reason = selector.explain(response, variables, has_nearest=bool(nearest))
                reasons += [reason] if reason and reason not in reasons else []
        there = [f"there is {' and '.join(nearest[: suggestions.MAX_SUGGESTIONS])}"] if nearest else []
        return "".join(f"; {each}" for each in (*there, *reasons[:_MAX_REASONS]))

    def find_value(self, response: Response, variables: templates.Variables) -> JsonValue:
        """Return the value of the first selector that finds something; None if no selector does."""
        found = self.find_first(response, variables)
        return None if found is None else found[1]


def _insert_samples(syntax: SelectorSyntax, path: str) -> str:
    """Return a path whose variables are replaced by samples, to check its syntax."""
    if "{" not in path:
        return path

    def substitute(_name: str, quoted: bool, before: str, after: str) -> str:
        return "x" if quoted else syntax.sample_variable(before, after)

    return templates.render_selector(path, substitute)


@lru_cache(maxsize=1024)
def _check_path(syntax: SelectorSyntax, path: str) -> None:
    """Raise :class:`SelectorError` if a path without variables is malformed."""
    syntax.check(path)
