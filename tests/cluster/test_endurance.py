"""
Many jobs that are submitted and waited for while one fault follows another, for as long as one likes.

By hand: ``make test-cluster CLUSTER_JOBS=2000 CLUSTER_MINUTES=30``. ``CLUSTER_SEED`` repeats an order.
"""

from __future__ import annotations

import math
import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest

from tests.cluster.cluster import (
    DEFAULT_TIMEOUT,
    ENDURING_INTERVAL,
    ENDURING_JOBS_PER_RUN,
    ENDURING_RUNS,
    TRIGGERERS,
    WORKERS,
    Cluster,
    wait_until,
)
from tests.cluster.control import (
    DRIP_BODY,
    DRIP_HEAD,
    HALF_CLOSE,
    LOSE,
    OVERLONG,
    RESET,
    TRUNCATE,
    Control,
    Fault,
    answer,
)
from tests.cluster.runs import FOR_LONG, Run

#: For how long fault follows fault.
MINUTES = float(os.environ.get("CLUSTER_MINUTES", "0"))
SEED = int(os.environ.get("CLUSTER_SEED", random.SystemRandom().randrange(10_000)))

pytestmark = [
    pytest.mark.cluster,
    # It waits for four things that take the longer the more jobs there are; the faults' recoveries are short.
    pytest.mark.timeout(60 * MINUTES + 4 * DEFAULT_TIMEOUT),
    pytest.mark.skipif(
        not MINUTES, reason="takes long: CLUSTER_MINUTES=30 CLUSTER_JOBS=2000 says for how long, and of how many jobs"
    ),
]

DAG_ID = "endurance"
#: Of all jobs, this share has what is done to a few.
FEW = 0.05
#: Seconds for which the API server, or the job API, is away.
AWAY = 60
#: Seconds until each job has been polled again, at most: after several errors in a row a wait takes five minutes.
RECOVERY = 600
#: Seconds; a triggerer that is silent for so long has lost its jobs to the other.
FROZEN = 15
SHORTEST_GAP = 0.75 * ENDURING_INTERVAL


@dataclass
class Endurance:
    """
    What happens to the jobs.

    :param dice: decides to whom it happens.
    :param waiting: by run, the map indices of those that are waited for when a fault begins.
    :param skipped: by run, those of tasks that were marked as skipped, whose jobs are cancelled.
    :param recoveries: fault → seconds from its beginning until all that waited were polled again, each time.
    """

    cluster: Cluster
    api: Control
    runs: list[Run]
    dice: random.Random
    log_progress: Callable[[str], None]
    waiting: dict[str, set[int]] = field(default_factory=dict)
    skipped: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    recoveries: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def endure(self, minutes: float) -> None:
        """Meet each kind of fault, in an order left to chance; then again, until the time is over."""
        # The other dice are thrown as often as there are jobs at the time, which no seed decides.
        order, end = random.Random(SEED), time.monotonic() + 60 * minutes
        while time.monotonic() < end:
            for name in order.sample(list(FAULTS), len(FAULTS)):
                if time.monotonic() < end:
                    self._meet(name)

    def _meet(self, name: str) -> None:
        self.waiting = self.cluster.waiting(DAG_ID)
        waited = sum(map(len, self.waiting.values()))
        began = time.monotonic()
        FAULTS[name](self)
        self.cluster.wait_until_healthy()
        self.cluster.wait_for_triggerers()
        self.cluster.check()
        self.check()
        self.until_polled()
        took = time.monotonic() - began
        self.recoveries[name].append(took)
        self.log_progress(f"{name}: {took:.0f} s from its beginning until all {waited} that waited were polled again")

    def until_polled(self) -> None:
        """Wait until each of those that waited has been polled from now on."""
        now = time.time()
        for run in self.runs:
            among = self.waiting[run.run_id] - self.skipped[run.run_id]
            run.until_polled(since=now, among=among, timeout=RECOVERY)

    def some(self, share: float) -> list[tuple[Run, int]]:
        """Return a fraction of the waiting jobs, at least one."""
        waiting = [(run, index) for run in self.runs for index in sorted(self.waiting[run.run_id])]
        return self.dice.sample(waiting, max(1, math.ceil(share * len(waiting))))

    def check(self) -> None:
        """Fail at once where a task has, in spite of its many retries: its job would be waited for in vain."""
        sql = "SELECT run_id, map_index FROM task_instance WHERE dag_id = %s AND state = 'failed'"
        failed = self.cluster.query(sql, DAG_ID)
        assert not failed, f"{failed}\n{self.cluster.describe_jobs(failed[0][0], [failed[0][1]])}"

    def are_waiting(self, jobs: float) -> bool:
        """Return whether this number of jobs wait, or were skipped."""
        self.check()
        found = (self.cluster.waiting(DAG_ID), self.skipped)
        return sum(len(indices) for by_run in found for indices in by_run.values()) >= jobs

    def describe_jobs(self) -> str:
        """Return one line for each run; the logs of thousands of tasks would be too long to read."""
        tasks = {run: self.cluster.tasks(run.run_id).values() for run in self.runs}
        return "\n".join(
            f"{run.run_id}: {Counter((task.task_id, task.state) for task in found)}" for run, found in tasks.items()
        )


