"""
The event that a trigger yields, or with which a callback resumes a task, in a form that Airflow can transfer and store.

The process that runs all triggers encodes the event, and its parent process stores it. Each of the two processes ends
with the first event that msgpack or the database refuses, and so does the next triggerer with the same trigger.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from traceback import format_exception
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_asyncapi.core.errors import AsyncApiError, UnstorableValueError, read_error
from airflow_provider_asyncapi.core.jobs.storable import MAX_DEPTH, to_storable
from airflow_provider_asyncapi.core.jobs.stored_fields import read_fields
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.text import clean_text

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.jobs.handle import JobHandle
    from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint

#: Version of the layout of an event; see :mod:`~.stored_fields`. Layout 1 was never released.
VERSION = 2
#: Levels of nesting that an event, or a job handle in it, adds to a value.
_MORE_LEVELS = 8
_KEYS = ("status", "message", "handle", "error", "began_at", "wait")


class EventStatus(enum.StrEnum):
    """The result of a trigger, which decides what the task does next."""

    #: The job succeeded: the task ends.
    SUCCESS = "success"
    #: The wait failed: the task fails.
    ERROR = "error"
    #: The job has called back: the task reads its callbacks.
    CALLBACK = "callback"
    #: The wait takes longer than ``warn_after``: the task calls ``on_warning_callback``, and continues the wait.
    WARNING = "warning"
    #: The wait can't begin in the triggerer: the task begins it.
    BEGIN = "begin"
    #: A user cancels the job: the task cancels it, and fails.
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class WaitEvent:
    """
    The end of a wait in the triggerer.

    :param status: kind of the event.
    :param message: message for users.
    :param handle: latest job handle, as :meth:`~.handle.JobHandle.dump` returns it.
    :param error: error that ended the wait.
    :param began_at: start of the wait in seconds since the epoch, if it began in the triggerer.
    :param wait: state of a wait that the task continues, as :meth:`~.checkpoint.WaitCheckpoint.dump` returns it.
    """

    status: EventStatus
    message: str
    handle: Mapping[str, Any] | None = None
    error: AsyncApiError | None = None
    began_at: float | None = None
    wait: Mapping[str, Any] | None = None

    @classmethod
    def of_success(cls, handle: JobHandle) -> WaitEvent:
        """Return the event of a job that succeeded."""
        message = f"Job {handle.printable_identifier}: {handle.outcome}"
        return cls(EventStatus.SUCCESS, message, handle.dump())

    @classmethod
    def of_error(cls, error: AsyncApiError, handle: JobHandle | None = None) -> WaitEvent:
        """Return the event of a wait that failed."""
        return cls(EventStatus.ERROR, str(error), None if handle is None else handle.dump(), error)

    @classmethod
    def of_callback(cls) -> WaitEvent:
        """Return the event of a job that has called back."""
        return cls(EventStatus.CALLBACK, "The job has called back")

    @classmethod
    def of_warning(cls, state: WaitCheckpoint) -> WaitEvent:
        """Return the event of a wait that takes longer than ``warn_after``."""
        message = f"The wait for job {state.handle.printable_identifier} takes longer than warn_after"
        return cls(EventStatus.WARNING, message, wait=state.dump())

    @classmethod
    def of_begin(cls, why: str) -> WaitEvent:
        """Return the event of a wait that a worker has to begin."""
        return cls(EventStatus.BEGIN, clean_text(why))

    @classmethod
    def of_cancel(cls, message: str, wait: Mapping[str, Any] | None = None) -> WaitEvent:
        """
        Return the event of a wait that a user ends.

        :param wait: state of the wait at its deferral; None if it isn't known.
        """
        return cls(EventStatus.CANCEL, clean_text(message), wait=None if wait is None else dict(wait))

    @classmethod
    def parse(cls, given: Any) -> WaitEvent:
        """
        Return the event that was dumped in this layout.

        :raises NewerLayoutError: if a newer version of this provider created it, and this version can't read it.
        :raises ValueError: if it isn't an event of this provider.
        """
        fields = read_fields(given, "the trigger's event", version=VERSION, known=_KEYS)
        status, message = EventStatus(str(fields.get("status"))), fields.get("message")
        handle, began_at, wait = fields.get("handle"), fields.get("began_at"), fields.get("wait")
        error: Any = fields.get("error")
        if not isinstance(message, str):
            raise ValueError("it has no message")  # noqa: TRY004 - one error for any event that isn't ours
        if status is EventStatus.SUCCESS and handle is None:
            raise ValueError("it has no job handle")
        if status is EventStatus.WARNING and wait is None:
            raise ValueError("it has no state of the wait")
        match error:
            case {"kind": str(), "message": str()}:
                return cls(status, message, handle, read_error(error), began_at)
        if status is EventStatus.ERROR:
            raise ValueError("it has no error")
        return cls(status, message, handle, None, began_at, wait)

    def dump(self) -> dict[str, Any]:
        """Return the event as plain data, without the fields that are None."""
        fields = {
            "handle": self.handle,
            "error": self.error and self.error.dump(),
            "began_at": self.began_at,
            "wait": self.wait,
        }
        present = {name: value for name, value in fields.items() if value is not None}
        return {"version": VERSION, "status": str(self.status), "message": self.message, **present}


def make_event(event: WaitEvent) -> TriggerEvent:
    """Return Airflow's event; if Airflow can't store a value, the event is an error that names the value."""
    try:
        stored = check_pushed(event.dump(), "the trigger's event")
    except UnstorableValueError as error:
        stored = WaitEvent.of_error(error).dump()
    return TriggerEvent(stored)


def check_pushed(value: JsonValue, where: str) -> JsonValue:
    """
    Return a value of an event or XCom in a form that Airflow can transfer and store.

    :param where: name of the event or XCom, for messages.
    :raises UnstorableValueError: if Airflow can't store it.
    """
    return to_storable(value, where, max_depth=MAX_DEPTH + _MORE_LEVELS)


def to_storable_error(error: Exception) -> Exception:
    """Return the error, or one with a clean message if Airflow can't store its traceback."""
    text = "".join(format_exception(error))
    if clean_text(text) == text:
        return error
    return RuntimeError(f"{type(error).__name__}: {clean_text(str(error))}")
