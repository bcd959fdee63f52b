r"""
The kinds of selectors: their syntax, their checks when the DAG is parsed, and how they find values.

A selector begins with a *kind* (``xpath://job/phase``, ``status_code``; JSONPath has no prefix), which finds values in
a response. *Suffixes* may follow (``payload.json:state``, ``header:Location regex:/jobs/(\w+)``), which extract parts
of the values found so far.

To add one, write its class here and name it in :data:`SELECTOR_KINDS` or :data:`SELECTOR_SUFFIXES`. Another package
declares an entry point of the group ``airflow_provider_asyncapi.selectors`` or ``.selector_suffixes``. Everything else,
the reference included, is derived from these two registries.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

from airflow_provider_asyncapi.core.errors import ContentError, SelectorError
from airflow_provider_asyncapi.core.http import documents
from airflow_provider_asyncapi.core.http.messages import HEADER_NAME, Response
from airflow_provider_asyncapi.core.json_values import JsonValue, as_text
from airflow_provider_asyncapi.core.lazy import LazyModule
from airflow_provider_asyncapi.core.registry import Registry
from airflow_provider_asyncapi.core.selectors import jsonpath
from airflow_provider_asyncapi.core.selectors.elements import ReadElement
from airflow_provider_asyncapi.core.selectors.item_path import ItemPath
from airflow_provider_asyncapi.core.selectors.syntax import SelectorKind, SelectorSuffix, SelectorSyntax, Source

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.selectors import explanations, patterns, suggestions, xpath, xpath_results
else:
    # Each task has selectors, mostly plain JSONPaths.
    explanations = LazyModule("airflow_provider_asyncapi.core.selectors.explanations")
    patterns = LazyModule("airflow_provider_asyncapi.core.selectors.patterns")
    suggestions = LazyModule("airflow_provider_asyncapi.core.selectors.suggestions")
    xpath = LazyModule("airflow_provider_asyncapi.core.selectors.xpath")
    xpath_results = LazyModule("airflow_provider_asyncapi.core.selectors.xpath_results")

#: At the end of an XPath: if it finds nothing, it is a list of no items.
ALL_ITEMS = "[*]"
#: The text before and after a variable that is a whole step of a JSONPath.
_BEFORE_STEP, _AFTER_STEP = re.compile(r"(?:.*\.)?", re.DOTALL), re.compile(r"[.\[]|\s*$")
#: The text before a variable that may be a number in a JSONPath: an index, or the operand of a filter.
_BEFORE_NUMBER = re.compile(r".*[\[:,=<>]\s*", re.DOTALL)
#: The text before a suffix, by whether the suffix may follow a dot; and the texts in which no suffix begins: variables
#: and quoted strings.
_BEFORE_SUFFIX = {True: r"[.\s]\s*", False: r"\s+"}
_WITHOUT_SUFFIX = (r"\{[^{}\r\n]+\}", '"[^"]*"', "'[^']*'")
_LOOKS_LIKE_PREFIX = re.compile(r"[A-Za-z]\w*:")
#: The prefix of a kind or a suffix, known or not; XPath has its axes with two colons.
_PREFIX = re.compile(r"(?:^|[.\s])([A-Za-z_]\w*):(?!:)")


class _JsonPathSyntax(SelectorSyntax):
    """Paths in JSONPath."""

    def check(self, path: str) -> None:
        jsonpath.check(path)

    def sample_variable(self, before: str, after: str) -> str:
        if _is_whole_step(before, after):
            return '"x"'
        return "1" if _BEFORE_NUMBER.fullmatch(before) else "x"

    def quote_variable(self, text: str, before: str, after: str) -> str | None:
        return f'"{text}"' if _is_whole_step(before, after) else None

    def finds_list(self, path: str) -> bool:
        return jsonpath.finds_list(path)


def _is_whole_step(before: str, after: str) -> bool:
    """Return whether a variable is a whole name in a JSONPath, so that any value can be inserted in quotes."""
    return _BEFORE_STEP.fullmatch(before) is not None and _AFTER_STEP.match(after) is not None


class _JsonPath(_JsonPathSyntax, SelectorKind):
    """The kind of all selectors that don't begin with the prefix of another kind."""

    name = "jsonpath"
    summary = "JSONPath in the JSON body"
    examples = ("data.task.id", "$.jobs[0].state", '$.jobs[?(@.id == "7")].state')

    def check(self, path: str) -> None:
        if path.startswith("/"):
            raise SelectorError("this looks like XPath, which begins with 'xpath:'")
        try:
            super().check(path)
        except SelectorError as error:
            if prefix := _LOOKS_LIKE_PREFIX.match(path):
                known = ", ".join(kind.prefix for kind in SELECTOR_KINDS.values() if kind is not self)
                message = (
                    f"no kind of selector begins with {prefix[0]!r}; known are {known}, and JSONPath without a prefix"
                )
                raise SelectorError(SELECTOR_KINDS.problems.get(prefix[0].removesuffix(":"), message)) from error
            raise

    def find(self, path: str, response: Response, _read_element: ReadElement) -> Iterable[JsonValue]:
        return jsonpath.find(path, response.json, response.max_values)

    def finds_empty_list(self, path: str, response: Response) -> bool:
        return jsonpath.finds_empty_list(path, response.json)

    def suggest(self, path: str, response: Response) -> list[str]:
        nested = explanations.suggest_nested_path(path, response.json, response.max_values)
        nearest = nested or suggestions.suggest_paths(path, response.json)
        return nearest or [f"header:{name}" for name in suggestions.suggest_headers(path, [*response.headers])]

    def explain(self, path: str, response: Response, *, has_nearest: bool) -> str:
        return explanations.explain_path(path, response.json, has_nearest=has_nearest)

    def split_at_array(self, path: str) -> ItemPath | None:
        return jsonpath.split_at_array(path)


