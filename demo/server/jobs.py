"""Let jobs advance by a clock: no job has a thread or a timer, its phase is a function of the time."""

from __future__ import annotations

import enum
import itertools
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from demo.server.settings import Clock

QUEUED_SHARE = 1 / 6
"""The part of a job's time it spends waiting for its turn."""


class Phase(enum.Enum):
    """Where a job is, before a vendor's module gives it that vendor's word."""

    HELD = "held"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Job:
    """
    Describe one job; the times are seconds since the epoch.

    :param outcome: What the submit asked for, in the words of the vendor's module.
    :param started: ``None`` while the job is held back.
    :param queue_seconds: How long it waits for its turn once it has started.
    :param seconds: From its start to its end; infinite for a stuck one.
    :param facts: What the vendor's module needs to remember of the submit.
    """

    id: str
    outcome: str
    created: float
    started: float | None
    queue_seconds: float
    seconds: float
    cancelled: float | None = None
    facts: Mapping[str, str] = field(default_factory=dict)

    def phase(self, now: float) -> Phase:
        """Return the phase at a time."""
        if self.cancelled is not None:
            return Phase.CANCELLED
        if self.started is None:
            return Phase.HELD
        age = now - self.started
        if age >= self.seconds:
            return Phase.DONE
        return Phase.QUEUED if age < self.queue_seconds else Phase.RUNNING

    def progress(self, now: float) -> int:
        """Return the progress at a time, in whole percent; 100 only when done, a stuck job stays at 99."""
        if self.started is None:
            return 0
        age = (self.cancelled if self.cancelled is not None else now) - self.started
        if age >= self.seconds:
            return 100
        usual = self.queue_seconds / QUEUED_SHARE
        return max(0, min(99, int(100 * age / usual))) if usual else 99

    @property
    def ends(self) -> float | None:
        """The time at which it is over, if that is known."""
        if self.cancelled is not None:
            return self.cancelled
        return None if self.started is None or math.isinf(self.seconds) else self.started + self.seconds


class JobStore:
    """
    Keep the jobs of one vendor.

    :param name: Makes a job's id out of its number, which counts from 1.
    """

    def __init__(self, clock: Clock, seconds: float, name: Callable[[int], str] = str) -> None:
        self._clock = clock
        self._seconds = seconds
        self._name = name
        self._numbers = itertools.count(1)
        self._jobs: dict[str, Job] = {}

    def add(
        self, outcome: str, *, hold: bool = False, seconds: float | None = None, facts: Mapping[str, str] | None = None
    ) -> Job:
        """
        Submit a job.

        :param outcome: Two have a meaning here: ``fast`` is done at once, ``stuck`` runs for ever.
        :param hold: Wait for :meth:`start`.
        :param seconds: How long this job takes, if not as long as the others.
        """
        now = self._clock()
        usual = self._seconds if seconds is None else seconds
        job = Job(
            id=self._name(next(self._numbers)),
            outcome=outcome,
            created=now,
            started=None if hold else now,
            queue_seconds=usual * QUEUED_SHARE,
            seconds={"fast": 0.0, "stuck": math.inf}.get(outcome, usual),
            facts=facts or {},
        )
        self._jobs[job.id] = job
        return job

    def get(self, job_id: str) -> Job | None:
        """Find a job."""
        return self._jobs.get(job_id)

    def all(self) -> list[Job]:
        """List the jobs, the oldest first."""
        return list(self._jobs.values())

    def start(self, job: Job) -> Job:
        """Let a held job go."""
        return self._store(replace(job, started=self._clock()))

    def cancel(self, job: Job) -> Job:
        """Stop a job where it is."""
        return self._store(replace(job, cancelled=self._clock()))

    def remove(self, job: Job) -> None:
        """Forget a job."""
        del self._jobs[job.id]

    def phase(self, job: Job) -> Phase:
        """Return the phase of a job now."""
        return job.phase(self._clock())

    def progress(self, job: Job) -> int:
        """Return the progress of a job now, in percent."""
        return job.progress(self._clock())

    def _store(self, job: Job) -> Job:
        self._jobs[job.id] = job
        return job
