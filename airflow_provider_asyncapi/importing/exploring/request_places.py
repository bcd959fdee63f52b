"""Find the place of an identifier in a request, and put a variable there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from airflow_provider_asyncapi.core.templates import find_variables, find_whole_variable

_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_HEX = re.compile(r"[0-9a-f]{8,}", re.IGNORECASE)
_VERSION = re.compile(r"v\d+(?:\.\d+)*(?:(?:alpha|beta)\d*)?", re.IGNORECASE)
_PREFIXED = re.compile(r"(?P<prefix>[A-Za-z]+[-_.:])(?=[\w-]*\d)[\w-]+")
#: What people write in place of an identifier: ``JOB_ID``, ``<job>``, ``[id]``.
_STAND_IN = re.compile(r"[A-Z]{2,}(?:[_-][A-Z]+)*|<[^<>]+>|\[[^\[\]]+\]")
_COLON_SEGMENT = re.compile(r"(?<=/):([A-Za-z]\w*)")
#: A segment without a digit that is longer than this isn't a word.
_LONGEST_WORD = 24
#: Longer values differ in length by chance.
_MAX_LENGTH_DIFFERENCE = 2
#: Names of fields that hold an identifier.
_ID_NAME = re.compile(r"(?:^|[a-z_-])(?:id|ids|uuid|guid)$|^(?:id|job|task|handle|reference)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """
    A place in a request that may hold an identifier.

    :param text: the text that is there now.
    :param name: the name of the parameter or the key; empty for a part of the path.
    """

    text: str
    name: str = ""

    @property
    def is_placeholder(self) -> bool:
        """Whether the text is a variable that has no value, or stands for an identifier, such as ``JOB_ID``."""
        return self.is_variable or _STAND_IN.fullmatch(self.text) is not None

    @property
    def is_variable(self) -> bool:
        """Whether the text is a variable that has no value."""
        return find_whole_variable(self.text) is not None

    @property
    def looks_like_identifier(self) -> bool:
        """Whether the text, or the name of its parameter, is that of an identifier."""
        if self.is_placeholder or _ID_NAME.search(self.name):
            return True
        return not self.name and describe_shape(self.text) != "word" and not _VERSION.fullmatch(self.text)


def describe_shape(text: str) -> str:
    """Return the kind of an identifier, such as ``uuid``, ``number``, or its prefix; ``word`` if it isn't one."""
    if _UUID.fullmatch(text):
        return "uuid"
    if text.isdigit():
        return "number"
    if match := _PREFIXED.fullmatch(text):
        return match["prefix"]
    if _HEX.fullmatch(text) and any(map(str.isdigit, text)):
        return "hexadecimal"
    if any(map(str.isdigit, text)) or len(text) > _LONGEST_WORD:
        return "letters and digits"
    return "word"


def have_same_shape(one: str, other: str) -> bool:
    """Return whether two texts look like identifiers of the same kind."""
    shape = describe_shape(one)
    if shape == "word" or shape != describe_shape(other):
        return False
    return shape in {"uuid", "number"} or abs(len(one) - len(other)) <= _MAX_LENGTH_DIFFERENCE


def list_places(parameters: Mapping[str, Any], known: Sequence[str] = ()) -> list[Place]:
    """
    Return the places of a request that may hold an identifier; the end of the path comes first.

    :param parameters: the parameters of the request.
    :param known: texts that aren't places, such as the parts of the path of the submit.
    """
    path = [Place(unquote(part)) for part in reversed(split_path(parameters["endpoint"])) if part]
    names = [Place(text, name) for name, text in _walk_texts("", parameters.get("query_params", {}))]
    body = [
        Place(text, name) for kind in ("json", "data") for name, text in _walk_texts("", parameters.get(kind) or {})
    ]
    return [place for place in (*path, *names, *body) if place.is_variable or place.text not in known]


def split_path(endpoint: str) -> list[str]:
    """Return the parts of the path of an endpoint."""
    path = re.sub(r"^https?://[^/]*", "", endpoint)
    return [part for part in path.split("/") if part]


def fill_place(parameters: Mapping[str, Any], text: str, variable: str) -> dict[str, Any]:
    """
    Return the parameters of a request with a variable in each place that holds a text.

    :param variable: the variable with its braces.
    """
    # As a whole word: an identifier may have an extension behind it, or quotes around it.
    whole = re.compile(rf"(?<![\w-]){re.escape(text)}(?![\w-])")
    filled = dict(parameters)
    filled["endpoint"] = whole.sub(lambda _: variable, unquote_braces(parameters["endpoint"]))
    for kind in ("query_params", "json", "data"):
        if kind in filled:
            filled[kind] = _replace(filled[kind], whole, variable)
    return filled


def unquote_braces(endpoint: str) -> str:
    """Return an endpoint in which placeholders such as ``:id`` are variables."""
    return _COLON_SEGMENT.sub(r"{\1}", endpoint)


def find_open_variables(parameters: Mapping[str, Any]) -> set[str]:
    """Return the variables of a request without the connection's."""
    texts = [parameters["endpoint"], *(text for _, text in _walk_texts("", parameters.get("query_params", {})))]
    names = {name.removeprefix("+") for text in texts for name in find_variables(text)}
    return {name for name in names if not name.startswith("connection.")}


def _walk_texts(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _walk_texts(str(key), each)
    elif isinstance(value, list):
        for each in value:
            yield from _walk_texts(name, each)
    elif isinstance(value, str | int) and not isinstance(value, bool):
        yield name, str(value)


def _replace(value: Any, whole: re.Pattern[str], variable: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _replace(each, whole, variable) for key, each in value.items()}
    if isinstance(value, list):
        return [_replace(each, whole, variable) for each in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return variable if whole.fullmatch(str(value)) else value
    return whole.sub(lambda _: variable, value) if isinstance(value, str) else value