class _XPath(SelectorKind):
    name = "xpath"
    summary = "XPath 1.0 in the XML body, with the prefixes that the document declares"
    examples = ("xpath://job/phase", "xpath://uws:result/@xlink:href")

    def check(self, path: str) -> None:
        xpath.check(path)

    def find(self, path: str, response: Response, read_element: ReadElement) -> Iterable[JsonValue]:
        return xpath.find(path, response.xml, read_element, response.max_values)

    def finds_list(self, path: str) -> bool:
        return xpath_results.finds_list(path)

    def finds_empty_list(self, path: str, _response: Response) -> bool:
        # XML has no empty list: an empty one has no elements at all. What else finds nothing may
        # be a mistake in the path.
        return path.endswith(ALL_ITEMS)

    def suggest(self, path: str, response: Response) -> list[str]:
        return [f"{self.prefix}{each}" for each in suggestions.suggest_xpaths(path, response.xml)]

    def explain(self, _path: str, response: Response, *, has_nearest: bool) -> str:
        return "" if has_nearest else explanations.explain_xpath(response.xml)


class _Header(SelectorKind):
    name = "header"
    summary = "a response header, case-insensitive"
    examples = ("header:Location",)
    source = Source.HEADERS

    def check(self, path: str) -> None:
        if not HEADER_NAME.fullmatch(path.strip()):
            raise SelectorError(f"{path.strip()!r} can't be the name of a header")

    def find(self, path: str, response: Response, _read_element: ReadElement) -> Iterable[JsonValue]:
        return (response.headers.get(path.strip()),)

    def suggest(self, path: str, response: Response) -> list[str]:
        return [f"{self.prefix}{name}" for name in suggestions.suggest_names(path.strip(), [*response.headers])]

    def explain(self, _path: str, response: Response, *, has_nearest: bool) -> str:
        return "" if has_nearest else explanations.explain_header(response.headers)


class _StatusCode(SelectorKind):
    name = "status_code"
    summary = "the HTTP status code"
    examples = ("status_code",)
    source = Source.STATUS_CODE
    has_path = False

    def find(self, _path: str, response: Response, _read_element: ReadElement) -> Iterable[JsonValue]:
        return (response.status,)


class _ResponseUrl(SelectorKind):
    name = "response_url"
    summary = "the URL of the response, after redirects"
    examples = ("response_url",)
    source = Source.HEADERS
    has_path = False

    def find(self, _path: str, response: Response, _read_element: ReadElement) -> Iterable[JsonValue]:
        return (response.url,)


class _ResponseText(SelectorKind):
    name = "response_text"
    summary = "the whole body as text, without surrounding white space"
    examples = ("response_text",)
    has_path = False

    def find(self, _path: str, response: Response, _read_element: ReadElement) -> Iterable[JsonValue]:
        return (response.text.strip() or None,)


