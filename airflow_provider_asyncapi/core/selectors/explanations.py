"""Explain why a selector finds nothing: what the response contains at the end of the steps that lead somewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.errors import ContentError
from airflow_provider_asyncapi.core.http import documents
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.lazy import LazyModule
from airflow_provider_asyncapi.core.selectors.plain_paths import PathSteps, follow, parse_plain_path
from airflow_provider_asyncapi.core.selectors.suggestions import Steps, format_path
from airflow_provider_asyncapi.core.text import shorten

if TYPE_CHECKING:
    from lxml import etree

    from airflow_provider_asyncapi.core.selectors import general_paths
else:
    # Only paths beyond plain ones need jsonpath-ng.
    general_paths = LazyModule("airflow_provider_asyncapi.core.selectors.general_paths")

#: The maximum number of names in an explanation, and the maximum length of a name or a place.
_MAX_NAMES = 10
_MAX_LENGTH = 60
#: The maximum number of XML elements whose names are read, and of characters of a string that is parsed as JSON.
_MAX_ELEMENTS = 1000
_MAX_JSON = 64 * 1024


def explain_path(path: str, document: JsonValue, *, has_nearest: bool) -> str:
    """
    Return why a JSONPath finds nothing; empty if that isn't known.

    :param has_nearest: whether near values are known: then the names in the object at its end aren't needed.
    """
    steps = parse_plain_path(path)
    if steps is None:
        return _explain_comparison(path, document)
    done, value = _follow_far(steps, document)
    place = shorten(format_path(done), _MAX_LENGTH) if done else "the JSON"
    if len(done) == len(steps):
        return f"{place} is null" if value is None else ""
    step = steps[len(done)]
    if isinstance(step, str) and isinstance(value, dict):
        if not value:
            return f"{place} is an empty object"
        return "" if has_nearest else f"{place} has the keys {_list_names(value, len(value))}"
    if not isinstance(step, str) and isinstance(value, list):
        return f"{place} has {len(value)} {'item' if len(value) == 1 else 'items'}" if value else f"{place} is empty"
    kind = _name_type(value)
    return f"{place} is {kind}" + (
        "" if value is None else f", not {'an object' if isinstance(step, str) else 'a list'}"
    )


def _follow_far(steps: PathSteps, document: JsonValue) -> tuple[Steps, JsonValue]:
    """Return the steps that lead to something, and the value there; of a list, the first item stands for all."""
    done: Steps = ()
    value = document
    for step in steps:
        following: tuple[str | int] = (0,) if step is None else (step,)
        found = follow(following, value)
        if not found:
            break
        done, value = (*done, *following), found[0]
    return done, value


def suggest_nested_path(path: str, document: JsonValue, max_values: int | None) -> list[str]:
    """
    Return the selector of a value in JSON that is a string of the document; an empty list if there is none.

    The first steps of the path lead to the string, and the other steps to a value in its JSON.

    :param max_values: the maximum number of values that are searched in a JSON document.
    """
    steps = parse_plain_path(path) or ()
    done, value = _follow_far(steps, document)
    rest = steps[len(done) :]
    if not rest or not isinstance(value, str) or len(value) > _MAX_JSON or not value.lstrip().startswith(("{", "[")):
        return []
    try:
        parsed = documents.parse_json(value.encode("utf-8", "replace"), "", max_values)
    except ContentError:
        return []
    below = _follow_far(rest, parsed)[0]
    if len(below) < len(rest):
        return []
    return [f"{format_path(done)}.json:{format_path(below).removeprefix('$.')}"]


def _explain_comparison(path: str, document: JsonValue) -> str:
    found = general_paths.find_type_mismatch(path, document)
    if found is None:
        return ""
    name, value, wanted = found
    advice = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else f"{wanted} without quotes"
    return f"{shorten(name, _MAX_LENGTH)} is {_name_type(value)}: compare it with {shorten(advice, _MAX_LENGTH)}"


def explain_header(names: Iterable[str]) -> str:
    """Return the names of the headers of a response in which a header is missing."""
    known = sorted(names)
    return f"the response has the headers {_list_names(known, len(known))}" if known else "the response has no headers"


def explain_xpath(root: etree._Element) -> str:
    """Return the names of the elements of a document in which an XPath finds nothing."""
    names = {str(each.tag).rpartition("}")[2]: None for each in islice(root.iter("*"), _MAX_ELEMENTS)}
    return f"the XML has the elements {_list_names(names, len(names))}"


def _list_names(names: Iterable[str], number: int) -> str:
    shown = ", ".join(shorten(name, _MAX_LENGTH) for name in islice(names, _MAX_NAMES))
    return shown if number <= _MAX_NAMES else f"{shown} and {number - _MAX_NAMES} more"


def _name_type(value: JsonValue) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
    return "an object"
