"""
Make events that Airflow can carry from a trigger to its task.

An event is encoded in the process that runs all triggers, and stored by its parent. Either ends with the first event
that msgpack or the database refuses, and the next triggerer takes up the same trigger and ends too.
"""

from __future__ import annotations

from collections.abc import Mapping
from traceback import format_exception

from airflow.triggers.base import TriggerEvent

from airflow_provider_asyncapi.core.errors import UnstorableValueError
from airflow_provider_asyncapi.core.storable import MAX_DEPTH, to_storable
from airflow_provider_asyncapi.core.values import JsonValue, clean_text

#: What an event, or a job handle in it, adds to the levels of a value.
_MORE_LEVELS = 8


def make_event(payload: Mapping[str, JsonValue]) -> TriggerEvent:
    """Return the event; one that Airflow couldn't carry becomes an error that names what can't be carried."""
    try:
        stored = check_pushed(payload, "the trigger's event")
    except UnstorableValueError as error:
        stored = {"error": error.dump()}
    return TriggerEvent(stored)  # type: ignore[no-untyped-call]


def check_pushed(value: JsonValue, where: str) -> JsonValue:
    """
    Return what a trigger is about to give Airflow, as Airflow can carry it.

    :param where: the event, or the key of the XCom.
    :raises UnstorableValueError: if Airflow can't carry it.
    """
    return to_storable(value, where, max_depth=MAX_DEPTH + _MORE_LEVELS)


def to_storable_error(error: Exception) -> Exception:
    """Return an error as Airflow can store it with its traceback."""
    text = "".join(format_exception(error))
    if clean_text(text) == text:
        return error
    return RuntimeError(f"{type(error).__name__}: {clean_text(str(error))}")