def kill_triggerer(endurance: Endurance) -> None:
    name = endurance.dice.choice(TRIGGERERS)
    endurance.cluster.processes.kill(name)
    endurance.until_polled()
    endurance.cluster.start_component(name)


def restart_triggerers(endurance: Endurance) -> None:
    for name in TRIGGERERS:
        endurance.cluster.processes.terminate(name)
        endurance.cluster.start_component(name)
        endurance.cluster.wait_for_triggerers()


def freeze_triggerer(endurance: Endurance) -> None:
    name = endurance.dice.choice(TRIGGERERS)
    endurance.cluster.freeze(name)
    time.sleep(FROZEN)
    endurance.cluster.thaw(name)


def kill_worker(endurance: Endurance) -> None:
    name = endurance.dice.choice(WORKERS)
    endurance.cluster.processes.kill(name)
    endurance.cluster.start_component(name)


def kill_server(name: str, seconds: float, endurance: Endurance) -> None:
    endurance.cluster.processes.kill(name)
    time.sleep(seconds)
    endurance.cluster.start_component(name)


def refuse(endurance: Endurance) -> None:
    endurance.api.refuse(AWAY)
    # A moment more, for the port to be open again.
    time.sleep(AWAY + 1)


def misbehave(fault: Fault, share: float, endurance: Endurance) -> None:
    """Let the next poll of a share of the jobs go wrong."""
    for run, index in endurance.some(share):
        endurance.api.plan(f"{run.run_id}/{index}", "status", fault)
    endurance.until_polled()


def expire(endurance: Endurance) -> None:
    endurance.api.expire()


def clear(endurance: Endurance) -> None:
    """Clear a few waits: they go on with the same jobs."""
    for run, index in endurance.some(FEW):
        endurance.cluster.client.clear(run.dag_id, run.run_id, ("job.wait", index))


def skip(endurance: Endurance) -> None:
    """Mark a few waits as skipped: their jobs are cancelled, and nothing is fetched."""
    for run, index in endurance.some(FEW):
        endurance.skipped[run.run_id].add(index)
        endurance.cluster.client.mark(run.dag_id, run.run_id, "job.wait", "skipped", map_index=index)
    for run in endurance.runs:
        run.until(partial(are_cancelled, run, endurance.skipped[run.run_id]), RECOVERY)


def are_cancelled(run: Run, indices: set[int]) -> bool:
    return all(job.cancels for job in run.jobs(indices))


