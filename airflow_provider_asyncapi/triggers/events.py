"""
The event that a trigger yields, or that a callback resumes a task with, and how Airflow can carry it.

An event is encoded in the process that runs all triggers, and stored by its parent. Either ends with the first event
that msgpack or the database refuses, and the next triggerer takes up the same trigger and ends too.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from traceback import format_exception
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_asyncapi.core.errors import AsyncApiError, UnstorableValueError, read_error
from airflow_provider_asyncapi.core.jobs.layouts import read_fields
from airflow_provider_asyncapi.core.jobs.storable import MAX_DEPTH, to_storable
from airflow_provider_asyncapi.core.json_values import JsonValue, clean_text

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.jobs.handle import JobHandle

#: Of the layout of an event; see :mod:`~..core.layouts`. Those of layout 1 had neither a version nor a status.
VERSION = 2
#: What an event, or a job handle in it, adds to the levels of a value.
_MORE_LEVELS = 8
_KEYS = ("status", "message", "handle", "error", "began_at")


class EventStatus(enum.StrEnum):
    """What has happened, and what the task does next."""

    #: The job ended well: the task ends.
    SUCCESS = "success"
    #: The wait ended badly: the task fails.
    ERROR = "error"
    #: The job has called back: the task reads its callbacks.
    CALLBACK = "callback"
    #: The wait can't begin in the triggerer: the task begins it.
    BEGIN = "begin"


@dataclass(frozen=True, slots=True)
class WaitEvent:
    """
    How a wait in the triggerer ended.

    :param message: the same in words, for people.
    :param handle: the job as it is known now, as :meth:`~..core.handle.JobHandle.dump` gives it.
    :param error: what went wrong.
    :param began_at: when the wait began, in seconds since the epoch, if it began in the triggerer.
    """

    status: EventStatus
    message: str
    handle: Mapping[str, Any] | None = None
    error: AsyncApiError | None = None
    began_at: float | None = None

    @classmethod
    def of_success(cls, handle: JobHandle) -> WaitEvent:
        """Return the event of a job that ended well."""
        message = f"Job {handle.shown_identifier}: {handle.outcome}"
        return cls(EventStatus.SUCCESS, message, handle.dump())

    @classmethod
    def of_error(cls, error: AsyncApiError, handle: JobHandle | None = None) -> WaitEvent:
        """Return the event of a wait that ended badly."""
        return cls(EventStatus.ERROR, str(error), None if handle is None else handle.dump(), error)

    @classmethod
    def of_callback(cls) -> WaitEvent:
        """Return the event of a job that has called back."""
        return cls(EventStatus.CALLBACK, "The job has called back")

    @classmethod
    def of_begin(cls, why: str) -> WaitEvent:
        """Return the event of a wait that a worker has to begin."""
        return cls(EventStatus.BEGIN, clean_text(why))

    @classmethod
    def parse(cls, given: Any) -> WaitEvent:
        """
        Read an event, in this layout or the one before.

        :raises NewerLayoutError: if a newer version of this provider has made it, and this one can't read it.
        :raises ValueError: if it isn't one of ours.
        """
        if isinstance(given, Mapping) and "status" not in given:
            given = _upgrade(given)
        fields = read_fields(given, "the trigger's event", version=VERSION, known=_KEYS)
        status, message = EventStatus(str(fields.get("status"))), fields.get("message")
        handle, began_at = fields.get("handle"), fields.get("began_at")
        error: Any = fields.get("error")
        if not isinstance(message, str):
            raise ValueError("it has no message")  # noqa: TRY004 - one error for an event that isn't ours
        if status is EventStatus.SUCCESS and handle is None:
            raise ValueError("it has no job handle")
        match error:
            case {"kind": str(), "message": str()}:
                return cls(status, message, handle, read_error(error), began_at)
        if status is EventStatus.ERROR:
            raise ValueError("it has no error")
        return cls(status, message, handle, None, began_at)

    def dump(self) -> dict[str, Any]:
        """Return the event as plain data, without the fields that are None."""
        fields = {"handle": self.handle, "error": self.error and self.error.dump(), "began_at": self.began_at}
        present = {name: value for name, value in fields.items() if value is not None}
        return {"version": VERSION, "status": str(self.status), "message": self.message, **present}


def _upgrade(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event of layout 1 in the layout of today; of one that isn't ours, what can't be read."""
    match given:
        case {"error": {"message": message}}:
            added = {"status": EventStatus.ERROR, "message": message}
        case {"handle": _}:
            added = {"status": EventStatus.SUCCESS, "message": ""}
        case {"called": True}:
            added = {"status": EventStatus.CALLBACK, "message": ""}
        case {"begin": why}:
            added = {"status": EventStatus.BEGIN, "message": why}
        case _:
            added = {}
    return {**given, **added}


def make_event(event: WaitEvent) -> TriggerEvent:
    """Return the event; one that Airflow couldn't carry becomes an error that names what can't be carried."""
    try:
        stored = check_pushed(event.dump(), "the trigger's event")
    except UnstorableValueError as error:
        stored = WaitEvent.of_error(error).dump()
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
