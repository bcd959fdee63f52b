"""Find the job that a callback is about, since an API may use one URL for the callbacks of all jobs."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.callbacks.settings import CallbackSettings
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle, check_identifier
from airflow_provider_asyncapi.core.json_values import JsonValue, as_text, is_scalar
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.templates import Variables

if TYPE_CHECKING:
    from lxml import etree

#: Prefix that many APIs put before the number of a job or an event.
_FIRST_WORD = re.compile(r"[A-Za-z]+(?=[_:.-])")
#: Shortest identifier, in characters, that isn't found in a text by chance (unlike 7).
_DISTINCTIVE = 6
#: A word in the name of a field: `export_id`, `exportId`, `ExportID`.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
#: Words in the name of a field with an identifier; the ones in the second set alone could also mean a count.
_IDENTIFIERS = frozenset({"id", "identifier", "uid", "uuid", "guid"})
_NUMBERS = frozenset({"number", "no", "num", "nr", "key", "ref", "reference", "name"})
#: Words for a job.
_JOBS = frozenset(
    {
        *("job", "task", "request", "export", "import", "operation", "execution", "run", "process", "batch", "report"),
        *("query", "statement", "transfer", "upload", "download", "workflow", "submission"),
    }
)
#: Words for a job, and for the object around the description of a job. A user, an account or an event has an
#: identifier too, and it may be the same number.
_JOBS_AND_WRAPPERS = _JOBS | frozenset(
    {
        *("data", "payload", "object", "resource", "result", "body", "content", "detail", "attribute", "item"),
        *("entity", "record", "response"),
    }
)


def find_other_job(settings: CallbackSettings, handle: JobHandle, call: Response, variables: Variables) -> str | None:
    """
    Return the identifier of the job that a callback is about if it isn't the job of the handle.

    If the connection has a selector for the identifier in callbacks, only that selector is read. Otherwise it is the
    selector that found the identifier in the response to the submit. An event may have its own identifier there, so
    another value counts only if it looks like the identifier of the job, and if nothing else in the callback identifies
    the job. A long identifier identifies the job anywhere, a short one only as the whole value of an identifier field,
    or at the end of a URL. If nothing is there, an identifier in a field whose name is that of a job counts.

    :param variables: the variables that selectors may use.
    :return: the other identifier; None if the callback is about this job, or contains no identifier.
    """
    if handle.identifier is None or not settings.compares_identifier:
        return None
    expected = as_text(handle.identifier)
    # Captures are stored by their selectors, too.
    captured = [name for name, value in handle.variables.items() if value == handle.identifier]
    named = list(_find_identifiers(captured if settings.identifier is None else [settings.identifier], call, variables))
    if settings.identifier is not None:
        return named[0] if named and expected not in named else None
    named = named or list(_find_job_fields(call))
    if expected in named:
        return None
    other = next((each for each in named if _shape(each) == _shape(expected)), None)
    return None if other is None or _is_named_elsewhere(expected, call, captured) else other


def _find_identifiers(places: list[str] | list[SelectorChain], call: Response, variables: Variables) -> Iterator[str]:
    """Yield the identifiers in a callback at these selectors, as text."""
    for place in places:
        # A value that is missing, can't be read or can't be an identifier identifies no job.
        with contextlib.suppress(AsyncApiError):
            selection = SelectorChain.parse(place, "callback") if isinstance(place, str) else place
            yield as_text(check_identifier(selection.find_value(call, variables)))


def _find_job_fields(call: Response) -> Iterator[str]:
    """Yield the identifiers in fields such as ``job_id``, ``exportId`` or the ``id`` of an object ``job``."""
    for around, name, value in _iterate_fields(call):
        words = _words(name)
        if words <= _IDENTIFIERS:
            words |= {word.removesuffix("s") for word in _words(around)} if words else set()
        if value and words & _IDENTIFIERS and words & _JOBS and words <= _IDENTIFIERS | _JOBS:
            yield value


def _shape(identifier: str) -> tuple[str, frozenset[str]]:
    """
    Return the features that identifiers of the same kind have in common: the first word and the kinds of characters.

    `7` and `evt_1` differ in shape, as do `job-1` and `evt-1`; `7` and `8` don't, nor do two UUIDs. The length doesn't
    count: counters grow, and 7 and 1764342000123 may be jobs of the same account.
    """
    word = _FIRST_WORD.match(identifier)
    kinds = (
        "digit" if character.isdecimal() else "letter" if character.isalpha() else character for character in identifier
    )
    return word[0] if word else "", frozenset(kinds)


def _is_named_elsewhere(identifier: str, call: Response, captured: list[str]) -> bool:
    """
    Return whether a callback contains the identifier anywhere else than at the selectors of the submit.

    :param captured: the selectors that found the identifier in the response to the submit; a field of the same name
        contains an identifier here, too.
    """
    if len(identifier) >= _DISTINCTIVE:
        return re.search(rf"(?<!\w){re.escape(identifier)}(?!\w)", call.text) is not None
    names = {name for selector in captured for name in re.findall(r"[\w-]+", selector)[-1:]}
    return any(
        (value == identifier and _is_for_identifier(name, around, names)) or _is_end_of_url(identifier, value)
        for around, name, value in _iterate_fields(call)
    )


def _is_end_of_url(identifier: str, value: str) -> bool:
    """Return whether a value is a URL or a path whose last part is the identifier, such as ``/jobs/7``."""
    begins, _, last = value.partition("?")[0].rstrip("/").rpartition("/")
    return last == identifier and (begins.startswith("/") or "://" in begins)


def _is_for_identifier(name: str, around: str, names: set[str]) -> bool:
    """
    Return whether the name of a field says that it contains the identifier of a job.

    :param around: the name of the field or element around it, which may be a plural.
    :param names: names of fields that contain an identifier in other responses.
    """
    words = _words(name)
    if words <= _IDENTIFIERS | _NUMBERS:
        words |= {word.removesuffix("s") for word in _words(around)} if words else set()
    elif name in names:
        return True
    if not words <= _IDENTIFIERS | _NUMBERS | _JOBS_AND_WRAPPERS:
        return False
    return bool(words & _IDENTIFIERS) or "job" in words or name in names


def _words(name: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(name)}


def _iterate_fields(call: Response) -> Iterator[tuple[str, str, str]]:
    """Yield each value in a callback: the name of the field around it, its own name, and the value as text."""
    with contextlib.suppress(AsyncApiError):
        yield from _iterate_json_fields(call.json)
        return
    with contextlib.suppress(AsyncApiError):
        yield from _iterate_xml_fields(call.xml)


def _iterate_json_fields(document: JsonValue) -> Iterator[tuple[str, str, str]]:
    # Not recursive, since a document may be nested deeply.
    left: list[tuple[str, str, JsonValue]] = [("", "", document)]
    while left:
        around, name, value = left.pop()
        if isinstance(value, dict):
            left += ((name, key, each) for key, each in value.items())
        elif isinstance(value, list):
            left += ((around, name, each) for each in value)
        elif is_scalar(value):
            yield around, name, as_text(value)


def _iterate_xml_fields(root: etree._Element) -> Iterator[tuple[str, str, str]]:
    for element in root.iter():
        name, parent = _local_name(element.tag), element.getparent()
        around = "" if parent is None else _local_name(parent.tag)
        yield around, name, (element.text or "").strip()
        yield from ((name, _local_name(key), value) for key, value in element.attrib.items())


def _local_name(tag: object) -> str:
    return str(tag).rpartition("}")[2]