class _NestedJson(_JsonPathSyntax, SelectorSuffix):
    name = "json"
    summary = "JSONPath in a JSON document inside a string"
    examples = ("data.payload.json:state", "header:X-Info json:queue")
    may_follow_dot = True

    def find(self, path: str, value: JsonValue, max_values: int | None) -> Iterable[JsonValue]:
        return jsonpath.find(path, self._parse(value, max_values), max_values)

    def finds_empty_list(self, path: str, value: JsonValue, max_values: int | None) -> bool:
        return jsonpath.finds_empty_list(path, self._parse(value, max_values))

    def _parse(self, value: JsonValue, max_values: int | None) -> JsonValue:
        if not isinstance(value, str):
            return value
        try:
            return documents.parse_json(value.encode("utf-8", "replace"), "a string", max_values)
        except ContentError as error:
            raise ContentError(f"the string that 'json:' parses: {error}") from None


class _Regex(SelectorSuffix):
    name = "regex"
    summary = "the part of the value found that a regular expression matches: its first group, or all of it"
    examples = (r"header:Location regex:/jobs/(\w+)",)
    is_last = True

    def check(self, path: str) -> None:
        patterns.parse_pattern(path)

    def find(self, path: str, value: JsonValue, _max_values: int | None) -> Iterable[JsonValue]:
        return (patterns.parse_pattern(path).extract(as_text(value)),)


K = TypeVar("K", bound=SelectorSyntax)
Suffixes: TypeAlias = tuple[tuple[SelectorSuffix, str], ...]


class SelectorParts(NamedTuple):
    """
    The parts of a selector.

    :param kind: finds values in a response.
    :param path: the text after the kind's prefix.
    :param suffixes: the suffixes, each with its path.
    """

    kind: SelectorKind
    path: str
    suffixes: Suffixes


@lru_cache(maxsize=1024)
def split_selector(text: str) -> SelectorParts:
    """Split a selector into its kind, its path and its suffixes."""
    if any(name not in SELECTOR_KINDS and name not in SELECTOR_SUFFIXES for name in _PREFIX.findall(text)):
        SELECTOR_KINDS.load_installed()
        SELECTOR_SUFFIXES.load_installed()
    cuts: list[tuple[SelectorSuffix, int, int]] = []
    for match in _compile_suffix_pattern().finditer(text):
        if match.lastgroup:
            suffix = SELECTOR_SUFFIXES[match.lastgroup]
            cuts.append((suffix, match.start(), match.end()))
            if suffix.is_last:
                break
    ends = [start for _, start, _ in cuts[1:]] + [len(text)]
    suffixes = tuple((suffix, text[begin:end].lstrip()) for (suffix, _, begin), end in zip(cuts, ends, strict=False))
    outer = text[: cuts[0][1]] if cuts else text
    name, colon, path = outer.partition(":")
    kind = SELECTOR_KINDS.get(name, DEFAULT_KIND)
    if kind is DEFAULT_KIND or kind.has_path != bool(colon):
        return SelectorParts(DEFAULT_KIND, outer, suffixes)
    return SelectorParts(kind, path, suffixes)


@lru_cache(maxsize=1)
def _compile_suffix_pattern() -> re.Pattern[str]:
    """Return the regular expression that finds the beginnings of suffixes, with a group named after each suffix."""
    begins = (
        f"(?P<{each.name}>{_BEFORE_SUFFIX[each.may_follow_dot]}{each.name}:)" for each in SELECTOR_SUFFIXES.values()
    )
    return re.compile("|".join([*_WITHOUT_SUFFIX, *begins]))


class _SelectorRegistry(Registry[K]):
    """The kinds or the suffixes of selectors; selectors are parsed again when one is added or removed."""

    def register(self, kind: K) -> K:
        """Add a kind."""
        _forget_parsed_selectors()
        return super().register(kind)

    def unregister(self, name: str) -> None:
        """Remove a kind."""
        super().unregister(name)
        _forget_parsed_selectors()


def _forget_parsed_selectors() -> None:
    split_selector.cache_clear()
    _compile_suffix_pattern.cache_clear()


DEFAULT_KIND = _JsonPath()
SELECTOR_KINDS = _SelectorRegistry[SelectorKind](
    "selector", "selectors", (DEFAULT_KIND, _XPath(), _Header(), _StatusCode(), _ResponseText(), _ResponseUrl())
)
SELECTOR_SUFFIXES = _SelectorRegistry[SelectorSuffix](
    "suffix of a selector", "selector_suffixes", (_NestedJson(), _Regex())
)
