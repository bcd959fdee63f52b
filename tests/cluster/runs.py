"""DAG runs on the cluster, told from both sides: what Airflow says of them, and what the job API has counted."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from tests.cluster.cluster import DEFAULT_TIMEOUT, JOBS, Cluster, wait_until
from tests.cluster.control import (
    DRIP_BODY,
    DRIP_HEAD,
    HALF_CLOSE,
    HOLD_AFTER,
    HOLD_BEFORE,
    LOSE,
    OVERLONG,
    RESET,
    TRUNCATE,
    Control,
    Fault,
    RemoteJob,
    Report,
    answer,
    status_response,
)

#: The DAGs' poke_interval, in seconds.
POLLED_EVERY = 2
#: The same, less what a busy machine may delay the first of two polls on its way.
SHORTEST_GAP = 0.75 * POLLED_EVERY
#: Seconds that a job takes which goes on until it is told to be done.
FOR_LONG = 100_000
#: What a task's log says where its API can't be found, and where it refuses connections.
NO_NAME, REFUSED = "the host's name can't be resolved", "Connection refused"
#: A host without a name for a while.
UNRESOLVED = "jobs.test"
#: A moment at which processes are killed → the step whose request is held at that moment, and how: before the request
#: to submit is sent; when the API has carried it out, but not answered; when the answer was read, but no XCom is there.
MOMENTS: dict[str, tuple[str, Fault]] = {
    "before": ("login", HOLD_BEFORE),
    "during": ("submit", HOLD_AFTER),
    "after": ("start", HOLD_AFTER),
}
#: Which of many jobs a worker is killed with at such a moment, some of them; those of the first log in together.
HELD = {"before": range(12), "during": range(12, 24), "after": range(24, 36)}
#: What befalls the requests to submit the others of many jobs, in turn.
SUBMITS: tuple[list[Fault], ...] = ([LOSE], [answer(503)], [RESET], [answer(429, "1")], [])
#: What befalls their polls in a storm.
STORM: tuple[Fault, ...] = (
    RESET,
    answer(500),
    HALF_CLOSE,
    answer(429),
    TRUNCATE,
    answer(502),
    status_response("odd"),
    OVERLONG,
    answer(503),
    status_response("queued"),
)
#: What befalls every tenth besides: if all trickled at once, most would wait for a connection.
TRICKLES: tuple[Fault, ...] = (DRIP_HEAD, DRIP_BODY)


def submit_faults(index: int) -> list[Fault]:
    """Return the faults of the requests that submit one of many jobs."""
    return [] if any(index in held for held in HELD.values()) else SUBMITS[index % len(SUBMITS)]


def poll_faults(position: int) -> list[Fault]:
    """Return the faults of the polls of one of many jobs; neighbours begin with different faults."""
    first = position % len(STORM)
    faults = STORM[first:] + STORM[:first] + TRICKLES * (first == 0)
    return [each for fault in faults for each in (fault, status_response("running"))]


@dataclass(frozen=True, slots=True)
class Run:
    """One DAG run."""

    cluster: Cluster
    api: Control
    dag_id: str
    run_id: str

    def report(self) -> Report:
        return self.api.report(self.run_id)

    def jobs(self, among: Collection[int] | None = None) -> list[RemoteJob]:
        """Return the jobs that were created, or the ones with these map indices."""
        return [job for job in self.report().jobs if among is None or job.index in among]

    def job(self) -> RemoteJob:
        """Return the only job; fail if there are several."""
        (job,) = self.report().jobs
        return job

    def finish(self) -> str:
        """Wait until the run has ended, and return its state."""
        return self.cluster.finish(self.run_id)

    def describe_jobs(self, *told: RemoteJob) -> str:
        """Return a description of these jobs, or of all."""
        report = self.report()
        jobs = [
            f"{job} polled {len(job.polls)} times, seconds between: {job.gaps()[-30:]}" for job in told or report.jobs
        ]
        tasks = self.cluster.describe_jobs(self.run_id, [job.index for job in told])
        return "\n".join([tasks, f"submits {report.submits}, look-ups {report.lookups}", *jobs])

    def until(self, condition: Callable[[], object], timeout: float = DEFAULT_TIMEOUT) -> None:
        wait_until(condition, self.describe_jobs, timeout)

    def until_waiting(self, jobs: int = 1) -> None:
        """Wait until so many jobs are waited for in a triggerer, and each has been polled."""
        self.until(lambda: self.cluster.states(self.run_id, "job.wait") == ["deferred"] * jobs)
        self.until_polled()

    def until_polled(
        self,
        times: int = 1,
        *,
        since: float | None = None,
        among: Collection[int] | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        """
        Wait until each job has been polled so often.

        :param since: from when on, in seconds since the epoch; from now on by default
        :param among: the map indices of the jobs; all by default
        :param timeout: seconds
        """
        now = time.time() if since is None else since
        self.until(lambda: all(sum(poll > now for poll in job.polls) >= times for job in self.jobs(among)), timeout)

    def until_settled(self) -> None:
        """Wait for as long as two polls or a second cancel would take."""
        time.sleep(5)

    def log(self, task_id: str, map_index: int | str = "*") -> str:
        """Return all logs of a task, of all tries and of the triggerers."""
        logs = self.cluster.home / "logs" / f"dag_id={self.dag_id}" / f"run_id={self.run_id}" / f"task_id={task_id}"
        paths = sorted(logs.glob(f"map_index={map_index}/*.log*"))
        return "\n".join(path.read_text(errors="replace") for path in paths)

    def tries(self, task_id: str) -> int:
        return max(task.try_number for task in self.cluster.tasks(self.run_id).values() if task.task_id == task_id)

    def has_been_tried(self, task_id: str, times: int) -> bool:
        return self.tries(task_id) >= times

    def starts(self, job: RemoteJob) -> int:
        """Count how often a triggerer has begun to wait for a job."""
        return len(re.findall(r'"event": ?"trigger [^"]* starting"', self.log("job.wait", job.index)))

    def check(
        self,
        *,
        jobs: int = 1,
        submits: int | None = 1,
        cancels: int = 0,
        cancelled: Collection[int] | None = None,
        shortest_gap: float = SHORTEST_GAP,
        repeats: int = 0,
    ) -> None:
        """
        Check what the API has counted for each of the run's jobs.

        :param jobs: how many there have to be, each with another name
        :param submits: how many requests to submit there were for each; None where that differs
        :param cancels: how many requests to cancel
        :param cancelled: the map indices of the jobs that are to be cancelled so often, and no other; all by default
        :param shortest_gap: seconds between two polls
        :param repeats: how many polls may be made once more at once, for they met a connection that was hung up
        """
        report = self.report()
        assert len({job.name for job in report.jobs}) == len(report.jobs) == jobs, self.describe_jobs()
        assert submits is None or set(report.submits.values()) <= {submits}, self.describe_jobs()
        for job in report.jobs:
            wanted = cancels if cancelled is None or job.index in cancelled else 0
            assert job.cancels == wanted, self.describe_jobs(job)
            # The first poll of a triggerer that takes over may be early by an interval; and the one that has lost the
            # job may poll it once more until it learns of it. The job is looked at before a cancel and after it, too.
            too_soon = 2 * max(0, self.starts(job) - 1) + 2 * wanted + repeats
            assert job.polls_beyond(shortest_gap) <= too_soon, self.describe_jobs(job)


@dataclass(frozen=True)
class Many(Run):
    """
    A run of many jobs at once, for what one job alone wouldn't show. Some are over before others.

    :param killed: moment → the map indices of those that were being submitted by a worker that was killed then.
    """

    killed: dict[str, set[int]] = field(default_factory=dict)

    def going_on(self) -> list[int]:
        """Return the map indices of the jobs that haven't ended."""
        return [job.index for job in self.jobs() if job.state == "running"]

    def until_all_wait(self) -> None:
        """Wait until each job that goes on is waited for in a triggerer, and has been polled."""
        self.until(lambda: len(self.jobs()) == JOBS)
        self.until(lambda: self.cluster.waiting(self.dag_id)[self.run_id] == set(self.going_on()))
        self.until_polled()

    def until_polled(
        self,
        times: int = 1,
        *,
        since: float | None = None,
        among: Collection[int] | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        """Wait until each job that goes on has been polled so often."""
        super().until_polled(times, since=since, among=self.going_on() if among is None else among, timeout=timeout)

    def until_fetched(self, among: Collection[int]) -> None:
        """Wait until the results of these jobs have been fetched, and their tasks are done."""

        def are_fetched() -> bool:
            tasks = self.cluster.tasks(self.run_id)
            return all(tasks["job.fetch", index].state == "success" for index in among)

        self.until(are_fetched)

    def check_all(self, cancelled: Collection[int] = ()) -> None:
        """
        Check what the API has counted, whatever the jobs have met until now.

        :param cancelled: the map indices of the jobs that are to be cancelled, once
        """
        # Each is reset once, and half-closed once; on a connection that was used, it is then polled once more at once.
        self.check(jobs=JOBS, submits=None, cancels=1, cancelled=cancelled, repeats=2)
