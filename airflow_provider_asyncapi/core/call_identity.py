"""Which job a callback is about: an API may call one URL for all jobs, whatever was asked of it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from airflow_provider_asyncapi.core.callbacks import CallbackSettings
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.handle import JobHandle, check_identifier
from airflow_provider_asyncapi.core.messages import Response
from airflow_provider_asyncapi.core.selectors import Selection
from airflow_provider_asyncapi.core.templates import Variables
from airflow_provider_asyncapi.core.values import as_text

#: What many APIs put before the number of a job or an event.
_FIRST_WORD = re.compile(r"[A-Za-z]+(?=[_:.-])")
#: Characters of an identifier that isn't found in a text by chance, as 7 is.
_DISTINCTIVE = 6


def find_other_job(settings: CallbackSettings, handle: JobHandle, call: Response, variables: Variables) -> str | None:
    """
    Return the identifier of the job that a callback is about, if that is another one than the handle's.

    If the connection says at which selector callbacks name their job, only that selector is read. Otherwise it is the
    selector that found the identifier in the answer to the submit. Events may have an identifier of their own there:
    so another value counts only if it looks like the job's identifier, and if the job's identifier, being long enough
    to tell, stands nowhere else in the callback.

    :param variables: what selectors may name.
    :return: None if the callback is about this job, or names none.
    """
    if handle.identifier is None or not settings.compares_identifier:
        return None
    expected = as_text(handle.identifier)
    named = list(_named_by(settings, handle, call, variables))
    if not named or expected in named:
        return None
    if settings.identifier is not None:
        return named[0]
    if len(expected) >= _DISTINCTIVE and re.search(rf"(?<!\w){re.escape(expected)}(?!\w)", call.text):
        return None
    return next((each for each in named if _shape(each) == _shape(expected)), None)


def _shape(identifier: str) -> tuple[str, frozenset[str]]:
    """
    Return what identifiers of the same kind have in common: a word at their beginning, and the kinds of characters.

    So `7` and `evt_1` are told apart, and `job-1` and `evt-1`; `7` and `8` aren't, nor are two UUIDs.
    """
    word = _FIRST_WORD.match(identifier)
    kinds = (
        "digit" if character.isdecimal() else "letter" if character.isalpha() else character for character in identifier
    )
    return word[0] if word else "", frozenset(kinds)


def _named_by(settings: CallbackSettings, handle: JobHandle, call: Response, variables: Variables) -> Iterator[str]:
    """Walk the identifiers in a callback, as text."""
    # A capture is known by its selector too.
    captured = [name for name, value in handle.variables.items() if value == handle.identifier]
    for place in captured if settings.identifier is None else [settings.identifier]:
        # What isn't there, can't be read, or can be no identifier, names no job.
        with contextlib.suppress(AsyncApiError):
            selection = Selection.parse(place, "callback") if isinstance(place, str) else place
            yield as_text(check_identifier(selection.value(call, variables)))