FAULTS: dict[str, Callable[[Endurance], None]] = {
    "a triggerer is killed": kill_triggerer,
    "the triggerers are restarted, one after the other": restart_triggerers,
    "a triggerer is frozen": freeze_triggerer,
    "a worker is killed": kill_worker,
    "the scheduler is killed": partial(kill_server, "scheduler", 5),
    f"the API server is away for {AWAY} s": partial(kill_server, "api-server", AWAY),
    f"the job API refuses connections for {AWAY} s": refuse,
    "tokens expire": expire,
    "a few waits are cleared": clear,
    "a few waits are skipped": skip,
    "all are polled in vain: 500": partial(misbehave, answer(500), 1),
    "all are polled in vain: 503": partial(misbehave, answer(503), 1),
    # Such an answer to one holds up all that its triggerer polls. Many of them would follow one another.
    "one is polled in vain: 429 with Retry-After": partial(misbehave, answer(429, "30"), 0),
    "one is polled in vain: 503 with Retry-After": partial(misbehave, answer(503, "30"), 0),
    "all are polled in vain: reset": partial(misbehave, RESET, 1),
    "all are polled in vain: half-closed": partial(misbehave, HALF_CLOSE, 1),
    "all are polled in vain: truncated": partial(misbehave, TRUNCATE, 1),
    "a few are polled in vain: an overlong answer": partial(misbehave, OVERLONG, FEW),
    "a few are polled in vain: the head trickles in": partial(misbehave, DRIP_HEAD, FEW),
    "a few are polled in vain: the body trickles in": partial(misbehave, DRIP_BODY, FEW),
}


@pytest.fixture
def log_progress(capsys):
    """Return a function that prints the progress of the test, which takes long."""

    def print_line(line: str) -> None:
        with capsys.disabled():
            print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)  # noqa: T201 - for whoever runs it

    return print_line


def test_each_job_is_made_once_and_fetched_once_though_fault_follows_fault(cluster, api, start, log_progress):
    began, legs, dice = time.monotonic(), cluster.legs(), random.Random(SEED)
    names = [f"{DAG_ID}-{number}" for number in range(ENDURING_RUNS)]
    jobs = ENDURING_RUNS * ENDURING_JOBS_PER_RUN
    log_progress(f"{jobs} jobs, {MINUTES:g} minutes of faults in the order of CLUSTER_SEED={SEED}")
    for number in dice.sample(range(jobs), math.ceil(FEW * jobs)):
        run, index = divmod(number, ENDURING_JOBS_PER_RUN)
        api.plan(f"{names[run]}/{index}", "submit", LOSE)
    runs = [start(DAG_ID, name, conn="endurance", seconds=FOR_LONG) for name in names]
    endurance = Endurance(cluster, api, runs, dice, log_progress)

    # Faults begin while others are still being submitted.
    wait_until(lambda: endurance.are_waiting(jobs / 3), endurance.describe_jobs)
    endurance.endure(MINUTES)
    wait_until(lambda: endurance.are_waiting(jobs), endurance.describe_jobs)
    for run in runs:
        api.finish(run.run_id)
    for run in runs:
        assert run.finish() == "success", run.describe_jobs()

    made = []
    for run in runs:
        skipped = endurance.skipped[run.run_id]
        run.check(jobs=ENDURING_JOBS_PER_RUN, cancels=1, cancelled=skipped, shortest_gap=SHORTEST_GAP)
        made += run.jobs()
        for job in run.jobs():
            assert job.fetches == (job.index not in skipped), run.describe_jobs(job)
    for name, seconds in sorted(endurance.recoveries.items()):
        log_progress(f"{len(seconds)} x {name}: {min(seconds):.0f} to {max(seconds):.0f} s until all were polled again")
    log_progress(
        f"{len(made)} jobs in {(time.monotonic() - began) / 60:.0f} minutes, {MINUTES:g} of them with faults: "
        f"{sum(map(len, endurance.recoveries.values()))} faults of {len(endurance.recoveries)} kinds, "
        f"{sum(len(job.polls) for job in made)} polls, {cluster.legs() - legs} legs on workers, "
        f"{sum(job.cancels for job in made)} cancelled, {sum(job.fetches for job in made)} fetched"
    )
