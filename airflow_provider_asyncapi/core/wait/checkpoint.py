"""The checkpoint of a wait, by which another process continues it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final

from airflow_provider_asyncapi.core.effects import Polled
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.jobs.stored_fields import read_fields
from airflow_provider_asyncapi.core.requests.schedule import PollSchedule
from airflow_provider_asyncapi.core.wait.log_position import LogPosition

#: Version of the stored layout; see :mod:`~.stored_fields`.
VERSION = 1
#: Seconds over which polls are spread that a user requests for many jobs at once.
_SPREAD_ON_REQUEST = 1.0
#: Attributes of a wait that are stored by an earlier name.
_STORED_NAMES: Final = {"callbacks_seen": "heard"}


@dataclass(frozen=True, slots=True)
class WaitCheckpoint:
    """
    The state of a wait, which can be stored and resumed in another process.

    :param handle: the job.
    :param started_at: start of the wait, in seconds since the epoch.
    :param deadline: end of the wait, in seconds since the epoch; it is set once and stays. None for no deadline.
    :param polls: number of polls so far.
    :param errors: number of consecutive failed polls up to now.
    :param next_poll: time of the next poll, in seconds since the epoch; None for as soon as the schedule allows.
    :param pause: the planned pause before that poll, in seconds; None if no poll has been made.
    :param callbacks_seen: number of callbacks that the wait has processed.
    :param changed_at: time of the last change of status or progress, seconds since the epoch; None if there was none.
    :param warned_at: time at which the wait was found to take too long, seconds since the epoch; None if it wasn't.
    :param log: the position in the job's log up to which its lines have been shown; None if none were.
    :param has_default_deadline: whether the deadline follows from Airflow's default, since neither the DAG nor a
        profile sets one.
    """

    handle: JobHandle
    started_at: float
    deadline: float | None = None
    _: KW_ONLY
    polls: int = 0
    errors: int = 0
    next_poll: float | None = None
    callbacks_seen: int = 0
    pause: float | None = None
    changed_at: float | None = None
    warned_at: float | None = None
    log: LogPosition | None = None
    has_default_deadline: bool = False

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> WaitCheckpoint:
        """
        Parse the result of :meth:`dump`, of this version of the provider or another.

        :raises NewerLayoutError: if a newer version of this provider has stored it in a layout that this one can't
            read.
        """
        stored = {_STORED_NAMES.get(each.name, each.name): each.name for each in dataclasses.fields(cls)}
        fields = read_fields(given, "the state of the wait", version=VERSION, known=stored)
        attributes = {stored[name]: value for name, value in fields.items()}
        log = LogPosition.parse(fields.get("log"))
        return cls(**{**attributes, "handle": JobHandle.parse(fields["handle"]), "log": log})

    @property
    def unchanged_since(self) -> float:
        """The time from which on status and progress haven't changed, in seconds since the epoch."""
        return self.started_at if self.changed_at is None else self.changed_at

    def next_poll_due(self, schedule: PollSchedule) -> float:
        """Return when the next poll is due, in seconds since the epoch; in the past if it may be made at once."""
        if self.next_poll is not None:
            return self.next_poll
        return self.started_at + (schedule.initial_delay if self.polls == 0 else 0.0)

    def after_check(self, polled: Polled) -> WaitCheckpoint:
        """Return the state with the time of a change and a warning, and the shown log, after a poll or a callback."""
        return dataclasses.replace(
            self,
            changed_at=polled.at if polled.changed else self.changed_at,
            warned_at=polled.at if polled.warned else self.warned_at,
            log=polled.log or self.log,
        )

    def after_poll(self, polled: Polled) -> WaitCheckpoint:
        """Return the state after a poll, or after a callback."""
        return dataclasses.replace(
            self.after_check(polled),
            handle=polled.handle,
            polls=polled.polls,
            errors=polled.errors,
            next_poll=polled.at + (polled.pause or 0.0),
            pause=polled.pause,
        )

    def resume_from_other_process(self, schedule: PollSchedule, now: float) -> WaitCheckpoint:
        """
        Return the state for a process that can't know whether another one has been waiting meanwhile.

        The polls of that other process weren't counted; this assumes as many as the schedule had time for.
        """
        return dataclasses.replace(
            self, polls=schedule.count_polls_within(now - self.next_poll_due(schedule), self.polls)
        )

    def to_poll_now(self, now: float) -> WaitCheckpoint:
        """Return the state for another process that polls as soon as it starts."""
        # An overdue poll is made at a random time within the pause, or within the interval if none was made yet.
        return dataclasses.replace(self, polls=max(1, self.polls), next_poll=now, pause=_SPREAD_ON_REQUEST)

    def dump(self) -> dict[str, Any]:
        """Return the state as plain data."""
        names = [each.name for each in dataclasses.fields(self)]
        fields = {_STORED_NAMES.get(name, name): getattr(self, name) for name in names}
        return {"version": VERSION, **fields, "handle": self.handle.dump(), "log": self.log and self.log.dump()}
