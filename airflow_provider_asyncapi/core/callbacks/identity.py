"""Which job a callback is about: an API may call one URL for all jobs, whatever was asked of it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.callbacks.calls import CallbackSettings
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle, check_identifier
from airflow_provider_asyncapi.core.json_values import JsonValue, as_text, is_scalar
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.templates import Variables

if TYPE_CHECKING:
    from lxml import etree

#: What many APIs put before the number of a job or an event.
_FIRST_WORD = re.compile(r"[A-Za-z]+(?=[_:.-])")
#: Characters of an identifier that isn't found in a text by chance, as 7 is.
_DISTINCTIVE = 6
#: The words of a field's name: `export_id`, `exportId`, `ExportID`.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
#: What a field that holds an identifier is called; the second alone could also be a count.
_IDENTIFIERS = frozenset({"id", "identifier", "uid", "uuid", "guid"})
_NUMBERS = frozenset({"number", "no", "num", "nr", "key", "ref", "reference", "name"})
#: What a job may be called, and what the description of a job may be wrapped in. A user, an account or an event has an
#: identifier too, and it may be the same number.
_JOBS = frozenset(
    {
        *("job", "task", "request", "export", "import", "operation", "execution", "run", "process", "batch", "report"),
        *("query", "statement", "transfer", "upload", "download", "workflow", "submission"),
        *("data", "payload", "object", "resource", "result", "body", "content", "detail", "attribute", "item"),
        *("entity", "record", "response"),
    }
)


def find_other_job(settings: CallbackSettings, handle: JobHandle, call: Response, variables: Variables) -> str | None:
    """
    Return the identifier of the job that a callback is about, if that is another one than the handle's.

    If the connection says at which selector callbacks name their job, only that selector is read. Otherwise it is the
    selector that found the identifier in the answer to the submit. Events may have an identifier of their own there:
    so another value counts only if it looks like the job's identifier, and if nothing else in the callback names the
    job. A long identifier does that anywhere; a short one, only as the whole value of a field for an identifier.

    :param variables: what selectors may name.
    :return: None if the callback is about this job, or names none.
    """
    if handle.identifier is None or not settings.compares_identifier:
        return None
    expected = as_text(handle.identifier)
    # A capture is known by its selector too.
    captured = [name for name, value in handle.variables.items() if value == handle.identifier]
    named = list(_named_at(captured if settings.identifier is None else [settings.identifier], call, variables))
    if not named or expected in named:
        return None
    if settings.identifier is not None:
        return named[0]
    other = next((each for each in named if _shape(each) == _shape(expected)), None)
    return None if other is None or _is_named_elsewhere(expected, call, captured) else other


def _named_at(places: list[str] | list[SelectorChain], call: Response, variables: Variables) -> Iterator[str]:
    """Walk the identifiers that a callback has at these places, as text."""
    for place in places:
        # What isn't there, can't be read, or can be no identifier, names no job.
        with contextlib.suppress(AsyncApiError):
            selection = SelectorChain.parse(place, "callback") if isinstance(place, str) else place
            yield as_text(check_identifier(selection.value(call, variables)))


def _shape(identifier: str) -> tuple[str, frozenset[str]]:
    """
    Return what identifiers of the same kind have in common: a word at their beginning, and the kinds of characters.

    So `7` and `evt_1` are told apart, and `job-1` and `evt-1`; `7` and `8` aren't, nor are two UUIDs. The length says
    nothing: a counter grows, and 7 and 1764342000123 may be jobs of the same account.
    """
    word = _FIRST_WORD.match(identifier)
    kinds = (
        "digit" if character.isdecimal() else "letter" if character.isalpha() else character for character in identifier
    )
    return word[0] if word else "", frozenset(kinds)


def _is_named_elsewhere(identifier: str, call: Response, captured: list[str]) -> bool:
    """
    Return whether a callback names a job anywhere else than where the answer to the submit had its identifier.

    :param captured: the selectors that found the identifier there: a field of the same name holds one here too.
    """
    if len(identifier) >= _DISTINCTIVE:
        return re.search(rf"(?<!\w){re.escape(identifier)}(?!\w)", call.text) is not None
    names = {name for selector in captured for name in re.findall(r"[\w-]+", selector)[-1:]}
    return any(
        value == identifier and _is_for_identifier(name, around, names) for around, name, value in _fields_of(call)
    )


def _is_for_identifier(name: str, around: str, names: set[str]) -> bool:
    """
    Return whether a field holds the identifier of a job.

    :param around: the name of the field or element that it is in, of which there may be several.
    :param names: names of fields that hold one in other answers.
    """
    words = _words(name)
    if words <= _IDENTIFIERS | _NUMBERS:
        words |= {word.removesuffix("s") for word in _words(around)} if words else set()
    elif name in names:
        return True
    if not words <= _IDENTIFIERS | _NUMBERS | _JOBS:
        return False
    return bool(words & _IDENTIFIERS) or "job" in words or name in names


def _words(name: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(name)}


def _fields_of(call: Response) -> Iterator[tuple[str, str, str]]:
    """Walk the values in a callback: the name of what it is in, its own name, and the value as text."""
    with contextlib.suppress(AsyncApiError):
        yield from _json_fields(call.json)
        return
    with contextlib.suppress(AsyncApiError):
        yield from _xml_fields(call.xml)


def _json_fields(document: JsonValue) -> Iterator[tuple[str, str, str]]:
    # Not by recursion, for a document may be nested deeply.
    left: list[tuple[str, str, JsonValue]] = [("", "", document)]
    while left:
        around, name, value = left.pop()
        if isinstance(value, dict):
            left += ((name, key, each) for key, each in value.items())
        elif isinstance(value, list):
            left += ((around, name, each) for each in value)
        elif is_scalar(value):
            yield around, name, as_text(value)


def _xml_fields(root: etree._Element) -> Iterator[tuple[str, str, str]]:
    for element in root.iter():
        name, parent = _local_name(element.tag), element.getparent()
        around = "" if parent is None else _local_name(parent.tag)
        yield around, name, (element.text or "").strip()
        yield from ((name, _local_name(key), value) for key, value in element.attrib.items())


def _local_name(tag: object) -> str:
    return str(tag).rpartition("}")[2]
