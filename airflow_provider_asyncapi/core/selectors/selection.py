r"""
Selectors: where a value is found in a response.

=========================================  ==========================================================
written                                    finds
=========================================  ==========================================================
``data.task.id``, ``$.jobs[0].state``      JSONPath in the JSON body (:mod:`~.jsonpath`)
``xpath://uws:phase``                      XPath 1.0 in the XML body (:mod:`~.xpath`)
``header:Location``                        a response header
``status_code``                            the HTTP status code
``response_url``                           the URL that answered, redirects followed
``response_text``                          the whole body as text, without white space around it
``data.payload.json:state``                JSONPath in a JSON document that stands in a string
``header:Location regex:/jobs/(\w+)``      the part of the value found that a regular expression matches
=========================================  ==========================================================
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from airflow_provider_asyncapi.core import templates
from airflow_provider_asyncapi.core.errors import ContentError, SelectorError, UnsafeValueError
from airflow_provider_asyncapi.core.http import documents
from airflow_provider_asyncapi.core.http.messages import HEADER_NAME, Response
from airflow_provider_asyncapi.core.json_values import JsonValue, as_list, as_text, is_blank
from airflow_provider_asyncapi.core.selectors import elements, jsonpath, xpath
from airflow_provider_asyncapi.core.selectors.elements import ReadElement
from airflow_provider_asyncapi.core.selectors.jsonpath import Many
from airflow_provider_asyncapi.core.selectors.patterns import Pattern, parse_pattern

STATUS_CODE = "status_code"
RESPONSE_URL = "response_url"
RESPONSE_TEXT = "response_text"
_KEYWORDS = frozenset({STATUS_CODE, RESPONSE_URL, RESPONSE_TEXT})
#: At the end of a path: what it finds is a list, however much it is.
ALL_ITEMS = "[*]"
_HEADER = "header:"
_XPATH = "xpath:"
#: `json:` begins the part that reads on inside a string, unless it stands in quotes or in a variable's name.
_NESTED = re.compile(r"""\{[^{}\r\n]+\}|"[^"]*"|'[^']*'|(?P<json>[.\s]\s*json:\s*)""")
#: `regex:` after a space begins a regular expression, likewise.
_REGEX = re.compile(r"""\{[^{}\r\n]+\}|"[^"]*"|'[^']*'|(?P<regex>\s+regex:\s*)""")
#: What may take a variable's place outside of quotes without changing what the selector means.
_WORD = re.compile(r"[\w-]+")
_QUOTES = re.compile(r"[\"'\\]")
#: What stands before and after a variable that is a whole step of a JSONPath.
_BEFORE_STEP, _AFTER_STEP = re.compile(r"(?:.*\.)?", re.DOTALL), re.compile(r"[.\[]|\s*$")
#: What stands before a variable that may be a number in a JSONPath: an index, or what a filter compares with.
_BEFORE_NUMBER = re.compile(r".*[\[:,=<>]\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Selector:
    """
    One selector, its syntax checked.

    :param text: as the author wrote it; may hold variables.
    """

    text: str

    @classmethod
    def parse(cls, text: Any, where: str) -> Selector:
        """
        Check a selector as far as that is possible without the values of its variables.

        :param where: the parameter that holds it, for messages.
        :raises SelectorError: with the selector and the position of the mistake.
        """
        if not isinstance(text, str) or not text.strip():
            raise SelectorError(f"{where}: a selector has to be a string that isn't empty, not {text!r}")
        try:
            parts, _ = _split(text.strip())
            for position, part in enumerate(parts):
                _check(templates.render_selector(part, _sample), inner=position > 0)
        except SelectorError as error:
            raise SelectorError(f"{where}: malformed selector {text!r}: {error}") from None
        return cls(text.strip())

    def find(
        self, response: Response, variables: templates.Variables, read_element: ReadElement = elements.as_text
    ) -> list[JsonValue]:
        """
        Give all values found; null counts as nothing.

        :param read_element: makes a value of an element of XML; where the selector reads on in it, it is its text.
        :raises ContentError: where the body isn't JSON or XML as the selector expects.
        :raises UnknownVariableError: where the selector names a variable that isn't known.
        :raises UnsafeValueError: where a variable's value would change what the selector means.
        """
        parts, pattern = _split(self.text)
        if "{" in self.text:
            parts = tuple(self._rendered(part, variables) for part in parts)
        values = self._read(parts, response, elements.as_text if parts[1:] or pattern else read_element)
        found = [value for value in values if value is not None]
        return found if pattern is None else _matched(pattern, found)

    def _read(self, parts: Sequence[str], response: Response, read_element: ReadElement) -> Iterable[JsonValue]:
        outer, *inner = parts
        try:
            values = _find_outer(outer, response, read_element)
            for path in inner:
                documents_within = (_as_document(value, self.text, response.max_values) for value in values)
                values = [
                    found for each in documents_within for found in jsonpath.find(path, each, response.max_values)
                ]
        except SelectorError as error:
            raise SelectorError(f"selector {self.text!r}: {error}") from None
        return values

    def _rendered(self, part: str, variables: templates.Variables) -> str:
        if "{" not in part:
            return part
        where = f"selector {self.text!r}"

        def put(name: str, quoted: bool, before: str, after: str) -> str:
            text = templates.scalar(name, variables, where)
            if _QUOTES.search(text):
                raise UnsafeValueError(f"{where}: the variable {{{name}}} holds quotes or backslashes")
            if quoted:
                return text
            if _is_step(before, after):
                return f'"{text}"'
            if not _WORD.fullmatch(text):
                raise UnsafeValueError(
                    f"{where}: the variable {{{name}}} holds more than letters and digits; put it in quotes"
                )
            return text

        return templates.render_selector(part, put)

    def names(self) -> list[str]:
        """Give the variables that it names; braces in a regular expression name none."""
        parts, _ = _split(self.text)
        return [name for part in parts for name in templates.variable_names(part)]

    def value(
        self, response: Response, variables: templates.Variables, read_element: ReadElement = elements.as_text
    ) -> JsonValue:
        """Give the value found: one as it is, several as a list, none as None."""
        found = self.find(response, variables, read_element)
        return found[0] if len(found) == 1 else found or None

    def finds_many(self, variables: templates.Variables, least: Many) -> bool:
        """
        Return whether what it finds is a list, however much it is.

        :param least: what makes it one: that it takes each item of something, or also that it has a filter.
        """
        if self.is_xpath and self.text.endswith(ALL_ITEMS):
            return True
        return any(jsonpath.finds_many(path) >= least for path in self._json_paths(variables))

    def is_empty(self, response: Response, variables: templates.Variables) -> bool:
        """Return whether it finds nothing because what it takes the items of is there, and has none that match."""
        if self.is_xpath:
            # XML has no empty list: if each item of one is wanted, its items just aren't there.
            return self.text.endswith(ALL_ITEMS)
        paths = self._json_paths(variables)
        parts, _ = _split(self.text)
        before = [self._rendered(part, variables) for part in parts[:-1]]
        documents = self._read(before, response, elements.as_text) if before else [response.json]
        return any(
            jsonpath.is_empty(paths[-1], _as_document(document, self.text, response.max_values) if before else document)
            for document in documents
        )

    def _json_paths(self, variables: templates.Variables) -> list[str]:
        """Return the parts of it that are JSONPath."""
        (outer, *inner), _ = _split(self.text)
        is_json = outer not in _KEYWORDS and not outer.startswith((_HEADER, _XPATH))
        return [self._rendered(part, variables) for part in ([outer] * is_json + inner)]

    def item_path(self, variables: templates.Variables) -> jsonpath.ItemPath | None:
        """Give the path into an array whose items can be read one by one, where the selector is one."""
        parts, pattern = _split(self.text)
        if pattern is not None or len(parts) > 1 or not self.needs_body or parts[0].startswith(_XPATH):
            return None
        text = self._rendered(parts[0], variables)
        return None if text == RESPONSE_TEXT else jsonpath.split_at_array(text)

    @property
    def is_xpath(self) -> bool:
        """Whether it looks into XML."""
        return self.text.startswith(_XPATH)

    @property
    def needs_body(self) -> bool:
        """Whether the body has to be read; status code, URL and headers are there without it."""
        (outer, *_), _ = _split(self.text)
        return outer not in (STATUS_CODE, RESPONSE_URL) and not outer.startswith(_HEADER)

    @property
    def reads_headers(self) -> bool:
        """Whether it looks at what stands beside status code and body: a header, or the URL that answered."""
        (outer, *_), _ = _split(self.text)
        return outer == RESPONSE_URL or outer.startswith(_HEADER)


@dataclass(frozen=True, slots=True)
class Selection:
    """
    A selector or several of which the first that finds something counts.

    :param selectors: in the order asked.
    """

    selectors: tuple[Selector, ...]

    @classmethod
    def parse(cls, given: Any, where: str) -> Selection:
        """
        Read a selector or a list of selectors.

        :raises SelectorError: on a malformed one, or an empty list.
        """
        texts = as_list(given)
        if not texts:
            raise SelectorError(f"{where}: at least one selector is needed, not {given!r}")
        return cls(tuple(Selector.parse(text, where) for text in texts))

    @classmethod
    def parse_optional(cls, given: Any, where: str) -> Selection | None:
        """Read a selector or a list of selectors, or nothing at all."""
        return None if given is None else cls.parse(given, where)

    def __str__(self) -> str:
        return " or ".join(repr(selector.text) for selector in self.selectors)

    @property
    def needs_body(self) -> bool:
        """Whether the body has to be read for any of them."""
        return any(selector.needs_body for selector in self.selectors)

    @property
    def reads_headers(self) -> bool:
        """Whether any of them looks at what stands beside status code and body."""
        return any(selector.reads_headers for selector in self.selectors)

    def find(
        self, response: Response, variables: templates.Variables, read_element: ReadElement = elements.as_text
    ) -> tuple[Selector, JsonValue] | None:
        """
        Give the first selector that finds something, and what it found (:meth:`Selector.value`).

        An empty text is returned only if no other selector finds anything.

        :param read_element: makes a value of an element of XML.
        :raises ContentError: where the body can't be read and none of the others found anything.
        """
        unreadable: ContentError | None = None
        blank: tuple[Selector, JsonValue] | None = None
        for selector in self.selectors:
            try:
                value = selector.value(response, variables, read_element)
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

    def collect(
        self,
        response: Response,
        variables: templates.Variables,
        read_element: ReadElement = elements.as_text,
        *,
        least: Many = Many.EACH,
    ) -> tuple[Selector, JsonValue] | None:
        """
        Return the first selector that finds something, and what it found: a list if it is one of many.

        Where none finds anything, the first whose items are just none, and an empty list.

        :param least: what makes a selector one of many, as in :meth:`Selector.finds_many`.
        :raises ContentError: if the body can't be read and none of the others found anything.
        """
        found = self.find(response, variables, read_element)
        if found is not None:
            selector, value = found
            if selector.finds_many(variables, least):
                return selector, selector.find(response, variables, read_element)
            return selector, value
        for selector in self.selectors:
            if selector.finds_many(variables, least) and selector.is_empty(response, variables):
                return selector, []
        return None

    def value(self, response: Response, variables: templates.Variables) -> JsonValue:
        """Give the value of the first selector that finds something, None where none does."""
        found = self.find(response, variables)
        return None if found is None else found[1]


def selectors_in(value: Any) -> Iterator[Selector]:
    """Walk all selectors of a plan or of a part of one."""
    if isinstance(value, Selector):
        yield value
    elif isinstance(value, Mapping):
        yield from selectors_in(tuple(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from selectors_in(item)
    elif dataclasses.is_dataclass(value):
        yield from selectors_in([getattr(value, each.name) for each in dataclasses.fields(value)])


def capture(
    selections: Mapping[str, Selection], response: Response, variables: templates.Variables
) -> dict[str, JsonValue]:
    """Give what the selections find, each under its name and under the selector that found it."""
    captured: dict[str, JsonValue] = {}
    for name, selection in selections.items():
        if found := selection.collect(response, variables):
            selector, value = found
            captured[name] = captured[selector.text] = value
    return captured


def parse_captures(given: Any, where: str) -> dict[str, Selection]:
    """
    Read a mapping of variable names to selectors.

    :raises SelectorError: on anything else.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise SelectorError(f"{where}: has to map variable names to selectors, not be {type(given).__name__}")
    for name in given:
        if not isinstance(name, str) or templates.whole_variable(f"{{{name}}}") != name:
            raise SelectorError(f"{where}: {name!r} can't be the name of a variable")
        if name.startswith(templates.CONNECTION):
            raise SelectorError(f"{where}: {name!r} can't be captured, for only the connection sets what begins so")
    return {name: Selection.parse(selector, f"{where}[{name!r}]") for name, selector in given.items()}


@lru_cache(maxsize=1024)
def _split(text: str) -> tuple[tuple[str, ...], Pattern | None]:
    """
    Take a selector apart.

    :return: what is read in the response and each path that reads on in a string found; what of it is kept.
    :raises SelectorError: on a malformed regular expression.
    """
    pattern = None
    for match in _REGEX.finditer(text):
        if match["regex"]:
            expression = text[match.end() :]
            text = text[: match.start()]
            pattern = parse_pattern(expression)
            break
    parts, start = [], 0
    for match in _NESTED.finditer(text):
        if match["json"]:
            parts.append(text[start : match.start()])
            start = match.end()
    return (*parts, text[start:]), pattern


def _matched(pattern: Pattern, values: Iterable[JsonValue]) -> list[JsonValue]:
    """Give of each value what the pattern's first group matches, or all that matches where it has none."""
    matches = (pattern.extract(as_text(value)) for value in values)
    return [match for match in matches if match is not None]


def _is_step(before: str, after: str) -> bool:
    """Tell whether what stands there is a whole name in a JSONPath, so that in quotes it may hold anything."""
    return (
        not before.startswith((_XPATH, _HEADER))
        and _BEFORE_STEP.fullmatch(before) is not None
        and _AFTER_STEP.match(after) is not None
    )


def _sample(_name: str, quoted: bool, before: str, after: str) -> str:
    """Give what may stand in a variable's place while only the syntax matters."""
    if not quoted and _is_step(before, after):
        return '"x"'
    if not quoted and _BEFORE_NUMBER.fullmatch(before) and not before.startswith((_XPATH, _HEADER)):
        return "1"
    return "x"


@lru_cache(maxsize=1024)
def _check(text: str, *, inner: bool) -> None:
    """Raise :class:`SelectorError` where a part of a selector without variables is malformed."""
    if inner:
        jsonpath.check(text)
    elif text.startswith(_HEADER):
        name = text.removeprefix(_HEADER).strip()
        if not HEADER_NAME.fullmatch(name):
            raise SelectorError(f"{name!r} can't be the name of a header")
    elif text.startswith(_XPATH):
        xpath.check(text.removeprefix(_XPATH))
    elif text.startswith("/"):
        raise SelectorError("this looks like XPath, which begins with 'xpath:'")
    elif text not in _KEYWORDS:
        jsonpath.check(text)


def _find_outer(text: str, response: Response, read_element: ReadElement) -> Iterable[JsonValue]:
    if text == STATUS_CODE:
        return [response.status]
    if text == RESPONSE_URL:
        return [response.url]
    if text == RESPONSE_TEXT:
        return [response.text.strip()] if response.text.strip() else []
    if text.startswith(_HEADER):
        value = response.headers.get(text.removeprefix(_HEADER).strip())
        return [] if value is None else [value]
    if text.startswith(_XPATH):
        return xpath.find(text.removeprefix(_XPATH), response.xml, read_element, response.max_values)
    return jsonpath.find(text, response.json, response.max_values)


def _as_document(value: JsonValue, selector: str, max_values: int | None) -> JsonValue:
    if not isinstance(value, str):
        return value
    try:
        return documents.parse_json(value.encode("utf-8", "replace"), "a string", max_values)
    except ContentError as error:
        raise ContentError(f"selector {selector!r}: the string that 'json:' reads on in: {error}") from None
